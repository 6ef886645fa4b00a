import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { notificationDue } from '../../../events/notification-due.ts';
import type { BatonEvent } from '../../../schemas/envelope.ts';
import { anEvent, aTask, aTaskId } from '../../builders.ts';
import { type PublicReceiver, publicReceiver } from '../../public-receiver.ts';
import { type AFunction, aBatch, aFunctionScene, aMessage, type FunctionScene } from './a-function.ts';

/** Starting an engine and bundling take seconds; so does a process on a busy machine. Milliseconds. */
const SLOW_MS = 120_000;
/** Receives of a message that are no retry, and that are. */
const FIRST = 1;
const AGAIN = 2;

let scene: FunctionScene;
beforeAll(async () => {
  scene = await aFunctionScene();
}, SLOW_MS);
afterAll(() => scene.close());

let tasks = 0;
/** A task that has ended, with one subscriber; answers the fact that it is to be told. */
async function aNotification(target: string): Promise<BatonEvent> {
  const taskId = aTaskId(`web${++tasks}x`);
  await scene.has(aTask({ status: 'COMPLETED', taskId, subscribers: [{ channel: 'webhook', target }] }));
  const fact = notificationDue.of({ channel: 'webhook', subscriber: 0, status: 'COMPLETED' });
  return anEvent(fact, { id: `${taskId}#notify#0`, taskId });
}

const linesOf = (running: AFunction, message: string) => running.lines().filter((line) => line['message'] === message);
const handled = { outcome: 'answered', payload: { batchItemFailures: [] } };
const comesBack = { outcome: 'answered', payload: { batchItemFailures: [expect.anything()] } };
const refusalsOf = ({ id }: BatonEvent) =>
  scene.aws.published().filter(({ detail }) => detail.metadata['causationId'] === id);

describe('the function that posts to webhooks', () => {
  let receiver: PublicReceiver;
  let post: AFunction;
  beforeAll(async () => {
    receiver = await publicReceiver();
    post = scene.start('post-webhook', receiver.environment);
  }, SLOW_MS);
  afterAll(() => receiver.close());
  beforeEach(() => receiver.answers(204));
  afterEach(() => scene.aws.answer('PutEvents', undefined));
  const idsAt = ({ id }: BatonEvent) => receiver.received.map((one) => one.id).filter((one) => one === id);

  test(
    'posts once, whoever delivers the fact again and in whatever envelope',
    async () => {
      const due = await aNotification(`${receiver.url}/hook`);
      expect(await post.invoke(aBatch(aMessage(due, FIRST)))).toEqual(handled);
      const [other] = [scene.start('post-webhook', receiver.environment)];
      const again = { ...due, id: 'another-envelope', time: '2026-02-01T00:00:00.000Z' };
      expect(await other.invoke(aBatch(aMessage(again, AGAIN)))).toEqual(handled);
      expect(idsAt(due)).toHaveLength(1);
      expect(receiver.received.at(-1)).toMatchObject({ path: '/hook', body: { version: 1, status: 'COMPLETED' } });
      expect(linesOf(other, 'handled').at(-1)).toMatchObject({ rule: 'post-webhook', outcome: 'duplicate' });
    },
    SLOW_MS,
  );

  test('lets the queue bring a message back that the receiver could not take, and posts it under the same id', async () => {
    receiver.answers(503, 204);
    const due = await aNotification(receiver.url);
    expect(await post.invoke(aBatch(aMessage(due, FIRST)))).toMatchObject(comesBack);
    expect(linesOf(post, 'failed').at(-1)).toMatchObject({ error: { code: 'channel_unavailable', retry: 'soon' } });
    expect(await post.invoke(aBatch(aMessage(due, AGAIN)))).toEqual(handled);
    expect(await post.invoke(aBatch(aMessage(due, AGAIN)))).toEqual(handled);
    expect(idsAt(due)).toHaveLength(2);
  });

  test('says a refusal once; again only to a retry, and posts nothing for that', async () => {
    receiver.answers(404);
    const due = await aNotification(receiver.url);
    scene.aws.answer('PutEvents', () => ({ fails: 'InternalException', status: 500 }));
    expect(await post.invoke(aBatch(aMessage(due, FIRST)))).toMatchObject(comesBack);
    scene.aws.answer('PutEvents', undefined);
    const before = refusalsOf(due).length;
    expect(await post.invoke(aBatch(aMessage(due, FIRST)))).toEqual(handled);
    expect(refusalsOf(due)).toHaveLength(before);
    expect(await post.invoke(aBatch(aMessage(due, AGAIN)))).toEqual(handled);
    expect(refusalsOf(due)).toHaveLength(before + 1);
    expect(refusalsOf(due).at(-1)).toMatchObject({ type: 'NotificationRefused', detail: { data: { subscriber: 0 } } });
    expect(idsAt(due)).toHaveLength(1);
  });

  test('that died while it posted is waited for as long as it may have had: nobody else posts meanwhile', async () => {
    receiver.answers('silence');
    const due = await aNotification(receiver.url);
    const doomed = scene.start('post-webhook', receiver.environment);
    const count = receiver.received.length;
    const died = doomed.invoke(aBatch(aMessage(due, FIRST)));
    await receiver.until(count + 1);
    doomed.kill();
    expect(await died).toMatchObject({ outcome: 'failed', unhandled: true });
    expect(await post.invoke(aBatch(aMessage(due, AGAIN)))).toMatchObject(comesBack);
    expect(linesOf(post, 'failed').at(-1)).toMatchObject({ error: { code: 'effect_under_way', retry: 'soon' } });
    expect(idsAt(due)).toHaveLength(1);
  });

  test('posts nothing while it is replayed', async () => {
    const due = await aNotification(receiver.url);
    expect(await post.invoke(aBatch(aMessage({ ...due, 'replay-name': 'again' }, FIRST)))).toEqual(handled);
    expect(idsAt(due)).toEqual([]);
    expect(linesOf(post, 'handled').at(-1)).toMatchObject({ outcome: 'ignored', reasons: ['replay'] });
  });

  test('says the address to nobody: not in its log, not in a fact', async () => {
    receiver.answers(404, 503);
    const due = await aNotification(`${receiver.url}/hidden-token`);
    await post.invoke(aBatch(aMessage(due, FIRST)));
    await post.invoke(aBatch(aMessage(await aNotification(`${receiver.url}/hidden-token`), FIRST)));
    expect(receiver.received.filter(({ path }) => path === '/hidden-token')).toHaveLength(2);
    expect(post.output.join('\n')).not.toContain('hidden-token');
    expect(JSON.stringify(scene.aws.calls)).not.toContain('hidden-token');
  });
});

describe('the function that posts to webhooks, where the address is inside a network', () => {
  test.each(['http://127.0.0.1:9/', 'https://169.254.169.254/latest/meta-data/', 'https://box.internal/'])(
    'refuses %s and says so',
    async (target) => {
      const due = await aNotification(target);
      expect(await scene.start('post-webhook').invoke(aBatch(aMessage(due, FIRST)))).toEqual(handled);
      expect(refusalsOf(due)).toMatchObject([{ type: 'NotificationRefused' }]);
    },
    SLOW_MS,
  );
});

describe('a function whose rule has no need of it', () => {
  test('has nothing of the ledger in its bundle', async () => {
    const { readFileSync } = await import('node:fs');
    const bundle = (rule: string) => readFileSync(`dist/lambda/${rule}/index.mjs`, 'utf8');
    expect(bundle('post-webhook')).toContain('idempotency');
    expect(bundle('admit-task')).not.toContain('idempotency_key');
    expect(bundle('admit-task')).not.toContain('EFFECT#');
  });
});
