import { describe, expect, it } from '@jest/globals';
import { type KnownLife, livesOver } from '../../runtime/session-backend.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Task } from '../../schemas/task.ts';
import { aReport, aRunRecord, aSessionClaim, aSessionRun, aTask, aTaskId, at, testTimings as T } from '../builders.ts';

const claimed = aRunRecord({ claim: aSessionClaim(), heartbeatAt: at(3) });
const life = { sign: `${at(0)} ${at(3)}`, at: at(3), looks: 9 };
const silent = aSessionRun({ life });

/** What is known of attempt 1 of a task, at a time. */
function lifeAt(
  seconds: number,
  task: Task | undefined,
  record: RunRecord | undefined,
): Promise<KnownLife | undefined> {
  const lifeOf = livesOver({
    tasks: { get: async () => task },
    runs: { get: async () => record },
    clock: { now: () => at(seconds) },
    timings: () => T,
  });
  return lifeOf({ stage: 'test', taskId: aTaskId(), attempt: 1 });
}

describe('what is known of a session by its records', () => {
  it('is nothing where its record was never opened', async () => {
    expect(await lifeAt(1, aTask({ status: 'STARTING', compute: 'agentcore' }), undefined)).toBeUndefined();
  });

  it.each<[string, Task, RunRecord, number, KnownLife]>([
    [
      'starts',
      aTask({ status: 'STARTING', compute: 'agentcore' }),
      aRunRecord(),
      1,
      { life: 'starting', claimed: false },
    ],
    [
      'was to claim and did not',
      aTask({
        status: 'STARTING',
        compute: 'agentcore',
        run: aSessionRun({ life: { sign: '', at: at(0), looks: 3 } }),
      }),
      aRunRecord(),
      T.START_CHECK_S,
      { life: 'silent', claimed: false },
    ],
    [
      'was to claim, and slept with us',
      aTask({ status: 'STARTING', compute: 'agentcore' }),
      aRunRecord(),
      T.START_CHECK_S,
      { life: 'starting', claimed: false },
    ],
    ['has claimed', aTask({ status: 'STARTING', compute: 'agentcore' }), claimed, 99, { life: 'alive', claimed: true }],
    [
      'beats',
      aTask({ status: 'RUNNING', compute: 'agentcore', run: silent }),
      { ...claimed, heartbeatAt: at(9) },
      99,
      { life: 'alive', claimed: true },
    ],
    [
      'does not beat any more',
      aTask({ status: 'RUNNING', compute: 'agentcore', run: silent }),
      claimed,
      99,
      { life: 'silent', claimed: true },
    ],
  ])('while its task waits for it: it %s', async (_, task, record, seconds, known) => {
    expect(await lifeAt(seconds, task, record)).toEqual(known);
  });

  // Nobody looks at a run that must end: its last signs are always news, and would keep it alive until it is given up.
  it.each(['STOPPING', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT', 'BACKOFF'] as const)(
    'is that it is over once its task is %s, whatever it wrote last',
    async (status) => {
      const task = aTask({ status, compute: 'agentcore' });
      const record = { ...claimed, heartbeatAt: at(98) };
      expect(await lifeAt(99, task, record)).toEqual({ life: 'over', claimed: true });
    },
  );

  // F26
  it('is that it is over once the next attempt works', async () => {
    const task = aTask({ status: 'RUNNING', compute: 'agentcore', attempt: 2, run: aSessionRun({ attempt: 2 }) });
    expect(await lifeAt(99, task, { ...claimed, heartbeatAt: at(98) })).toEqual({ life: 'over', claimed: true });
  });

  it('is that it is over once its report is stored, or its task is gone', async () => {
    const task = aTask({ status: 'RUNNING', compute: 'agentcore' });
    expect(await lifeAt(4, task, { ...claimed, report: aReport() })).toEqual({ life: 'over', claimed: true });
    expect(await lifeAt(4, undefined, aRunRecord())).toEqual({ life: 'over', claimed: false });
  });
});
