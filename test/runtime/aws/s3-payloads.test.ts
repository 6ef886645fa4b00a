import { S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from '@jest/globals';
import { s3Payloads } from '../../../runtime/aws/s3-payloads.ts';
import { payloadRef } from '../../../runtime/payloads.ts';
import { aTaskId } from '../../builders.ts';
import { type Answer, aWire, type Script } from './wire.ts';

async function somePayloads(script: Script) {
  const wire = await aWire(script);
  const client = new S3Client({ ...wire.client, forcePathStyle: true });
  return { wire, payloads: s3Payloads({ client, bucket: 'bucket', secret: async () => 'secret' }) };
}

const xml = (text: string, status = 200): Answer => ({
  status,
  xml: `<?xml version="1.0" encoding="UTF-8"?>\n${text}`,
});
const anS3Error = (code: string, status: number): Answer =>
  xml(`<Error><Code>${code}</Code><Message>so it is</Message></Error>`, status);
const aPage = (keys: readonly string[], goesOn = false): Answer =>
  xml(
    `<ListBucketResult><IsTruncated>${goesOn}</IsTruncated>${keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')}</ListBucketResult>`,
  );
const deleted = (errors = ''): Answer => xml(`<DeleteResult>${errors}</DeleteResult>`);

describe('a payload', () => {
  it('is the object of its reference, with the text as it is', async () => {
    const { payloads, wire } = await somePayloads(() => ({}));
    const ref = await payloads.put(aTaskId(), 'gelée');
    expect(ref).toBe(payloadRef('secret', aTaskId(), 'gelée'));
    expect(wire.calls.map(({ operation, text }) => [operation, text])).toEqual([
      [`PUT /bucket/payloads/${ref}`, 'gelée'],
    ]);
  });

  it('is not there only where S3 says that there is no such key', async () => {
    const { payloads } = await somePayloads(() => anS3Error('NoSuchKey', 404));
    expect(await payloads.get('ref')).toBeUndefined();
  });

  it('is not there where S3 denies it and lists nothing, as to a role that may list below a prefix only', async () => {
    const denied = (keys: readonly string[]) =>
      somePayloads(({ operation }) => (operation === 'GET /bucket/' ? aPage(keys) : anS3Error('AccessDenied', 403)));
    const { payloads: missing, wire } = await denied(['payloads/reference']);
    expect(await missing.get('ref')).toBeUndefined();
    expect(wire.calls[1]?.url.searchParams.get('prefix')).toBe('payloads/ref');
    const { payloads: forbidden } = await denied(['payloads/ref']);
    await expect(forbidden.get('ref')).rejects.toMatchObject({ code: 'service_denied' });
  });

  it.each([
    ['AccessDenied', 403, 'service_denied', 'never'],
    ['NoSuchBucket', 404, 'service_refused', 'never'],
    ['SlowDown', 503, 'service_throttled', 'soon'],
    ['InternalError', 500, 'service_unavailable', 'soon'],
  ])('that S3 answers with %s %i is an error for every call', async (name, status, code, retry) => {
    const { payloads } = await somePayloads(() => anS3Error(name, status));
    const calls = [() => payloads.put(aTaskId(), 'x'), () => payloads.get('ref'), () => payloads.delete('ref')];
    for (const call of [...calls, () => payloads.forget(aTaskId())]) {
      await expect(call()).rejects.toMatchObject({ code, retry, message: expect.stringContaining(name) });
    }
  });
});

describe('a task that is forgotten', () => {
  it('has what begins with its id removed, page after page', async () => {
    const pages = [
      [aPage(['a', 'b'], true), deleted()],
      [aPage(['c']), deleted()],
    ].flat();
    const { payloads, wire } = await somePayloads((_, nth) => pages[nth] ?? aPage([]));
    await payloads.forget(aTaskId());
    expect(wire.calls.map(({ operation }) => operation)).toEqual([
      'GET /bucket/',
      'POST /bucket/',
      'GET /bucket/',
      'POST /bucket/',
    ]);
    expect(wire.calls[0]?.url.searchParams.get('prefix')).toBe(`payloads/${aTaskId()}.`);
    expect(wire.calls.map(({ text }) => [...text.matchAll(/<Key>(.)<\/Key>/g)].map(([, key]) => key).join(''))).toEqual(
      ['', 'ab', '', 'c'],
    );
  });

  it('that has none costs one call', async () => {
    const { payloads, wire } = await somePayloads(() => aPage([]));
    await payloads.forget(aTaskId());
    expect(wire.calls).toHaveLength(1);
  });

  it.each([
    ['AccessDenied', 'service_denied'],
    ['InternalError', 'service_unavailable'],
    ['SlowDown', 'service_throttled'],
  ])('is not forgotten when an object stays: %s', async (name, code) => {
    const { payloads } = await somePayloads((_, nth) =>
      nth === 0 ? aPage(['a', 'b']) : deleted(`<Error><Key>b</Key><Code>${name}</Code><Message>no</Message></Error>`),
    );
    await expect(payloads.forget(aTaskId())).rejects.toMatchObject({
      code,
      message: `S3 DeleteObjects: ${name}: b: no`,
    });
  });

  it('is given up on when the listing never ends', async () => {
    const { payloads, wire } = await somePayloads((_, nth) => (nth % 2 === 0 ? aPage(['a'], true) : deleted()));
    await expect(payloads.forget(aTaskId())).rejects.toMatchObject({ code: 'service_refused' });
    expect(wire.calls).toHaveLength(20);
  });
});
