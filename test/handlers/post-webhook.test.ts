import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { notificationDue } from '../../events/notification-due.ts';
import { postWebhook } from '../../handlers/post-webhook.ts';
import { effectLedger } from '../../runtime/engine/effect-ledger.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { onceOnly } from '../../runtime/once.ts';
import { because, remedyFor } from '../../schemas/reason.ts';
import { webhookBody } from '../../schemas/webhook-body.ts';
import { anEvent, aResult, aTask, aTaskId, at } from '../builders.ts';
import { type WebhookReceiver, webhookReceiver } from '../webhook-receiver.ts';
import { aScene, typesOf } from './scene.ts';

const id = `${aTaskId()}#notify#0`;
const due = (fields: { replayOf?: string } = {}, subscriber = 0) =>
  anEvent(notificationDue.of({ channel: 'webhook', subscriber, status: 'COMPLETED' }), { id, ...fields });

let receiver: WebhookReceiver;
beforeEach(async () => {
  receiver = await webhookReceiver();
});
afterEach(() => receiver.close());

const subscribed = () => ({ subscribers: [{ channel: 'webhook' as const, target: `${receiver.url}/hook` }] });

describe('a subscriber of a task that has ended', () => {
  it('is told how', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'COMPLETED', labels: { team: 'red' }, ...subscribed() }));
    expect(await scene.deliver(postWebhook, due())).toEqual([]);
    expect(receiver.received).toMatchObject([{ id, path: '/hook' }]);
    expect(webhookBody.strict().parse(receiver.received[0]?.body)).toEqual({
      version: 1,
      taskId: aTaskId(),
      status: 'COMPLETED',
      result: aResult(),
      repository: '/srv/repository',
      userId: 'ada',
      labels: { team: 'red' },
      attempt: 1,
      submittedAt: at(0),
      endedAt: at(0),
    });
  });

  it('is told why it failed, and what may be done', async () => {
    const scene = aScene();
    const reason = because('no_capacity', 'No capacity for a week.');
    await scene.has(aTask({ status: 'FAILED', reason, ...subscribed() }));
    await scene.deliver(postWebhook, due());
    expect(receiver.received).toMatchObject([
      { body: { status: 'FAILED', reason: { ...reason, remedy: remedyFor('no_capacity', true) } } },
    ]);
  });

  it('who refuses is not told again; the refusal is a fact', async () => {
    const scene = aScene();
    receiver.answers(404);
    await scene.has(aTask({ status: 'COMPLETED', ...subscribed() }));
    expect(await scene.deliver(postWebhook, due())).toMatchObject([
      {
        'detail-type': 'NotificationRefused',
        detail: {
          metadata: { id: `${id}#NotificationRefused`, taskId: aTaskId(), causationId: id },
          data: { channel: 'webhook', subscriber: 0, message: expect.stringContaining('answered 404') },
        },
      },
    ]);
    expect(scene.ignored).toEqual([expect.stringMatching(/^webhook_refused: .*answered 404/)]);
  });

  it('who cannot be reached is told later', async () => {
    const scene = aScene();
    receiver.answers(503);
    await scene.has(aTask({ status: 'COMPLETED', ...subscribed() }));
    await expect(scene.deliver(postWebhook, due())).rejects.toMatchObject({ code: 'channel_unavailable' });
  });

  it('is told nothing by a replay', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'COMPLETED', ...subscribed() }));
    expect(await scene.deliver(postWebhook, due({ replayOf: 'again' }))).toEqual([]);
    expect(await scene.deliver(postWebhook, { ...due(), 'replay-name': 'again' })).toEqual([]);
    expect(receiver.received).toEqual([]);
  });

  it.each([
    ['who is none', 'unknown_subscriber', { status: 'COMPLETED' as const }],
    ['of a task that lives', 'task_has_not_ended', { status: 'RUNNING' as const }],
  ])('%s is told nothing', async (_, why, fields) => {
    const scene = aScene();
    await scene.has(aTask(fields));
    expect(await scene.deliver(postWebhook, due())).toEqual([]);
    expect(scene.ignored).toEqual([why]);
  });

  it('of a task that nobody knows any more is told nothing', async () => {
    const scene = aScene();
    await scene.deliver(postWebhook, due());
    expect(scene.ignored).toEqual(['unknown_task']);
  });
});

describe('a notification that is delivered again', () => {
  const world = async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'COMPLETED', ...subscribed() }));
    return { scene, once: onceOnly(postWebhook, effectLedger({ store: memoryStore({ freezeValues: true }) })) };
  };

  it('three times is posted once', async () => {
    const { scene, once } = await world();
    await scene.thrice(once, due());
    expect(receiver.received).toHaveLength(1);
    expect(scene.duplicates()).toBe(2);
  });

  it('at the same time is posted once', async () => {
    const { scene, once } = await world();
    await Promise.all([1, 2, 3].map(() => scene.deliver(once, due())));
    expect(receiver.received).toHaveLength(1);
  });

  it('after it failed is posted again, under the same id', async () => {
    const { scene, once } = await world();
    receiver.answers(500, 200);
    await expect(scene.deliver(once, due())).rejects.toMatchObject({ code: 'channel_unavailable' });
    await scene.deliver(once, due(), { tries: 2 });
    await scene.deliver(once, due(), { tries: 3 });
    expect(receiver.received.map((one) => one.id)).toEqual([id, id]);
  });

  it('after its refusal was perhaps not said says it again, and posts nothing', async () => {
    const { scene, once } = await world();
    receiver.answers(410);
    const [first] = await scene.deliver(once, due());
    expect(await scene.deliver(once, due(), { tries: 2 })).toEqual([first]);
    expect(typesOf(await scene.deliver(once, due()))).toEqual([]);
    expect(receiver.received).toHaveLength(1);
  });

  it('for another subscriber is another notification', async () => {
    const scene = aScene();
    const target = (path: string) => ({ channel: 'webhook' as const, target: `${receiver.url}${path}` });
    await scene.has(aTask({ status: 'COMPLETED', subscribers: [target('/a'), target('/b')] }));
    const once = onceOnly(postWebhook, effectLedger({ store: scene.store }));
    await scene.deliver(once, due());
    const other = { channel: 'webhook' as const, subscriber: 1, status: 'COMPLETED' };
    await scene.deliver(once, anEvent(notificationDue.of(other), { id: `${aTaskId()}#notify#1` }));
    expect(receiver.received.map(({ path }) => path)).toEqual(['/a', '/b']);
  });

  it('without the id of a fact is loud: nothing could tell two of them apart', async () => {
    const { scene, once } = await world();
    const { metadata, ...detail } = due().detail;
    const { id: _, ...rest } = metadata;
    const nameless = { ...due(), detail: { ...detail, metadata: rest } };
    await expect(scene.deliver(once, nameless)).rejects.toMatchObject({ code: 'malformed_event' });
    expect(receiver.received).toEqual([]);
  });
});
