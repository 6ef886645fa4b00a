import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../schemas/envelope.ts';
import { eventually, openScene, type Scene } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

const UNKNOWN = `t${'0'.repeat(24)}`;
let events = 0;
const event = (source: string, type: string, detail: unknown): Envelope => ({
  version: '0',
  id: `strange-${++events}`,
  'detail-type': type,
  source,
  account: '000000000000',
  time: new Date().toISOString(),
  region: 'local',
  resources: [],
  detail,
});

const quiet = () =>
  eventually(() => (scene.world.engine.bus.pending() === 0 ? true : undefined), 'every event to be handled');

describe('a malformed event on the bus', () => {
  it.each([
    ['baton.agent', 'RunReported', { data: { taskId: 7 } }],
    ['baton.request', 'TaskCancelRequested', { data: {} }],
    ['baton.request', 'TaskCancelRequested', {}],
    ['aws.ecs', 'ECS Task State Change', { startedBy: 'baton/local/x/1', lastStatus: 'STOPPED' }],
  ])('%s %s goes to the dead letters, once', async (source, type, detail) => {
    const malformed = event(source, type, detail);
    await scene.world.engine.bus.publish([malformed]);
    const letters = await eventually(() => {
      const found = scene.deadLetters.filter((letter) => letter.event.id === malformed.id);
      return found.length > 0 ? found : undefined;
    }, 'the dead letter');
    await quiet();
    for (const letter of letters) expect(letter).toMatchObject({ tries: 1, error: { code: 'malformed_event' } });
    const kept = (await scene.world.engine.bus.deadLetters()).filter((letter) => letter.event.id === malformed.id);
    expect(kept).toHaveLength(letters.length);
  });

  it('that asks for a task is answered with a stored rejection', async () => {
    const asking = event('baton.request', 'TaskRequested', {
      data: { repository: '', prompt: ' ', idempotencyKey: 'bad', surprise: 1 },
    });
    await scene.world.engine.bus.publish([asking]);
    const rejected = await eventually(
      () => scene.events.find((one) => one['detail-type'] === 'TaskRejected'),
      'the rejection',
    );
    const { taskId } = (rejected.detail as { data: { taskId: string } }).data;
    await quiet();
    await expect(scene.world.view(taskId)).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringMatching(/repository.*prompt|prompt.*repository/),
    });
    const request = { repository: scene.remote, prompt: 'Good now.', idempotencyKey: 'bad' };
    await expect(scene.world.submit(request)).rejects.toMatchObject({ code: 'rejected' });
  });
});

describe('an event about a task that nobody knows', () => {
  it.each([
    ['baton.request', 'TaskCancelRequested', { data: { taskId: UNKNOWN } }],
    ['baton.agent', 'RunReported', { data: { taskId: UNKNOWN, attempt: 1, nativeId: 'x', seq: 1 } }],
    ['baton.agent', 'RunProgressed', { data: { taskId: UNKNOWN, attempt: 1, nativeId: 'x', seq: 1, text: 'x' } }],
    [
      'aws.ecs',
      'ECS Task State Change',
      {
        taskArn: 'arn:x',
        clusterArn: 'arn:c',
        taskDefinitionArn: 'arn:d',
        startedBy: `baton/local/${UNKNOWN}/1`,
        lastStatus: 'STOPPED',
        desiredStatus: 'STOPPED',
        version: 5,
      },
    ],
    [
      'baton',
      'TaskAdmitted',
      { metadata: { taskId: UNKNOWN, attempt: 1, version: 2, id: 'y' }, data: { slotKey: 'x' } },
    ],
  ])('%s %s is noted and changes nothing else', async (source, type, detail) => {
    const before = await recordCount();
    const deadBefore = scene.deadLetters.length;
    await scene.world.engine.bus.publish([event(source, type, detail)]);
    await quiet();
    const journal = await eventually(async () => {
      const { ignored } = await scene.world.engine.journal.read(UNKNOWN);
      return ignored.find(({ cause }) => cause.type === type);
    }, 'the note');
    expect(journal.reason).not.toBe('');
    expect(scene.deadLetters).toHaveLength(deadBefore);
    expect(await recordCount()).toBe(before);
  });
});

describe('an event of a type that nobody knows', () => {
  it('is dropped', async () => {
    await scene.world.engine.bus.publish([event('somebody.else', 'Something Happened', { a: 1 })]);
    expect(scene.world.engine.bus.pending()).toBe(0);
  });
});

/** All records but the journal. */
async function recordCount(): Promise<number> {
  const all = await scene.world.engine.store.list('', { limit: 1000 });
  return all.filter(({ key }) => !key.startsWith('JOURNAL#')).length;
}
