import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { webhooksOver } from '../../runtime/webhooks.ts';
import { WEBHOOK_BODY_VERSION, type WebhookBody } from '../../schemas/webhook-body.ts';
import { aTaskId, at } from '../builders.ts';
import { type WebhookReceiver, webhookReceiver } from '../webhook-receiver.ts';

const body: WebhookBody = {
  version: WEBHOOK_BODY_VERSION,
  taskId: aTaskId(),
  status: 'COMPLETED',
  repository: 'https://git.example.org/app',
  userId: 'ada',
  attempt: 1,
  submittedAt: at(0),
  endedAt: at(1),
};
const about = { id: 'fact-1' };

let receiver: WebhookReceiver;
beforeEach(async () => {
  receiver = await webhookReceiver();
});
afterEach(() => receiver.close());

describe('a webhook', () => {
  const webhooks = webhooksOver({ allowed: 'local', timeoutSeconds: 0.2 });

  it('is sent the body as JSON, with the id by which a repetition is known', async () => {
    expect(await webhooks.post(`${receiver.url}/hook?token=t`, body, about)).toEqual({ outcome: 'delivered' });
    expect(receiver.received).toMatchObject([
      { id: 'fact-1', path: '/hook?token=t', body, headers: { 'content-type': 'application/json' } },
    ]);
  });

  it.each([200, 201, 202, 204])('that answers %i has it', async (status) => {
    receiver.answers(status);
    expect(await webhooks.post(receiver.url, body, about)).toEqual({ outcome: 'delivered' });
  });

  it.each([400, 401, 403, 404, 410, 413, 422])('that answers %i refuses it for good', async (status) => {
    receiver.answers(status);
    const message = `${new URL(receiver.url).host} answered ${status}.`;
    expect(await webhooks.post(receiver.url, body, about)).toEqual({ outcome: 'refused', message });
  });

  it.each([408, 425, 429, 500, 502, 503, 504])('that answers %i may take it later', async (status) => {
    receiver.answers(status);
    await expect(webhooks.post(receiver.url, body, about)).rejects.toMatchObject({
      code: 'channel_unavailable',
      retry: 'soon',
      message: expect.stringContaining(String(status)),
    });
  });

  it('that leads elsewhere is not followed', async () => {
    receiver.answers(302);
    expect(await webhooks.post(receiver.url, body, about)).toMatchObject({
      outcome: 'refused',
      message: expect.stringContaining('redirects are not followed'),
    });
    expect(receiver.received).toHaveLength(1);
  });

  it('that never answers is given up after a while', async () => {
    receiver.answers('silence');
    await expect(webhooks.post(receiver.url, body, about)).rejects.toMatchObject({
      code: 'channel_unavailable',
      message: expect.stringContaining('within 0.2 s'),
    });
  });

  it('that is not there may be there later', async () => {
    const { port } = await aFreePort();
    await expect(webhooks.post(`http://127.0.0.1:${port}/`, body, about)).rejects.toMatchObject({
      code: 'channel_unavailable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('is never named by more than its host: what follows may be a secret', async () => {
    receiver.answers(404);
    const target = `${receiver.url}/services/T0/hidden?token=hidden`;
    const told = [await webhooks.post(target, body, about)];
    receiver.answers(500);
    const thrown = await webhooks.post(target, body, about).catch((error: Error) => `${error.stack} ${error.cause}`);
    expect(JSON.stringify([told, thrown])).not.toContain('hidden');
  });

  it('that is posted to while the world closes is given up at once', async () => {
    receiver.answers('silence');
    const closing = new AbortController();
    const posted = webhooksOver({ allowed: 'local', until: closing.signal }).post(receiver.url, body, about);
    await receiver.until(1);
    closing.abort();
    await expect(posted).rejects.toMatchObject({ code: 'channel_unavailable' });
  });
});

describe('the address of a webhook', () => {
  const sent: string[] = [];
  const send = async (target: unknown) => {
    sent.push(String(target));
    return new Response(null, { status: 204 });
  };
  const postTo = async (allowed: 'public' | 'local', target: string) => {
    sent.length = 0;
    const { outcome } = await webhooksOver({ allowed, fetch: send as typeof fetch }).post(target, body, about);
    expect(sent).toHaveLength(outcome === 'delivered' ? 1 : 0);
    return outcome;
  };

  it.each(['https://hooks.example.org/x', 'https://hooks.example.org:8443/x', 'https://a.b.example.com'])(
    '%s is posted to on AWS and here',
    async (target) => {
      expect(await postTo('public', target)).toBe('delivered');
      expect(await postTo('local', target)).toBe('delivered');
    },
  );

  it.each(['http://localhost:8080/x', 'http://127.0.0.1/x', 'http://127.1:80/', 'http://[::1]:8080/'])(
    '%s is posted to here alone',
    async (target) => {
      expect(await postTo('local', target)).toBe('delivered');
      expect(await postTo('public', target)).toBe('refused');
    },
  );

  it.each([
    'https://169.254.169.254/latest/meta-data',
    'https://2852039166/',
    'https://0xa9fea9fe/',
    'https://10.0.0.1/',
    'https://[fd00:ec2::254]/',
    'https://[::ffff:127.0.0.1]/',
    'https://localhost/',
    'https://localhost./',
    'https://box/',
    'https://box.local/',
    'https://metadata.google.internal/',
    'https://ip-10-0-0-1.ec2.internal/',
    'https://sub.localhost/',
  ])('%s is never posted to from AWS', async (target) => {
    expect(await postTo('public', target)).toBe('refused');
  });

  it.each(['http://hooks.example.org/x', 'http://192.168.1.5/x', 'https://user:pass@hooks.example.org/', 'no address'])(
    '%s is posted to from nowhere',
    async (target) => {
      expect(await postTo('public', target)).toBe('refused');
      expect(await postTo('local', target)).toBe('refused');
    },
  );
});

/** A port on which nobody listens. */
async function aFreePort(): Promise<{ port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return { port };
}
