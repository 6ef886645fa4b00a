import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { memoryBucket } from '../../../../runtime/endpoint/aws/buckets.ts';
import { payloadBucket } from '../../../../runtime/endpoint/aws/payload-bucket.ts';
import { OBJECT_MAX_BYTES, s3Service } from '../../../../runtime/endpoint/aws/s3.ts';
import { sentBody } from '../../../../runtime/endpoint/aws/s3-body.ts';
import { textsOf } from '../../../../runtime/endpoint/aws/xml.ts';
import { memoryStore } from '../../../../runtime/engine/memory-store.ts';
import { payloadsOver } from '../../../../runtime/payloads.ts';
import { awsServer, errorOf } from './aws-server.ts';

const NOW = '2026-11-21T12:00:00.000Z';
const store = memoryStore();
const payloads = payloadsOver({ store, secret: () => 'a secret' });
let server: Awaited<ReturnType<typeof awsServer>>;
let client: S3Client;

beforeAll(async () => {
  const buckets = [memoryBucket('plain', () => NOW), payloadBucket('baton-payloads', store)];
  server = await awsServer([s3Service({ buckets })]);
  client = new S3Client(server.client);
});
afterAll(async () => {
  client.destroy();
  await server.close();
});

const put = (Bucket: string, Key: string, Body: string | Buffer) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body }));
const read = async (Bucket: string, Key: string) => {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
};
const keysOf = async (Bucket: string, more: object = {}) => {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, ...more }));
  return Contents.map(({ Key }) => Key);
};

describe('an object', () => {
  it.each([
    ['empty', Buffer.alloc(0)],
    ['of any bytes', Buffer.from([0, 13, 10, 255, 254, 128])],
    ['of 5 MB', randomBytes(OBJECT_MAX_BYTES)],
  ])('%s is read as it was put, under a key of any characters', async (what, body) => {
    const key = `a folder/${what} & <"é+%20">`;
    const { ETag } = await put('plain', key, body);
    expect((await read('plain', key)).equals(body)).toBe(true);
    const head = await client.send(new HeadObjectCommand({ Bucket: 'plain', Key: key }));
    expect(head).toMatchObject({ ContentLength: body.length, ETag, LastModified: new Date(NOW) });
    expect(await keysOf('plain', { Prefix: key })).toEqual([key]);
  });

  it('comes through the chunks and trailers of a stream', async () => {
    const stream = Readable.from([Buffer.from('one '), Buffer.from('two')]);
    const command = new PutObjectCommand({ Bucket: 'plain', Key: 'streamed', Body: stream, ContentLength: 7 });
    await client.send(command);
    expect((await read('plain', 'streamed')).toString()).toBe('one two');
  });

  it('is gone when it was deleted, and deleting it again is no error', async () => {
    await put('plain', 'short-lived', 'x');
    await client.send(new DeleteObjectCommand({ Bucket: 'plain', Key: 'short-lived' }));
    await client.send(new DeleteObjectCommand({ Bucket: 'plain', Key: 'short-lived' }));
    expect(await errorOf(read('plain', 'short-lived'))).toMatchObject({ name: 'NoSuchKey', status: 404 });
    const head = client.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'short-lived' }));
    expect(await errorOf(head)).toMatchObject({ name: 'NotFound', status: 404 });
  });

  it('above 5 MB is refused', async () => {
    expect(await errorOf(put('plain', 'big', Buffer.alloc(OBJECT_MAX_BYTES + 1)))).toMatchObject({
      name: 'EntityTooLarge',
      status: 400,
    });
  });

  it('of a bucket that does not exist is refused', async () => {
    expect(await errorOf(put('nowhere', 'a', 'x'))).toMatchObject({ name: 'NoSuchBucket', status: 404 });
    expect(await errorOf(client.send(new HeadBucketCommand({ Bucket: 'nowhere' })))).toMatchObject({ status: 404 });
    await client.send(new HeadBucketCommand({ Bucket: 'plain' }));
  });
});

describe('a listing', () => {
  it('comes in parts, in the order of the keys', async () => {
    const keys = ['list/a', 'list/b', 'list/c', 'list/d', 'list/e'];
    for (const key of [...keys].reverse()) await put('plain', key, key);
    const found: (string | undefined)[] = [];
    let token: string | undefined;
    do {
      const part = await client.send(
        new ListObjectsV2Command({ Bucket: 'plain', Prefix: 'list/', MaxKeys: 2, ContinuationToken: token }),
      );
      expect(part.KeyCount).toBeLessThanOrEqual(2);
      found.push(...(part.Contents ?? []).map(({ Key }) => Key));
      token = part.NextContinuationToken;
      expect(part.IsTruncated).toBe(token !== undefined);
    } while (token !== undefined);
    expect(found).toEqual(keys);
    expect(await keysOf('plain', { Prefix: 'list/', StartAfter: 'list/c' })).toEqual(['list/d', 'list/e']);
    await put('plain', 'coded/a b', 'x');
    expect(await keysOf('plain', { Prefix: 'coded/', EncodingType: 'url' })).toEqual(['coded/a%20b']);
  });

  it('loses what was deleted together', async () => {
    const keys = ['many/<1>', 'many/&2', 'many/3'];
    for (const key of keys) await put('plain', key, key);
    const Objects = [...keys.slice(0, 2), 'many/never-was'].map((Key) => ({ Key }));
    const { Deleted } = await client.send(new DeleteObjectsCommand({ Bucket: 'plain', Delete: { Objects } }));
    expect(Deleted?.map(({ Key }) => Key)).toEqual(Objects.map(({ Key }) => Key));
    expect(await keysOf('plain', { Prefix: 'many/' })).toEqual(['many/3']);
  });
});

describe('the bucket of payloads', () => {
  it('has what the payloads port kept, and the other way round', async () => {
    const ref = await payloads.put('t1', 'a prompt');
    expect((await read('baton-payloads', `payloads/${ref}`)).toString()).toBe('a prompt');
    expect(await keysOf('baton-payloads', { Prefix: 'payloads/t1.' })).toEqual([`payloads/${ref}`]);
    expect(await keysOf('baton-payloads')).toEqual([`payloads/${ref}`]);
    expect(await keysOf('baton-payloads', { Prefix: 'other/' })).toEqual([]);
    expect(await keysOf('baton-payloads', { StartAfter: 'other' })).toEqual([`payloads/${ref}`]);
    expect(await keysOf('baton-payloads', { StartAfter: 'quite other' })).toEqual([]);
    await put('baton-payloads', 'payloads/t2.x', '\uFEFFgrüße');
    expect(await payloads.get('t2.x')).toBe('\uFEFFgrüße');
    await payloads.delete('t2.x');
    expect(await errorOf(read('baton-payloads', 'payloads/t2.x'))).toMatchObject({ name: 'NoSuchKey' });
  });

  it('takes nothing else: no other keys, no bytes that are no text', async () => {
    expect(await errorOf(put('baton-payloads', 'TASK#t1', 'x'))).toMatchObject({ name: 'AccessDenied', status: 403 });
    const bytes = Buffer.from([255, 254]);
    expect(await errorOf(put('baton-payloads', 'payloads/t1.y', bytes))).toMatchObject({ name: 'InvalidRequest' });
    await store.put('TASK#t1', 'a task', 'absent');
    expect(await errorOf(read('baton-payloads', 'TASK#t1'))).toMatchObject({ name: 'NoSuchKey' });
  });
});

describe('what is not served', () => {
  it('is refused instead of half done', async () => {
    const copy = new CopyObjectCommand({ Bucket: 'plain', Key: 'b', CopySource: 'plain/a' });
    expect(await errorOf(client.send(copy))).toMatchObject({ name: 'NotImplemented', status: 501 });
    const tags = new GetObjectTaggingCommand({ Bucket: 'plain', Key: 'a' });
    expect(await errorOf(client.send(tags))).toMatchObject({ name: 'NotImplemented' });
    const folders = new ListObjectsV2Command({ Bucket: 'plain', Delimiter: '/' });
    expect(await errorOf(client.send(folders))).toMatchObject({ name: 'NotImplemented' });
    const once = new PutObjectCommand({ Bucket: 'plain', Key: 'a', Body: 'x', IfNoneMatch: '*' });
    expect(await errorOf(client.send(once))).toMatchObject({ name: 'NotImplemented' });
  });
});

describe('a body on its way', () => {
  const chunked = (body: string, more: Record<string, string> = {}) =>
    sentBody({
      headers: { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', ...more },
      body: Buffer.from(body),
    }).toString();

  it('is put together again, signatures of chunks or not', () => {
    expect(chunked('3\r\nabc\r\n2;chunk-signature=0f\r\nde\r\n0\r\n\r\n')).toBe('abcde');
  });

  it('in XML says its characters by name or number, and nothing that is none', () => {
    const key = '<Key>&lt;&#65;&#x1F600;&amp;amp;&#x110000;&what;</Key>';
    expect(textsOf(key, 'Key', 'decoded')).toEqual(['<A\u{1F600}&amp;&#x110000;&what;']);
  });

  it('is refused when something of it is missing', () => {
    for (const broken of ['3\r\nab', '2\r\nab..0\r\n\r\n', 'x\r\nabc\r\n0\r\n\r\n', '3\r\nabc\r\n', '']) {
      expect(() => chunked(broken)).toThrow('number of bytes');
    }
    expect(() => chunked('3\r\nabc\r\n0\r\n\r\n', { 'x-amz-decoded-content-length': '4' })).toThrow('number of bytes');
  });

  it('is refused when it is not what was summed up', () => {
    expect(chunked('3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n')).toBe('abc');
    expect(() => chunked('3\r\nabd\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n')).toThrow('did not match');
    expect(() => chunked('1\r\na\r\n0\r\n\r\n', { 'content-md5': 'AAAA' })).toThrow('did not match');
  });
});
