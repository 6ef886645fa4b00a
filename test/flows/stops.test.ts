import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { taskIdFor, USER_DEFAULT } from '../../runtime/task-id.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { configure } from './configure.ts';
import { onLoopback, openLoopbackScene } from './every-world.ts';
import { lossesOf } from './facts.ts';
import { eventually, type FlowScene, linesOf, openScene } from './scene.ts';

// F32. On loopback Spot is told in stories/taken-away.ts.
describe('embedded, a repository whose runs begin on Spot capacity', () => {
  const NO_CAPACITY =
    'Capacity is unavailable at this time. Please try again later or in a different availability zone';
  let scene: FlowScene;
  beforeAll(async () => {
    let isFirst = true;
    scene = await openScene({
      failStart: () => {
        const none = isFirst;
        isFirst = false;
        return none ? NO_CAPACITY : undefined;
      },
    });
    await configure(scene, { capacity: 'spot-first' });
  });
  afterAll(() => scene.close());

  it('has the next attempt on demand when there is none', async () => {
    const taskId = await scene.submit('echo done > done.txt');
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(lossesOf(scene, taskId)).toEqual([{ code: 'no_capacity', message: NO_CAPACITY }]);
    expect([providerOf(scene, taskId, 1), providerOf(scene, taskId, 2)]).toEqual(['FARGATE_SPOT', 'FARGATE']);
  });

  it('has the next attempt on demand, with the saved work, when it is taken back', async () => {
    const halves = join(scene.folder, 'halves');
    const taskId = await scene.submit(
      `if [ -e first.txt ]; then echo b > second.txt; else echo a > first.txt; echo half >> ${halves}; sleep 300; fi`,
    );
    await eventually(() => linesOf(halves)[0], 'half of the work');
    await eventually(async () => (await scene.world.interrupt(taskId, 'spot')) || undefined, 'a run on Spot');
    expect(await scene.settled(taskId)).toMatchObject({
      status: 'COMPLETED',
      attempt: 2,
      result: { filesChanged: 2 },
    });
    expect(scene.inRemote('show', `baton/${taskId}:first.txt`)).toBe('a');
    expect(scene.inRemote('show', `baton/${taskId}:second.txt`)).toBe('b');
    expect(lossesOf(scene, taskId)).toMatchObject([{ code: 'spot_interrupted' }]);
    expect([providerOf(scene, taskId, 1), providerOf(scene, taskId, 2)]).toEqual(['FARGATE_SPOT', 'FARGATE']);
  });
});

// F1, F15: the embedded ECS answers in the same process; only here an answer can be lost.
onLoopback(() => {
  let scene: FlowScene;
  beforeAll(async () => {
    scene = await openLoopbackScene({
      timings: { START_CHECK_S: START_CHECKED_S },
      dieAt: ({ name }) => (name === 'ecs.RunTask' ? 'after' : undefined),
      loses: (event) => isOf(event, taskIdFor(USER_DEFAULT, { key: UNSAID })) && saysItStarted(event),
    });
  });
  afterAll(() => scene.close());

  describe('a run whose id was never answered', () => {
    it('is adopted by what it was started by, and no second one is started', async () => {
      const starts = join(scene.folder, 'starts');
      const taskId = await scene.submit(`echo start >> ${starts}; sleep 2; echo done > done.txt`);
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      expect(linesOf(starts)).toEqual(['start']);
      const arns = new Set(changesOf(scene, taskId, 1).map(({ taskArn }) => taskArn));
      expect([...arns]).toEqual([task.run?.nativeId]);
      expect(scene.world.troubles().some((trouble) => trouble.includes('Runtime.ExitError'))).toBe(true);
    });
  });

  describe('a run of which nobody says that it started', () => {
    it('is asked about when its start is overdue, and found at work', async () => {
      const gate = join(scene.folder, 'gate');
      const agent = `while [ ! -e ${gate} ]; do sleep 0.05; done; echo done > done.txt`;
      const taskId = await scene.submit(agent, { idempotencyKey: UNSAID });
      const running = await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
      expect(running.history.at(-1)?.cause.type).toBe('RunAsked');
      writeFileSync(gate, '');
      expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    });
  });
});

/** Key of the task whose start nobody tells of. */
const UNSAID = 'unsaid';
/** A start is overdue here after so long, in seconds. */
const START_CHECKED_S = 3;

const isOf = ({ detail }: Envelope, taskId: string): boolean => JSON.stringify(detail).includes(taskId);
const saysItStarted = ({ source, 'detail-type': type, detail }: Envelope): boolean =>
  type === 'RunClaimed' || (source === 'aws.ecs' && (detail as { lastStatus?: string }).lastStatus !== 'STOPPED');

interface Change {
  readonly taskArn: string;
  readonly startedBy?: string;
  readonly capacityProviderName?: string;
}

/** What ECS told of an attempt. */
const changesOf = (scene: FlowScene, taskId: string, attempt: number): Change[] =>
  scene.events
    .filter(({ source }) => source === 'aws.ecs')
    .map(({ detail }) => detail as Change)
    .filter(({ startedBy }) => startedBy === `baton/${scene.world.stage}/${taskId}/${attempt}`);

const providerOf = (scene: FlowScene, taskId: string, attempt: number): string =>
  changesOf(scene, taskId, attempt)[0]?.capacityProviderName ?? 'FARGATE';
