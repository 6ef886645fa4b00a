import { describe, expect, it } from '@jest/globals';
import { runEnded } from '../../events/run-ended.ts';
import { runFenced } from '../../events/run-fenced.ts';
import { announceOrphan } from '../../handlers/announce-orphan.ts';
import { closeStop } from '../../handlers/close-stop.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Task } from '../../schemas/task.ts';
import { aClaim, aKnownRun, anArn, anEvent, aRunRecord, aTask, aTaskId, at } from '../builders.ts';
import { aScene, typesOf } from './scene.ts';

const fenced = (name = 'run-1') =>
  anEvent(runFenced.of({ taskId: aTaskId(), attempt: 1, nativeId: anArn(name), seq: 9 }));
const over: Partial<RunRecord> = { claim: aClaim(), noClaim: true, closed: true };

async function sceneOf(record: Partial<RunRecord>, task: Task = aTask({ status: 'BACKOFF' })) {
  const scene = aScene();
  await scene.has(task);
  await scene.hasRun(aRunRecord(record));
  return scene;
}

// F12
describe('a run that lives on after its end', () => {
  it('is announced with all that is needed to find it, and noted', async () => {
    const scene = await sceneOf(over);
    scene.pass(7);
    const [orphan, ...more] = await scene.deliver(announceOrphan, fenced());
    expect(more).toEqual([]);
    expect(orphan).toMatchObject({
      id: `${aTaskId()}#attempt-1#RunOrphaned`,
      'detail-type': 'RunOrphaned',
      time: at(7),
      detail: {
        data: {
          compute: 'ecs',
          startedBy: `baton/test/${aTaskId()}/1`,
          nativeId: anArn(),
          message: expect.stringContaining('attempt 1'),
        },
      },
    });
    expect((await scene.record())?.outlivedAt).toBe(at(7));
  });

  it('is announced once, however often it says so', async () => {
    const scene = await sceneOf(over);
    expect(await scene.thrice(announceOrphan, fenced())).toEqual([['RunOrphaned'], [], []]);
  });

  it('is announced again, as it was, by a retry: the first try may have ended before it was said', async () => {
    const scene = await sceneOf(over);
    const [first] = await scene.deliver(announceOrphan, fenced());
    scene.pass(3);
    const [second] = await scene.deliver(announceOrphan, fenced(), { tries: 2 });
    expect(second).toMatchObject({ id: first?.id, time: first?.time, detail: { data: first?.detail.data } });
  });

  it('moves no task, not even one that is settled', async () => {
    const settled = aTask({ status: 'COMPLETED', settledAt: at(1) });
    const scene = await sceneOf(over, settled);
    expect(typesOf(await scene.deliver(announceOrphan, fenced()))).toEqual(['RunOrphaned']);
    expect(await scene.task()).toEqual(settled);
  });
});

describe('a refusal that is no sign of an orphan', () => {
  it.each([
    ['of a second run, which never claimed', over, fenced('run-2'), 'not_the_claimant_of_a_closed_attempt'],
    ['where nobody claimed', { noClaim: true, closed: true }, fenced(), 'not_the_claimant_of_a_closed_attempt'],
    ['while the attempt is open', { claim: aClaim() }, fenced(), 'not_the_claimant_of_a_closed_attempt'],
  ] as const)('%s is ignored', async (_, record, event, reason) => {
    const scene = await sceneOf(record);
    expect(await scene.deliver(announceOrphan, event)).toEqual([]);
    expect(scene.ignored).toEqual([reason]);
    expect((await scene.record())?.outlivedAt).toBeUndefined();
  });

  const givenUp = aKnownRun({ stopRequests: 3, ended: { at: at(1), proof: 'given_up' } });

  it('of a run that was given up before is not announced a second time', async () => {
    const scene = await sceneOf(over, aTask({ status: 'STOPPING', intent: 'lost', run: givenUp }));
    const ended = anEvent(runEnded.of({ compute: 'ecs', status: 'STOPPING', proof: 'given_up' }));
    expect(typesOf(await scene.deliver(closeStop, ended))).toContain('RunOrphaned');
    expect(await scene.deliver(announceOrphan, fenced())).toEqual([]);
    expect(scene.ignored).toEqual(['orphan_is_known']);
  });

  it('of a run whose task will say it when it settles is left to that', async () => {
    const scene = await sceneOf(over, aTask({ status: 'COMPLETED', run: givenUp }));
    expect(await scene.deliver(announceOrphan, fenced())).toEqual([]);
    expect(scene.ignored).toEqual(['orphan_is_known']);
  });
});
