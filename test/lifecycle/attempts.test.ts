import { describe, expect, it } from '@jest/globals';
import { expireTask } from '../../lifecycle/cancel.ts';
import { closeStop } from '../../lifecycle/close-stop.ts';
import { earliestDue, follow, touch } from '../../lifecycle/evolve.ts';
import { judgeReport } from '../../lifecycle/judge.ts';
import type { Move } from '../../lifecycle/move.ts';
import { attemptsUsed, backoffSeconds, nextAttemptAt } from '../../lifecycle/timings.ts';
import { wake } from '../../lifecycle/wake.ts';
import type { AgentReport } from '../../schemas/agent-report.ts';
import { ENVIRONMENT_MAX_BYTES } from '../../schemas/environment-references.ts';
import { because } from '../../schemas/reason.ts';
import { SUBSCRIBER_TARGET_MAX, SUBSCRIBERS_MAX } from '../../schemas/subscriber.ts';
import type { Task } from '../../schemas/task.ts';
import { AGENT_COMMAND_MAX_BYTES, ATTEMPTS_MAX, LABELS_MAX_BYTES, PAUSES_MAX } from '../../schemas/task-request.ts';
import {
  aContext,
  aFailedReport,
  aKnownRun,
  aReport,
  aRunRecord,
  aTask,
  aTaskId,
  at,
  testTimings,
} from '../builders.ts';
import { inWords } from './in-words.ts';

const savedWork = { branch: 'baton/x', commit: 'abc' };
const limited = (retryAfterSeconds: number): AgentReport => ({
  ...aReport({ outcome: 'failed', reason: because('rate_limited', 'Wait.'), agentExitCode: 75, savedWork }),
  retryAfterSeconds,
});
const judged = (task: Task, report: AgentReport, seconds = 9): Move =>
  judgeReport(task, aRunRecord({ attempt: task.attempt, report }), at(seconds), 'report');

/** The task after a move that must be a step. */
function moved(task: Task, move: Move, seconds: number): Task {
  if (move.kind !== 'step') throw new Error(`expected a step, not ${inWords(move)}`);
  return follow(task, move, aContext({ at: at(seconds) }));
}

/** A task in BACKOFF after its run met a rate limit at second 9 and ended at second 11. */
function paused(task: Task, retryAfterSeconds: number): Task {
  const report = limited(retryAfterSeconds);
  const stopping = moved(task, judged(task, report), 9);
  const ended = { ...aKnownRun({ attempt: task.attempt }), ended: { at: at(11), proof: 'proven' as const } };
  const over = { ...stopping, run: ended } as Task;
  return moved(over, closeStop(over, aRunRecord({ attempt: task.attempt, report }), at(11), testTimings, 'event'), 11);
}

// F20
describe('a rate limit', () => {
  it('pauses the task instead of failing it, and says until when', () => {
    const task = aTask({ status: 'RUNNING' });
    expect(inWords(judged(task, limited(600)))).toBe('stop paused rate_limited: RunStopRequested');
    expect(judged(task, limited(600))).toMatchObject({ bring: { resumeAt: at(609) } });
  });

  it('gives the slot back until then: RunLost is what returns it', () => {
    const task = paused(aTask({ status: 'RUNNING' }), 600);
    expect(task.status).toBe('BACKOFF');
    expect(task.history.at(-1)?.facts).toMatchObject([
      { type: 'RunLost', data: { paused: true, savedWork, nextAttemptAt: task.due.backoff } },
    ]);
  });

  it('is waited out, and a little of a first back-off more, so that those who were paused together do not come together', () => {
    const [red, green] = ['red', 'green'].map((name) =>
      paused(aTask({ status: 'RUNNING', taskId: aTaskId(name) }), 600),
    );
    expect(red?.due.backoff).not.toBe(green?.due.backoff);
    for (const task of [red, green]) {
      expect(task?.due.backoff && task.due.backoff >= at(609)).toBe(true);
      expect(task?.due.backoff && task.due.backoff <= at(609 + testTimings.BACKOFF_FIRST_S)).toBe(true);
    }
  });

  it('keeps the deadline, and uses up no attempt', () => {
    const before = aTask({ status: 'RUNNING', attempts: 1 });
    const task = paused(before, 600);
    expect(task.deadlineAt).toBe(before.deadlineAt);
    expect(task.due.deadline).toBe(before.deadlineAt);
    expect(attemptsUsed({ attempt: task.attempt + 1, pauses: task.pauses })).toBe(1);
    expect(task.savedWork).toEqual(savedWork);
  });

  it('that ends after the deadline is a failure at once', () => {
    expect(inWords(judged(aTask({ status: 'RUNNING' }), limited(3_600)))).toBe('fail wait_too_long: TaskFailed');
  });

  it(`is a failure after ${PAUSES_MAX} pauses`, () => {
    const often = { ...aTask({ status: 'RUNNING' }), pauses: PAUSES_MAX };
    expect(inWords(judged(often, limited(60)))).toBe('fail wait_too_long: TaskFailed');
    expect(inWords(judged({ ...often, pauses: PAUSES_MAX - 1 }, limited(60)))).toBe(
      'stop paused rate_limited: RunStopRequested',
    );
  });

  it('that is found when the deadline has passed is no reason to wait', () => {
    const task = aTask({ status: 'RUNNING' });
    const move = expireTask(task, aRunRecord({ report: limited(60) }), at(3_601));
    expect(inWords(move)).toBe('fail wait_too_long: TaskFailed');
    expect(inWords(expireTask(task, aRunRecord({ report: limited(60) }), at(3_000)))).toMatch(/^stop timed_out/);
  });

  it('that was met while the run was stopped anyway is no failure of the agent', () => {
    const task = aTask({
      status: 'STOPPING',
      intent: 'lost',
      run: aKnownRun({ ended: { at: at(1), proof: 'proven' } }),
    });
    const move = closeStop(task, aRunRecord({ report: limited(60) }), at(1), testTimings, 'event');
    expect(inWords(move)).toMatch(/^backOff /);
  });

  it('yields to a cancel, which ends the pause', () => {
    const task = moved(aTask({ status: 'RUNNING' }), judged(aTask({ status: 'RUNNING' }), limited(600)), 9);
    const redirected = follow(
      task,
      {
        kind: 'step',
        name: 'redirect',
        bring: { intent: 'cancelled', reason: because('cancelled', 'No.') },
        facts: [],
      },
      aContext(),
    );
    expect(redirected).toMatchObject({ status: 'STOPPING', intent: 'cancelled' });
    expect(redirected).not.toHaveProperty('resumeAt');
  });
});

describe("the agent's own failure", () => {
  const asked = (attempt: number): Task => ({
    ...aTask({ status: 'RUNNING', attempt, attempts: 3 }),
    retryAgentFailure: true,
  });

  it('ends the task unless another attempt was asked for', () => {
    expect(inWords(judged(aTask({ status: 'RUNNING' }), aFailedReport()))).toBe('fail agent_failed: TaskFailed');
    expect(inWords(judged(asked(1), aFailedReport()))).toBe('stop lost agent_failed: RunStopRequested');
  });

  it('ends the task when no attempt is left', () => {
    expect(inWords(judged(asked(3), aFailedReport()))).toBe('fail agent_failed: TaskFailed');
  });

  it('leads to the next attempt, from the work that the failed run pushed', () => {
    const report = { ...aFailedReport(), savedWork };
    const stopping = moved(asked(1), judged(asked(1), report), 9);
    const over = { ...stopping, run: { ...aKnownRun(), ended: { at: at(11), proof: 'proven' as const } } } as Task;
    const task = moved(over, closeStop(over, aRunRecord({ report }), at(11), testTimings, 'event'), 11);
    expect(task).toMatchObject({ status: 'BACKOFF', savedWork, reason: { code: 'agent_failed' } });
  });
});

// A7
describe('a report that the secrets of the run could not be read', () => {
  const report = aReport({ ...aFailedReport('secret_unavailable'), agentExitCode: null });

  it('leads to the next attempt, as it does where the back end reads them, and ends the task when none is left', () => {
    const task = (attempt: number) => aTask({ status: 'RUNNING', attempt, attempts: 3 });
    expect(inWords(judged(task(1), report))).toBe('stop lost secret_unavailable: RunStopRequested');
    expect(inWords(judged(task(3), report))).toBe('fail secret_unavailable: TaskFailed');
  });
});

// F16
describe('a lost run', () => {
  it('says that nothing was saved, so that everybody knows that the next one begins from the base branch', () => {
    const task = aTask({
      status: 'STOPPING',
      intent: 'lost',
      run: aKnownRun({ ended: { at: at(1), proof: 'proven' } }),
    });
    const move = closeStop(task, aRunRecord(), at(1), testTimings, 'event');
    expect(move).toMatchObject({ facts: [{ type: 'RunLost', data: { savedWork: null } }] });
  });

  it('leaves what an earlier attempt saved to the next one', () => {
    const task = {
      ...aTask({ status: 'STOPPING', intent: 'lost', run: aKnownRun({ ended: { at: at(1), proof: 'proven' } }) }),
      savedWork,
    } as Task;
    expect(closeStop(task, aRunRecord(), at(1), testTimings, 'event')).toMatchObject({
      facts: [{ type: 'RunLost', data: { savedWork } }],
    });
  });
});

describe('the wait before the next attempt', () => {
  it('doubles with every attempt that was used up, not with pauses', () => {
    const task = { taskId: aTaskId(), attempt: 3, pauses: 2 };
    expect(nextAttemptAt(task, at(0), testTimings)).toBe(at(backoffSeconds(aTaskId(), 2, testTimings)));
    expect(nextAttemptAt({ ...task, pauses: 0 }, at(0), testTimings)).toBe(
      at(backoffSeconds(aTaskId(), 4, testTimings)),
    );
  });
});

// F21
describe('an agent from which a first word is expected', () => {
  const task = (): Task => {
    const starting = { ...aTask({ status: 'STARTING' }), firstOutputSeconds: 45 };
    return follow(
      starting,
      { kind: 'step', name: 'run', bring: { run: aKnownRun() }, facts: [] },
      aContext({ at: at(10) }),
    );
  };

  it('has it due when it runs, and nothing of the kind otherwise', () => {
    expect(task().due.progress).toBe(at(55));
    expect(aTask({ status: 'RUNNING' }).due.progress).toBeUndefined();
  });

  it('counts as lost when it has said nothing by then', () => {
    expect(inWords(wake(task(), aRunRecord(), at(55), testTimings))).toBe('stop lost stalled: RunStopRequested');
  });

  it('is judged by its report where one is stored: a pause stays a pause', () => {
    expect(inWords(wake(task(), aRunRecord({ report: limited(60) }), at(55), testTimings))).toMatch(
      /^stop paused rate_limited/,
    );
    expect(inWords(wake(task(), aRunRecord({ report: aReport() }), at(55), testTimings))).toBe(
      'complete: TaskCompleted',
    );
  });

  it('goes on when it has, whatever it says later', () => {
    const record = aRunRecord({ firstOutputAt: at(54) });
    const move = wake(task(), record, at(55), testTimings);
    expect(move.kind).toBe('mark');
    const next = move.kind === 'mark' ? touch(task(), move, aContext().cause) : task();
    expect(next.due).toEqual({ deadline: task().deadlineAt });
  });
});

// F27
describe('an agent from which none is expected', () => {
  it('may be silent until the deadline', () => {
    const task = aTask({ status: 'RUNNING' });
    expect(earliestDue(task)).toBe(task.deadlineAt);
    expect(inWords(wake(task, aRunRecord(), at(3_599), testTimings))).toBe('ignore nothing_is_due');
  });
});

describe('the record of a task with every attempt and every pause', () => {
  /** Longest free text of a fact, as two reasons of an entry have it. */
  const long = 'x'.repeat(500);

  it('stays below 40 KB with all that a request and a configuration may bring (decision 0016)', () => {
    let task: Task = {
      ...aTask({ status: 'RUNNING', attempts: ATTEMPTS_MAX }),
      retryAgentFailure: true,
      repository: `https://${'x'.repeat(1_000)}`,
      agentCommand: 'x'.repeat(AGENT_COMMAND_MAX_BYTES),
      labels: { label: 'x'.repeat(LABELS_MAX_BYTES) },
      environment: { NAME: 'x'.repeat(ENVIRONMENT_MAX_BYTES) },
      subscribers: Array.from({ length: SUBSCRIBERS_MAX }, () => ({
        channel: 'webhook' as const,
        target: 'x'.repeat(SUBSCRIBER_TARGET_MAX),
      })),
    };
    let largest = 0;
    for (let round = 1; round < ATTEMPTS_MAX + PAUSES_MAX; round++) {
      const report = round <= PAUSES_MAX ? limited(60) : { ...aFailedReport(), savedWork };
      const told = { ...report, reason: { code: report.reason?.code ?? 'agent_failed', message: long } };
      const record = aRunRecord({ attempt: task.attempt, report: told });
      const stopping = moved(task, judgeReport(task, record, at(9), 'report'), 9);
      const over = { ...stopping, run: { ...aKnownRun(), ended: { at: at(11), proof: 'proven' } } } as Task;
      const waiting = moved(over, closeStop(over, record, at(11), testTimings, 'event'), 11);
      task = runningAgain(waiting);
      largest = Math.max(largest, JSON.stringify(task).length);
    }
    expect(task.attempt).toBe(ATTEMPTS_MAX + PAUSES_MAX);
    process.stdout.write(`largest task record: ${largest} bytes\n`);
    expect(largest).toBeLessThan(40 * 1024);
  });

  function runningAgain(task: Task): Task {
    const steps = [
      { name: 'queue', bring: {}, fact: { type: 'TaskQueued', data: { slotKey: task.slotKey, position: 1 } } },
      { name: 'admit', bring: {}, fact: { type: 'TaskAdmitted', data: { slotKey: task.slotKey } } },
      { name: 'hydrate', bring: { input: 'payload' }, fact: { type: 'TaskHydrated', data: { compute: 'ecs' } } },
      { name: 'start', bring: { run: aKnownRun({ attempt: task.attempt + 1 }) } },
      {
        name: 'run',
        bring: { run: aKnownRun({ attempt: task.attempt + 1 }) },
        fact: { type: 'RunStarted', data: { compute: 'ecs', nativeId: 'x'.repeat(120), handle: aKnownRun().handle } },
      },
    ];
    return steps.reduce<Task>(
      (now, { name, bring, fact }) =>
        follow(
          now,
          { kind: 'step', name, bring, facts: fact ? [fact] : [] } as unknown as Parameters<typeof follow>[1],
          aContext({ cause: { id: `${now.taskId}#${now.version}#Something`, type: 'Something' } }),
        ),
      task,
    );
  }
});
