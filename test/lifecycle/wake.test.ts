import { describe, expect, it } from '@jest/globals';
import { earliestDue, follow, touch } from '../../lifecycle/evolve.ts';
import { started } from '../../lifecycle/judge.ts';
import { lookAtLife, QUIET_CHECKS } from '../../lifecycle/life-signs.ts';
import type { Move } from '../../lifecycle/move.ts';
import { awsTimings, type Timings } from '../../lifecycle/timings.ts';
import { unknownPurposes, wake } from '../../lifecycle/wake.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { type DuePurpose, statuses, type Task } from '../../schemas/task.ts';
import {
  aCause,
  aClaim,
  aContext,
  aFailedReport,
  aKnownRun,
  aReport,
  aRun,
  aRunRecord,
  aSessionClaim,
  aSessionRun,
  aTask,
  at,
  testTimings as T,
} from '../builders.ts';
import { inWords } from './in-words.ts';

const wakeAt = (task: Task, seconds: number, record?: RunRecord) => wake(task, record, at(seconds), T);

/** What a wake-up sets anew, in seconds from then. */
function nextOf(task: Task, seconds: number): Partial<Record<DuePurpose, number | null>> {
  const move = wakeAt(task, seconds);
  if (move.kind !== 'mark') throw new Error(`expected a mark, not ${inWords(move)}`);
  return Object.fromEntries(
    Object.entries(move.due ?? {}).map(([purpose, when]) => [
      purpose,
      when === null ? null : (Date.parse(when) - Date.parse(at(seconds))) / 1000,
    ]),
  );
}

describe('a wake-up', () => {
  it.each(statuses)('too early for a %s task does nothing', (status) => {
    expect(inWords(wakeAt(aTask({ status }), 1))).toBe('ignore nothing_is_due');
  });

  it('of a settled task does nothing', () => {
    expect(inWords(wakeAt(aTask({ status: 'COMPLETED', settledAt: at(1) }), 9999))).toBe('ignore task_is_settled');
  });

  it.each(statuses)('for everything that a %s task waits for leaves something due, or ends it', (status) => {
    const task = aTask({ status });
    const move = wakeAt(task, 99_999);
    if (move.kind === 'mark') expect(Object.values(touch(task, move, aCause()).due).length).toBeGreaterThan(0);
    else expect(move.kind).toBe('step');
  });
});

describe('a step that was not taken', () => {
  it.each([
    ['SUBMITTED', 'TaskSubmitted'],
    ['ADMITTED', 'TaskAdmitted'],
    ['HYDRATED', 'TaskHydrated'],
  ] as const)('is asked for again: %s', (status, type) => {
    const task = aTask({ status });
    const move = wakeAt(task, T.STEP_RETRY_S);
    const again = move.kind === 'mark' ? (move.again ?? []) : [];
    expect(again.at(-1)?.facts.map((fact) => fact.type)).toEqual([type]);
    expect(nextOf(task, T.STEP_RETRY_S)).toEqual({ step: T.STEP_RETRY_S });
  });

  it('is asked for by the fact as it was stored, and stays without proof', () => {
    const task = aTask({ status: 'ADMITTED' });
    const move = wakeAt(task, T.STEP_RETRY_S);
    if (move.kind !== 'mark') throw new Error('expected a mark');
    expect(move.again).toEqual(task.history);
    expect(move.proven).toEqual([]);
  });
});

describe('a queued task', () => {
  it('has its key looked after again and again', () => {
    expect(nextOf(aTask({ status: 'QUEUED' }), T.QUEUE_CHECK_S)).toEqual({ queue: T.QUEUE_CHECK_S });
  });
});

describe('a start without a sign of life', () => {
  it('has the back end asked, and asked again', () => {
    const task = aTask({ status: 'STARTING' });
    expect(inWords(wakeAt(task, T.START_CHECK_S))).toBe('mark: RunCheckRequested');
    expect(nextOf(task, T.START_CHECK_S)).toEqual({ start: T.START_CHECK_S });
  });

  it('is never declared dead without asking', () => {
    for (const seconds of [21, 100, 1000, 3599]) {
      expect(wakeAt(aTask({ status: 'STARTING' }), seconds).kind).toBe('mark');
    }
  });
});

describe('a running task', () => {
  it('is not woken before its deadline, however silent it is', () => {
    expect(inWords(wakeAt(aTask({ status: 'RUNNING' }), 3599))).toBe('ignore nothing_is_due');
  });

  it('is stopped at its deadline', () => {
    expect(inWords(wakeAt(aTask({ status: 'RUNNING' }), 3600))).toBe('stop timed_out timed_out: RunStopRequested');
  });

  it('is completed at its deadline when its report is there', () => {
    const record = aRunRecord({ report: aReport() });
    expect(inWords(wakeAt(aTask({ status: 'RUNNING' }), 3600, record))).toBe('complete: TaskCompleted');
  });
});

describe('an exit 0 whose grace is over', () => {
  const task = aTask({ status: 'FINALIZING' });

  it.each<[string, RunRecord | undefined, string]>([
    ['without a report fails', aRunRecord(), 'fail exited_without_report: TaskFailed'],
    ['with a report of success completes', aRunRecord({ report: aReport() }), 'complete: TaskCompleted'],
    [
      'with a report of failure fails as it says',
      aRunRecord({ report: aFailedReport() }),
      'fail agent_failed: TaskFailed',
    ],
  ])('%s', (_, record, move) => {
    expect(inWords(wakeAt(task, T.REPORT_GRACE_S, record))).toBe(move);
  });
});

describe('a stop', () => {
  const asked = aTask({ status: 'STOPPING', run: aKnownRun({ stopRequests: 1 }) });

  it('is asked for again until the end is seen', () => {
    expect(inWords(wakeAt(asked, T.STOP_RETRY_S))).toBe('mark: RunStopRequested');
    expect(nextOf(asked, T.STOP_RETRY_S)).toEqual({ stop: T.STOP_RETRY_S });
  });

  // F13
  it('is given up with an orphan when no proof came in time', () => {
    const task = { ...asked, due: { stop: at(130), proof: at(120) } };
    expect(inWords(wakeAt(task, 120))).toBe('cancel cancelled: RunOrphaned, TaskCancelled');
  });

  it('is not given up while one more stop is due', () => {
    expect(inWords(wakeAt(asked, T.STOP_PROOF_S))).toMatch(/^mark: RunStopRequested/);
  });

  it('is not given up before the back end has answered a stop once', () => {
    const task = aTask({ status: 'STOPPING', due: { stop: at(130), proof: at(120) } });
    expect(inWords(wakeAt(task, 120))).toBe('mark: RunStopRequested');
    expect(nextOf(task, 120)).toEqual({ proof: T.STOP_RETRY_S / 2 });
  });

  it('is given up in the end even when no back end ever answers', () => {
    let task: Task = aTask({ status: 'STOPPING' });
    let woken = 0;
    for (let seconds = 0; seconds < 10_000; seconds++) {
      const move = wakeAt(task, seconds);
      if (move.kind === 'step') break;
      if (move.kind !== 'mark') continue;
      woken++;
      task = touch(task, move, aCause());
    }
    expect(woken).toBeLessThan(25);
    expect(inWords(wakeAt(task, 10_000))).toBe('cancel cancelled: RunOrphaned, TaskCancelled');
  });

  it('whose end is known, but whose closing got lost, is closed', () => {
    const ended = { at: at(1), proof: 'proven' as const };
    const task = aTask({ status: 'STOPPING', intent: 'lost', run: aKnownRun({ ended }) });
    expect(inWords(wakeAt(task, T.STOP_RETRY_S))).toBe('backOff cancelled: RunLost');
  });

  it('of a lost run gives way to the deadline', () => {
    const task = aTask({ status: 'STOPPING', intent: 'lost', due: { deadline: at(5), stop: at(16), proof: at(120) } });
    expect(inWords(wakeAt(task, 5))).toBe('redirect timed_out timed_out');
  });
});

describe('a wait between attempts that is over', () => {
  it('calls the next attempt, and calls again', () => {
    const task = aTask({ status: 'BACKOFF' });
    expect(inWords(wakeAt(task, T.BACKOFF_FIRST_S))).toBe('mark: AttemptDue');
    expect(wakeAt(task, T.BACKOFF_FIRST_S)).toMatchObject({ notes: [{ fact: { data: { attempt: 2 } } }] });
    expect(nextOf(task, T.BACKOFF_FIRST_S)).toEqual({ backoff: T.STEP_RETRY_S });
  });
});

describe('a task that has ended while its run lives on', () => {
  const task = aTask({ status: 'COMPLETED', due: { exit: at(60), proof: at(180), settle: at(999) } });

  it('has the run stopped when its grace is over', () => {
    expect(inWords(wakeAt(task, 60))).toBe('mark: RunStopRequested');
    expect(nextOf(task, 60)).toEqual({ exit: T.STOP_RETRY_S });
  });

  it('gives the run up after the wait for a proof, and settles without it', () => {
    const asked = {
      ...task,
      due: { exit: at(200), proof: at(180), settle: at(999) },
      run: aKnownRun({ stopRequests: 4 }),
    };
    expect(inWords(wakeAt(asked, 180))).toBe('mark ended given_up: RunEnded');
    expect(nextOf(asked, 180)).toEqual({ exit: null, proof: null });
  });

  it('stops asking once the run has ended', () => {
    const over = { ...task, run: aKnownRun({ ended: { at: at(1), proof: 'proven' as const } }) };
    expect(nextOf(over, 180)).toEqual({ exit: null, proof: null });
  });
});

describe('an ended task that is not settled', () => {
  const task = aTask({ status: 'CANCELLED' });

  it('says its end again, with that of its compute', () => {
    const move = wakeAt(task, T.SETTLE_RETRY_S);
    expect(inWords(move)).toBe('mark: RunEnded');
    expect(move.kind === 'mark' && move.again?.at(-1)?.facts.map((fact) => fact.type)).toEqual(['TaskCancelled']);
    expect(nextOf(task, T.SETTLE_RETRY_S)).toEqual({ settle: T.SETTLE_RETRY_S });
  });

  it('never counts its own end as told by saying it', () => {
    const move = wakeAt(task, T.SETTLE_RETRY_S);
    expect(move.kind === 'mark' && move.proven).not.toContain(task.version);
  });
});

describe('waking twice at the same moment', () => {
  it.each(statuses)('says the same again, under the same ids: %s', (status) => {
    const task = aTask({ status, ...(status === 'STARTING' ? { run: aRun() } : {}) } as { status: typeof status });
    expect(wakeAt(task, 99_999)).toEqual(wakeAt(task, 99_999));
  });
});

// F25
describe('a due date of a purpose that this version does not know', () => {
  it('is put off and left to the version that does; everything else is done', () => {
    const task = aTask({ status: 'SUBMITTED' });
    const strange = { ...task, due: { ...task.due, heartbeat: at(1) } } as Task;
    const move = wakeAt(strange, T.STEP_RETRY_S);
    expect(move).toMatchObject({
      kind: 'mark',
      due: { heartbeat: at(T.STEP_RETRY_S * 2), step: at(T.STEP_RETRY_S * 2) },
    });
    expect(unknownPurposes(strange)).toEqual(['heartbeat']);
  });
});

describe('a look at the signs of life of a run whose back end tells nothing', () => {
  const starting = aTask({ status: 'STARTING', compute: 'agentcore' });
  const running = aTask({ status: 'RUNNING', compute: 'agentcore' });
  const claimed = aRunRecord({ claim: aSessionClaim() });

  it('keeps what it saw, comes again, and says nothing', () => {
    const move = wakeAt(running, T.LIFE_LOOK_S, claimed);
    expect(inWords(move)).toBe('mark');
    expect(move).toMatchObject({ run: { life: { sign: at(0), at: at(T.LIFE_LOOK_S) } }, again: [] });
    expect(nextOf(running, T.LIFE_LOOK_S)).toEqual({ life: T.LIFE_LOOK_S });
  });

  it('leaves who has not claimed to the due date of the start', () => {
    for (const record of [undefined, aRunRecord()]) {
      expect(inWords(wakeAt(starting, T.LIFE_LOOK_S, record))).toBe('mark');
    }
    let task: Task = starting;
    for (let seconds = T.LIFE_LOOK_S; seconds < 3600; seconds += T.LIFE_LOOK_S) {
      const move = wake({ ...task, due: { life: at(seconds) } }, aRunRecord(), at(seconds), T);
      if (move.kind !== 'mark') throw new Error(inWords(move));
      task = touch(task, move, aCause());
    }
    expect(inWords(wakeAt(starting, T.START_CHECK_S, aRunRecord()))).toBe('mark: RunCheckRequested');
  });

  it('finds the claim of which nobody heard', () => {
    expect(inWords(wakeAt(starting, T.LIFE_LOOK_S, claimed))).toBe('run: RunStarted');
  });

  it.each([
    ['STARTING', aReport(), 'complete: TaskCompleted'],
    ['RUNNING', aReport(), 'complete: TaskCompleted'],
    ['RUNNING', aFailedReport(), 'fail agent_failed: TaskFailed'],
  ] as const)('finds the report of which nobody heard, in %s', (status, report, move) => {
    const task = aTask({ status, compute: 'agentcore' });
    expect(inWords(wakeAt(task, T.LIFE_LOOK_S, { ...claimed, report }))).toBe(move);
  });

  it('leaves the deadline as it is', () => {
    expect(inWords(wakeAt(running, 3600, claimed))).toBe('stop timed_out timed_out: RunStopRequested');
  });

  // F6
  it.each(['COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT'] as const)(
    'never comes once the task is %s, and changes nothing of it if it does',
    (status) => {
      const life = { sign: at(0), at: at(0), looks: 9 };
      const task = aTask({ status, compute: 'agentcore', run: aSessionRun({ life }) });
      expect(task.due).not.toHaveProperty('life');
      expect(lookAtLife({ dispatchedAt: at(0), life }, claimed, at(500), T).life).toBe('silent');
      const due = { ...task.due, life: at(1) };
      for (const seconds of [1, 500, 99_999]) {
        expect(wake({ ...task, due } as Task, claimed, at(seconds), T).kind).toBe('mark');
      }
    },
  );
});

// B34
describe('a run whose back end tells of its end', () => {
  const claimed = aRunRecord({ claim: aClaim(), heartbeatAt: at(0) });
  const HALF_AN_HOUR_S = 1_800;

  it('is not called dead for half an hour of silence', () => {
    const task = aTask({ status: 'RUNNING' });
    for (let seconds = 1; seconds <= HALF_AN_HOUR_S; seconds++) {
      expect(inWords(wakeAt(task, seconds, claimed))).toBe('ignore nothing_is_due');
    }
  });

  it('is not even when something had its signs of life looked at', () => {
    const life = { sign: `${at(0)} ${at(0)}`, at: at(0), looks: 9 };
    const task = aTask({ status: 'RUNNING', run: aKnownRun({ life }) });
    const strange = { ...task, due: { ...task.due, life: at(1) } };
    expect(inWords(wakeAt(strange, HALF_AN_HOUR_S, claimed))).toBe('mark');
    expect(nextOf(strange, HALF_AN_HOUR_S)).toEqual({ life: null });
  });
});

/** A run that leaves signs of life, and its task's alarm, each ring `late` seconds late, until the task moves on. */
function watched(
  record: (second: number) => RunRecord,
  { timings = T, late = 0, until = 3_000 }: { timings?: Timings; late?: number; until?: number } = {},
): { second: number; move: Move } | undefined {
  let task: Task = follow(
    aTask({ status: 'STARTING', compute: 'agentcore' }),
    started(aTask({ status: 'STARTING', compute: 'agentcore' }), aSessionRun(), aSessionClaim().nativeId),
    aContext({ timings }),
  );
  for (;;) {
    const second = (Date.parse(earliestDue(task) ?? '') - Date.parse(at(0))) / 1_000 + late;
    if (second > until) return undefined;
    const move = wake(task, record(second), at(second), timings);
    if (move.kind === 'step') return { second, move };
    if (move.kind === 'mark') task = touch(task, move, aCause());
  }
}

const beating = (lastSign: number, every: number, clock = (second: number) => second) => {
  const begun = aRunRecord({ claim: aSessionClaim() });
  return (second: number): RunRecord => {
    const beat = Math.floor(Math.min(second, lastSign) / every);
    return beat < 1 ? begun : { ...begun, heartbeatAt: at(clock(beat * every)) };
  };
};

describe('a run that dies without a word', () => {
  const every = awsTimings.HEARTBEAT_S;

  it.each([0, 1, 2, 4])('is known dead within 120 s of its last sign, with alarms that ring %i s late', (late) => {
    for (let lastSign = 0; lastSign <= 300; lastSign += every) {
      const { second, move } = watched(beating(lastSign, every), { timings: awsTimings, late }) ?? {};
      expect(move && inWords(move)).toBe('stop lost no_heartbeat: RunStopRequested');
      expect(second).toBeLessThanOrEqual(lastSign + 120);
      expect(second).toBeGreaterThanOrEqual(lastSign + awsTimings.HEARTBEAT_SILENCE_S);
    }
  });
});

describe('a run that lives', () => {
  // F27
  it('through a tool call of an hour that says nothing is not called dead: its runner beats', () => {
    expect(watched(beating(9_999, T.HEARTBEAT_S))).toBeUndefined();
  });

  // F14
  it.each<[string, (second: number) => number]>([
    ['is behind by a year', (second) => second - 31_536_000],
    ['is ahead by a year', (second) => second + 31_536_000],
    ['runs backwards', (second) => -second],
    ['runs at a tenth of the speed', (second) => second / 10],
  ])('is not called dead for a clock that %s, and a dead one is', (_, clock) => {
    expect(watched(beating(9_999, T.HEARTBEAT_S, clock))).toBeUndefined();
    const { second } = watched(beating(600, T.HEARTBEAT_S, clock)) ?? {};
    expect(second).toBeLessThanOrEqual(600 + T.HEARTBEAT_SILENCE_S + 2 * T.LIFE_LOOK_S);
  });
});

describe('a run that works, whose back end may have lost what it said of it', () => {
  const looks = QUIET_CHECKS * T.START_CHECK_S;
  const [onFleet, onEcs] = (['ec2', 'ecs'] as const).map((compute) => {
    const starting = { ...aTask({ status: 'STARTING', compute }), deadlineAt: at(99 * looks) };
    const move = started(starting, starting.run, 'native');
    return follow(starting, move, aContext({ at: at(0) }));
  }) as [Task, Task];

  // F24
  it('is asked about now and then, which decides nothing', () => {
    expect(onFleet.due).toMatchObject({ life: at(looks) });
    expect(inWords(wakeAt(onFleet, looks - 1))).toBe('ignore nothing_is_due');
    expect(inWords(wakeAt(onFleet, looks))).toBe('mark: RunCheckRequested');
    expect(nextOf(onFleet, looks)).toEqual({ life: looks });
  });

  it('is not asked about where nothing that is said is lost', () => {
    expect(onEcs.due).not.toHaveProperty('life');
  });

  it('is judged by its report, where one is stored', () => {
    expect(inWords(wakeAt(onFleet, looks, aRunRecord({ claim: aClaim(), report: aReport() })))).toBe(
      'complete: TaskCompleted',
    );
  });
});
