import { describe, expect, it } from '@jest/globals';
import { runEnded } from '../../events/run-ended.ts';
import { runStarted } from '../../events/run-started.ts';
import { taskAdmitted } from '../../events/task-admitted.ts';
import { taskHydrated } from '../../events/task-hydrated.ts';
import { taskQueued } from '../../events/task-queued.ts';
import { closeStop } from '../../lifecycle/close-stop.ts';
import { assertTask, earliestDue, factId, follow, isCurrent, touch, unproven } from '../../lifecycle/evolve.ts';
import { lost } from '../../lifecycle/judge.ts';
import { mark, type Step, step } from '../../lifecycle/move.ts';
import { newTask } from '../../lifecycle/new-task.ts';
import { isTerminal } from '../../lifecycle/states.ts';
import { backoffSeconds } from '../../lifecycle/timings.ts';
import { wake } from '../../lifecycle/wake.ts';
import { TEXT_MAX_CHARS } from '../../schemas/json.ts';
import { because } from '../../schemas/reason.ts';
import { type DuePurpose, type Status, statuses, type Task } from '../../schemas/task.ts';
import { AGENT_COMMAND_MAX_BYTES, ATTEMPTS_MAX } from '../../schemas/task-request.ts';
import {
  aCause,
  aContext,
  aHandle,
  aKnownRun,
  aRun,
  aRunRecord,
  aTask,
  aTaskId,
  at,
  testTimings,
} from '../builders.ts';

describe('following a transition', () => {
  const task = aTask({ status: 'QUEUED' });
  const next = follow(task, step('admit', {}, [taskAdmitted.of({ slotKey: 'user:ada' })]), {
    ...aContext({ cause: aCause('grant-1', 'SlotGranted') }),
    at: at(7),
  });

  it('raises the version by one', () => {
    expect(next.version).toBe(task.version + 1);
  });

  it('stores who, when, from, to and the facts whole, under ids that anybody would give them', () => {
    expect(next.history.at(-1)).toEqual({
      transition: 'admit',
      from: 'QUEUED',
      to: 'ADMITTED',
      at: at(7),
      version: 3,
      attempt: 1,
      cause: { id: 'grant-1', type: 'SlotGranted' },
      facts: [
        { id: `${aTaskId()}#3#TaskAdmitted`, type: 'TaskAdmitted', schemaVersion: 1, data: { slotKey: 'user:ada' } },
      ],
    });
  });

  it('leaves behind what belonged to the old state alone', () => {
    expect(task).toHaveProperty('queuedAt');
    expect(next).not.toHaveProperty('queuedAt');
  });

  it('does not touch the task that it came from', () => {
    expect(task.status).toBe('QUEUED');
    expect(task.history).toHaveLength(2);
  });

  it('proves the entry whose fact caused it', () => {
    const queued = aTask({ status: 'SUBMITTED' });
    const [submitted] = queued.history;
    const cause = aCause(factId(queued.taskId, 1, 'TaskSubmitted'));
    const moved = follow(queued, step('admit', {}, []), aContext({ cause }));
    expect(submitted?.proven).toBeUndefined();
    expect(moved.history[0]?.proven).toBe(true);
  });
});

describe('what is due in a state that was just entered', () => {
  const T = testTimings;
  const due: Record<Status, Partial<Record<DuePurpose, number>>> = {
    SUBMITTED: { step: T.STEP_RETRY_S, deadline: 3600 },
    QUEUED: { queue: T.QUEUE_CHECK_S, deadline: 3600 },
    ADMITTED: { step: T.STEP_RETRY_S, deadline: 3600 },
    HYDRATED: { step: T.STEP_RETRY_S, deadline: 3600 },
    STARTING: { start: T.START_CHECK_S, deadline: 3600 },
    RUNNING: { deadline: 3600 },
    FINALIZING: { report: T.REPORT_GRACE_S, deadline: 3600 },
    STOPPING: { stop: T.STOP_RETRY_S, proof: T.STOP_PROOF_S },
    BACKOFF: { backoff: backoffSeconds(aTaskId(), 2, T), deadline: 3600 },
    COMPLETED: { exit: T.EXIT_GRACE_S, proof: T.EXIT_GRACE_S + T.STOP_PROOF_S, settle: T.SETTLE_RETRY_S },
    FAILED: { exit: T.EXIT_GRACE_S, proof: T.EXIT_GRACE_S + T.STOP_PROOF_S, settle: T.SETTLE_RETRY_S },
    CANCELLED: { settle: T.SETTLE_RETRY_S },
    TIMED_OUT: { settle: T.SETTLE_RETRY_S },
  };

  it.each(statuses)('%s', (status) => {
    const expected = Object.fromEntries(Object.entries(due[status]).map(([purpose, s]) => [purpose, at(s)]));
    expect(aTask({ status }).due).toEqual(expected);
  });

  // B34: only who beats is looked at.
  const dueOnAgentcore: Partial<Record<Status, Partial<Record<DuePurpose, number>>>> = {
    STARTING: { start: T.START_CHECK_S, life: T.LIFE_LOOK_S, deadline: 3600 },
    RUNNING: { life: T.LIFE_LOOK_S, deadline: 3600 },
    COMPLETED: { exit: T.LAST_WORD_GRACE_S, proof: T.LAST_WORD_GRACE_S + T.STOP_PROOF_S, settle: T.SETTLE_RETRY_S },
    FAILED: { exit: T.LAST_WORD_GRACE_S, proof: T.LAST_WORD_GRACE_S + T.STOP_PROOF_S, settle: T.SETTLE_RETRY_S },
  };

  it.each(statuses)('%s, where the back end tells nothing', (status) => {
    const expected = dueOnAgentcore[status] ?? due[status];
    expect(aTask({ status, compute: 'agentcore' }).due).toEqual(
      Object.fromEntries(Object.entries(expected).map(([purpose, s]) => [purpose, at(s)])),
    );
  });

  it('keeps the deadline while a lost run is stopped, because the task may go on', () => {
    const task = follow(
      aTask({ status: 'RUNNING' }),
      step('stop', { run: aKnownRun(), intent: 'lost', reason: because('host_lost', '') }, []),
      aContext(),
    );
    expect(task.due.deadline).toBe(at(3600));
  });

  it('does not start the wait for a proof again when the reason to stop changes', () => {
    const stopping = aTask({ status: 'STOPPING', intent: 'lost' });
    const redirected = follow(
      stopping,
      step('redirect', { intent: 'cancelled', reason: because('cancelled', '') }, []),
      { ...aContext(), at: at(50) },
    );
    expect(redirected.due).toEqual({ stop: stopping.due.stop, proof: stopping.due.proof });
  });

  it('is looked for earliest first', () => {
    expect(earliestDue(aTask({ status: 'STOPPING' }))).toBe(at(T.STOP_RETRY_S));
    expect(earliestDue(aTask({ status: 'RUNNING', due: {} }))).toBeUndefined();
  });
});

describe('leaving BACKOFF', () => {
  const task = aTask({ status: 'BACKOFF' });

  it.each([
    ['admit', step('admit', {}, [])],
    ['queue', step('queue', {}, [])],
  ] as [string, Step][])('by "%s" begins the next attempt', (_, move) => {
    expect(follow(task, move, aContext()).attempt).toBe(2);
  });

  it('by an end does not', () => {
    const move = step('cancel', { reason: because('cancelled', ''), detectedBy: 'request' }, []);
    expect(follow(task, move, aContext()).attempt).toBe(1);
  });

  it.each([
    [2, 2],
    [3, 4],
    [4, 8],
    [6, 32],
    [7, 50],
    [10, 50],
  ])('waits before attempt %i for half to all of %i seconds', (attempt, seconds) => {
    const waits = Array.from({ length: 200 }, (_, task) => backoffSeconds(`t${task}`, attempt, testTimings));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(seconds / 2);
    expect(Math.max(...waits)).toBeLessThanOrEqual(seconds);
  });

  it('waits for another time than tasks that lost their runs at the same moment, and always for the same', () => {
    const waits = Array.from({ length: 100 }, (_, task) => backoffSeconds(`t${task}`, 2, testTimings));
    expect(new Set(waits).size).toBe(100);
    // Every tenth of the range has some of them.
    expect(new Set(waits.map((wait) => Math.floor(wait * 10))).size).toBeGreaterThanOrEqual(10);
    expect(backoffSeconds('t1', 2, testTimings)).toBe(waits[1]);
  });
});

describe('a mark', () => {
  const task = aTask({ status: 'RUNNING' });

  it('never raises the version, nor writes history', () => {
    const touched = touch(task, mark({ run: aKnownRun({ stopRequests: 1 }), settledAt: at(1) }), aCause());
    expect(touched.version).toBe(task.version);
    expect(touched.history.map(({ version }) => version)).toEqual(task.history.map(({ version }) => version));
  });

  it('sets and removes due dates, and leaves the others alone', () => {
    const touched = touch(task, mark({ due: { start: at(1), deadline: null } }), aCause());
    expect(touched.due).toEqual({ start: at(1) });
  });

  it('proves the entries it names', () => {
    const touched = touch(task, mark({ proven: [1, 2] }), aCause());
    expect(unproven(touched).map(({ version }) => version)).not.toContain(2);
    expect(unproven(task).map(({ version }) => version)).toContain(2);
  });
});

describe('an entry', () => {
  it('drives its task on only while the task stands at that version and is not settled', () => {
    const task = aTask({ status: 'COMPLETED' });
    expect(isCurrent(task, { version: task.version })).toBe(true);
    expect(isCurrent(task, { version: task.version - 1 })).toBe(false);
    expect(isCurrent({ ...task, settledAt: at(1) }, { version: task.version })).toBe(false);
  });
});

describe('the longest task there can be: all attempts lost, every text at its limit', () => {
  const longest = lifeOfTheLongestTask();

  it('ends, and is valid', () => {
    expect(isTerminal(longest)).toBe(true);
    expect(longest.attempt).toBe(ATTEMPTS_MAX);
    expect(assertTask(JSON.parse(JSON.stringify(longest)))).toBeTruthy();
  });

  it('has the entries of its current and previous attempt whole, and of older ones who, when, why and which facts', () => {
    for (const entry of longest.history) {
      const isOld = entry.attempt < ATTEMPTS_MAX - 1;
      for (const fact of entry.facts) {
        expect({ attempt: entry.attempt, whole: fact.data !== undefined }).toEqual({
          attempt: entry.attempt,
          whole: !isOld,
        });
        expect(fact.id).toContain(fact.type);
      }
      expect(entry.cause.id).not.toBe('');
    }
  });

  it('fits into 32 KB', () => {
    expect(bytesOf(longest)).toBeLessThanOrEqual(32 * 1024);
  });
});

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** Through the same decisions as a real task: queued, started, lost with the longest words, woken, tried again. */
function lifeOfTheLongestTask(): Task {
  const text = 'x'.repeat(TEXT_MAX_CHARS);
  const nameOf = (n: number) => `${String(n).padStart(3, '0')}${'k'.repeat(61)}`;
  let seconds = 0;
  let task: Task = newTask(
    {
      taskId: aTaskId(),
      attempts: ATTEMPTS_MAX,
      userId: 'u'.repeat(128),
      repository: 'r'.repeat(1024),
      baseBranch: 'b'.repeat(255),
      compute: 'ecs',
      agentCommand: 'c'.repeat(AGENT_COMMAND_MAX_BYTES),
      labels: { [nameOf(0)]: 'v'.repeat(256), [nameOf(1)]: 'v'.repeat(256), [nameOf(2)]: 'v'.repeat(256) },
      origin: { kind: 'k'.repeat(32), reference: 'o'.repeat(512) },
      slotKey: 'u'.repeat(133),
      priority: 0,
      requestHash: 'h'.repeat(43),
      correlationId: 'c'.repeat(36),
      traceparent: 't'.repeat(55),
      submittedAt: at(0),
      deadlineAt: at(8 * 3600),
      promptRef: 'p'.repeat(43),
    },
    aContext({ cause: aCause('e'.repeat(36), 'TaskRequested') }),
  );
  const by = (id: string, type = 'ECS Task State Change') => ({
    ...aContext({ cause: { id, type } }),
    at: at(seconds++),
  });
  const latest = () => task.history.at(-1)?.facts.at(-1)?.id ?? 'none';
  while (!isTerminal(task)) {
    const arn = `${aHandle().taskArn}/${'0'.repeat(32)}-${task.attempt}`;
    const handle = { ...aHandle(), taskArn: arn };
    task = follow(task, step('queue', {}, [taskQueued.of({ slotKey: task.slotKey, position: 9 })]), by(latest()));
    task = follow(task, step('admit', {}, [taskAdmitted.of({ slotKey: task.slotKey })]), by(`grant#${task.attempt}`));
    task = follow(
      task,
      step('hydrate', { input: 'p'.repeat(43) }, [taskHydrated.of({ compute: 'ecs' })]),
      by(latest()),
    );
    const run = { ...aRun({ attempt: task.attempt }), handle, seen: { [arn]: 3 }, endedIds: [arn] };
    task = follow(task, step('start', { run }, []), by(latest()));
    const started = runStarted.of({ compute: 'ecs', handle, nativeId: arn });
    task = follow(task, step('run', { run }, [started]), by(`${arn}#3`));
    if (task.status !== 'RUNNING') throw new Error('expected a running task');
    const ended = { ...run, ended: { at: at(seconds), proof: 'proven' as const, exitCode: 137 } };
    task = follow(task, lost(task, ended, { code: 'c'.repeat(64), message: text }), by(`${arn}#6`));
    const close = closeStop(task, aRunRecord({ attempt: task.attempt }), at(seconds), testTimings, 'event');
    if (close.kind !== 'step') throw new Error('expected the stop to close');
    task = follow(task, close, by(latest(), runEnded.type));
    if (task.status !== 'BACKOFF') break;
    // The wake-up that ends the wait is also what says again, and so proves, everything before.
    seconds += 60;
    const woken = wake(task, undefined, at(seconds), testTimings);
    if (woken.kind !== 'mark') throw new Error('expected a mark');
    task = touch(task, woken, aCause('alarm', 'AlarmRang'));
  }
  return task;
}

describe('a step that a replay caused', () => {
  it('proves no delivery: what it answers is said again by the alarm, so that everybody hears it', () => {
    const submitted = aTask({ status: 'SUBMITTED' });
    const fact = submitted.history[0]?.facts[0]?.id ?? '';
    const admit = { kind: 'step', name: 'admit', bring: {}, facts: [] } as const;
    const live = follow(submitted, admit, aContext({ cause: { id: fact, type: 'TaskSubmitted' } }));
    const replayed = follow(submitted, admit, aContext({ cause: { id: fact, type: 'TaskSubmitted', replayed: true } }));
    expect(live.history[0]?.proven).toBe(true);
    expect(replayed.history[0]?.proven).toBeUndefined();
  });
});
