import { describe, expect, it } from '@jest/globals';
import { readEcsTask } from '../../lifecycle/ecs-task.ts';
import { judge, judgeMissing, judgeRefusedStart, judgeReport, judgeUnclaimed } from '../../lifecycle/judge.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { because, NEVER_RAN } from '../../schemas/reason.ts';
import type { RunHandle } from '../../schemas/run-handle.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { statuses, type Task } from '../../schemas/task.ts';
import { PAUSES_MAX } from '../../schemas/task-request.ts';
import {
  aClaim,
  aFailedReport,
  aHandle,
  aKnownRun,
  anArn,
  anEcsTask,
  anEnd,
  anObservation,
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

const claimed = aRunRecord({ claim: aClaim() });
const done = aRunRecord({ claim: aClaim(), report: aReport() });
const gaveUp = aRunRecord({ claim: aClaim(), report: aFailedReport() });
const STARTING = aTask({ status: 'STARTING' });
const RUNNING = aTask({ status: 'RUNNING' });
const FINALIZING = aTask({ status: 'FINALIZING', run: aKnownRun() });
const STOPPING = aTask({ status: 'STOPPING' });
const aSession: RunHandle = {
  backend: 'agentcore',
  runtimeArn: 'arn:aws:bedrock-agentcore:eu-west-1:111122223333:runtime/agent-0123456789',
  qualifier: 'DEFAULT',
  sessionId: `baton-test-t${'0'.repeat(24)}-1`,
};
const aWorkerRun: RunHandle = {
  backend: 'ec2',
  fleet: 'builders',
  instanceId: 'i-0abcdef1234567890',
  region: 'eu-west-1',
  taskId: `t${'0'.repeat(24)}`,
  attempt: 1,
};
const hostLost = { kind: 'lost', reason: because('host_lost', '') } as const;

type Row = [
  situation: string,
  task: Task,
  record: RunRecord | undefined,
  seen: ReturnType<typeof anObservation>,
  move: string,
];

describe('what is seen of a run that works', () => {
  it.each<Row>([
    ['a start that was not answered shows itself', STARTING, undefined, anObservation({ phase: 'starting' }), 'mark'],
    ['the first sign of life', STARTING, undefined, anObservation(), 'run: RunStarted'],
    ['the first sign of life, already claimed', STARTING, claimed, anObservation(), 'run: RunStarted'],
    ['alive, as known', RUNNING, claimed, anObservation(), 'ignore nothing_new'],
    ['alive while its report is awaited', FINALIZING, claimed, anObservation(), 'ignore nothing_new'],

    ['exit 0 with a report', RUNNING, done, anEnd(0), 'complete: TaskCompleted'],
    ['exit 0 with a report, while starting', STARTING, done, anEnd(0), 'complete: TaskCompleted'],
    ['exit 0 before the report', RUNNING, claimed, anEnd(0), 'finalize: RunExited'],
    ['exit 0 before the report, while starting', STARTING, claimed, anEnd(0), 'finalize: RunExited'],
    ['exit 1 with a report of failure', RUNNING, gaveUp, anEnd(1), 'fail agent_failed: TaskFailed'],
    ['exit 1 with a report of success', RUNNING, done, anEnd(1), 'complete: TaskCompleted'],
    ['a lost host after the report', RUNNING, done, anEnd(hostLost), 'complete: TaskCompleted'],

    ['exit 1 without a report', RUNNING, claimed, anEnd(1), 'fail runner_failed: TaskFailed'],
    [
      'an internal error of the runner',
      RUNNING,
      claimed,
      anEnd(RUNNER_EXIT.internal),
      'fail runner_failed: TaskFailed',
    ],
    ['exit 128, which is no signal', RUNNING, claimed, anEnd(128), 'fail runner_failed: TaskFailed'],
    ['killed from inside', RUNNING, claimed, anEnd(137), 'stop lost killed: RunEnded'],
    ['fenced', RUNNING, claimed, anEnd(RUNNER_EXIT.fenced), 'stop lost fenced: RunEnded'],
    ['unable to reach Baton', RUNNING, claimed, anEnd(RUNNER_EXIT.unavailable), 'stop lost unreachable: RunEnded'],
    ['exit 1 before the claim', RUNNING, aRunRecord(), anEnd(1), 'stop lost exited_before_claim: RunEnded'],
    ['exit 1 without any record', STARTING, undefined, anEnd(1), 'stop lost exited_before_claim: RunEnded'],
    ['the host is lost', RUNNING, claimed, anEnd(hostLost), 'stop lost host_lost: RunEnded'],
    [
      // A16
      'the container never started',
      STARTING,
      undefined,
      anEnd({ kind: 'lost', reason: because('never_started', 'no image') }),
      'stop lost never_started: RunEnded',
    ],
    [
      'stopped by somebody else',
      RUNNING,
      claimed,
      anEnd({ kind: 'stopped', exitCode: 143, reason: because('stopped_outside', '') }),
      'stop lost stopped_outside: RunEnded',
    ],
    ['ended without a word', RUNNING, claimed, anObservation({ phase: 'ended' }), 'stop lost unknown_stop: RunEnded'],
  ])('%s', (_, task, record, seen, move) => {
    expect(inWords(judge(task, record, seen, at(1)))).toBe(move);
  });

  it('is recorded: how it ended, and that nothing was ever started', () => {
    const never = judge(STARTING, undefined, anEnd({ kind: 'lost', reason: because('never_started', '') }), at(1));
    expect(never).toMatchObject({ bring: { run: { ended: { at: at(1), proof: 'never_started' } } } });
    const exited = judge(RUNNING, claimed, anEnd(3), at(1));
    expect(exited).toMatchObject({ bring: { run: { ended: { at: at(1), proof: 'proven', exitCode: 3 } } } });
  });

  it.each([...NEVER_RAN])('never started where the reason is %s', (code) => {
    const reason = { code, message: '' };
    const never = judge(STARTING, undefined, anEnd({ kind: 'lost', reason }), at(1));
    expect(never).toMatchObject({ name: 'stop', bring: { reason, run: { ended: { proof: 'never_started' } } } });
  });

  it('out of memory is lost, whether it had claimed or not, and says so', () => {
    const reason = because('out_of_memory', 'OutOfMemoryError');
    for (const record of [undefined, claimed]) {
      const move = judge(RUNNING, record, anEnd({ kind: 'lost', exitCode: 137, reason }), at(1));
      expect(move).toMatchObject({
        name: 'stop',
        bring: { reason, run: { ended: { proof: 'proven', exitCode: 137 } } },
      });
    }
  });

  it('tells the handle that its start never told', () => {
    expect(judge(STARTING, undefined, anObservation({ phase: 'starting' }), at(1))).toMatchObject({
      run: { handle: aHandle() },
    });
  });
});

// F32
describe('a run on which its back end has given up', () => {
  const lost = anObservation({ phase: 'lost', end: { kind: 'lost', reason: because('worker_unreachable', '') } });
  const older = { ...lost, attempt: 1 };

  it.each<Row>([
    ['while starting', STARTING, undefined, lost, 'stop lost worker_unreachable: RunStopRequested'],
    ['while it works', RUNNING, claimed, lost, 'stop lost worker_unreachable: RunStopRequested'],
    ['after its report', RUNNING, done, lost, 'complete: TaskCompleted'],
    ['while its end is awaited', STOPPING, claimed, lost, 'ignore the_end_is_awaited'],
    [
      'after the task has ended',
      aTask({ status: 'CANCELLED', run: aKnownRun() }),
      claimed,
      lost,
      'ignore the_end_is_awaited',
    ],
    ['of another claimant', RUNNING, aRunRecord({ claim: aClaim('run-2') }), lost, 'ignore duplicate_run'],
    ['of an attempt that is over', aTask({ status: 'RUNNING', attempt: 2 }), claimed, older, 'mark: RunStopRequested'],
  ])('%s', (_, task, record, seen, move) => {
    expect(inWords(judge(task, record, seen, at(1)))).toBe(move);
  });

  it('has not ended by that: the next attempt waits for the proof', () => {
    const move = judge(RUNNING, claimed, lost, at(1));
    expect(move).not.toHaveProperty('bring.run.ended');
    expect(move).not.toHaveProperty('bring.run.endedIds');
  });
});

describe('the warning that a Spot host is about to be taken', () => {
  const warning = readEcsTask(anEcsTask({ desiredStatus: 'STOPPED', stopCode: 'SpotInterruption', version: 4 }));
  const taken = readEcsTask(anEcsTask({ lastStatus: 'STOPPED', stopCode: 'SpotInterruption', version: 6 }));

  it('ends nothing', () => {
    const move = warning.observation && judge(RUNNING, claimed, warning.observation, at(1));
    expect(move && inWords(move)).toBe('ignore nothing_new');
  });

  it('is followed by the end, which brings another attempt', () => {
    const move = taken.observation && judge(RUNNING, claimed, taken.observation, at(1));
    expect(move && inWords(move)).toBe('stop lost spot_interrupted: RunEnded');
  });
});

describe('two runs of one attempt', () => {
  const claimedByTwo = aRunRecord({ claim: aClaim('run-2') });

  it.each<Row>([
    [
      'a stranger lives while another holds the handle',
      RUNNING,
      undefined,
      anObservation({ of: 'run-2' }),
      'ignore duplicate_run',
    ],
    ['a stranger ends while another holds the handle', RUNNING, undefined, anEnd(1, { of: 'run-2' }), 'mark'],
    [
      'a stranger lives while another has claimed',
      RUNNING,
      claimed,
      anObservation({ of: 'run-2' }),
      'ignore duplicate_run',
    ],
    ['the one with the handle ends, but another has claimed', RUNNING, claimedByTwo, anEnd(1), 'mark'],
    ['the one with the handle exits 79, fenced by the claimant', RUNNING, claimedByTwo, anEnd(79), 'mark'],
    [
      'the claimant ends, whoever has the handle',
      RUNNING,
      claimedByTwo,
      anEnd(1, { of: 'run-2' }),
      'fail runner_failed: TaskFailed',
    ],
    [
      'the claimant is lost while the other lives',
      RUNNING,
      claimedByTwo,
      anEnd(137, { of: 'run-2' }),
      'stop lost killed: RunStopRequested',
    ],
  ])('%s', (_, task, record, seen, move) => {
    expect(inWords(judge(task, record, seen, at(1)))).toBe(move);
  });

  it('have ended only when both have', () => {
    const one = judge(RUNNING, claimedByTwo, anEnd(0, { of: 'run-2' }), at(1));
    expect(one).toMatchObject({ name: 'finalize', bring: { run: { endedIds: [anArn('run-2')] } } });
    expect(one).not.toHaveProperty('bring.run.ended');
    const other = judge(
      aTask({ status: 'STOPPING', run: aKnownRun({ endedIds: [anArn('run-2')] }) }),
      claimedByTwo,
      anEnd(1),
      at(2),
    );
    expect(inWords(other)).toBe('mark ended proven: RunEnded');
  });

  it("never give a stranger's handle to the task", () => {
    const move = judge(STARTING, claimed, anEnd(1, { of: 'run-2' }), at(1));
    expect(inWords(move)).toBe('mark');
    expect(move).not.toHaveProperty('run.handle');
  });

  it('count a run that arrived too late among those that must be gone', () => {
    const record = aRunRecord({ strayHandle: aHandle('run-2') });
    expect(inWords(judge(STOPPING, record, anEnd(143), at(1)))).toBe('mark');
    const both = aTask({ status: 'STOPPING', run: aKnownRun({ endedIds: [anArn()] }) });
    expect(inWords(judge(both, record, anEnd(143, { of: 'run-2' }), at(1)))).toBe('mark ended proven: RunEnded');
  });
});

describe('the order of what is seen', () => {
  const seenSix = aTask({ status: 'RUNNING', run: aKnownRun({ seen: { [anArn()]: 6 } }) });
  const second = aTask({ status: 'RUNNING', attempt: 2, run: aKnownRun({ attempt: 2 }) });
  const over = { at: at(1), proof: 'proven' as const };

  it.each<Row>([
    ['older than what is known', seenSix, claimed, anObservation({ sequence: 5 }), 'ignore stale'],
    ['an older end than what is known', seenSix, claimed, anEnd(1, { sequence: 5 }), 'ignore stale'],
    ['the same number again', seenSix, claimed, anObservation({ sequence: 6 }), 'ignore nothing_new'],
    ['of another run, numbered by itself', seenSix, undefined, anEnd(1, { of: 'run-2', sequence: 1 }), 'mark'],
    [
      'alive after its end',
      aTask({ status: 'RUNNING', run: aKnownRun({ endedIds: [anArn()] }) }),
      claimed,
      anObservation(),
      'ignore stale',
    ],
    [
      'an end that is known',
      FINALIZING.status === 'FINALIZING'
        ? { ...FINALIZING, run: aKnownRun({ endedIds: [anArn()], ended: over }) }
        : FINALIZING,
      claimed,
      anEnd(0),
      'ignore end_is_known',
    ],
    [
      'the same end while stopping',
      aTask({ status: 'STOPPING', run: aKnownRun({ endedIds: [anArn()], ended: over }) }),
      claimed,
      anEnd(0),
      'repeat: RunEnded',
    ],
    // F26
    ['alive, of an earlier attempt', second, undefined, anObservation(), 'mark: RunStopRequested'],
    ['ended, of an earlier attempt', second, undefined, anEnd(1), 'ignore of_an_attempt_that_is_over'],
    ['of an attempt that is yet to come', RUNNING, claimed, anEnd(1, { attempt: 2 }), 'ignore of_a_later_attempt'],
  ])('%s', (_, task, record, seen, move) => {
    expect(inWords(judge(task, record, seen, at(1)))).toBe(move);
  });

  it('is by the number of the back end, kept per run', () => {
    expect(judge(STARTING, undefined, anObservation({ sequence: 3 }), at(1))).toMatchObject({
      bring: { run: { seen: { [anArn()]: 3 } } },
    });
  });
});

describe('a run that must end', () => {
  const unanswered = aTask({ status: 'STOPPING', run: aRun() });

  it.each<Row>([
    ['is still alive', STOPPING, claimed, anObservation(), 'ignore the_end_is_awaited'],
    [
      'shows itself for the first time',
      unanswered,
      undefined,
      anObservation({ phase: 'starting' }),
      'mark: RunStopRequested',
    ],
    // F3
    [
      'has been stopped',
      STOPPING,
      claimed,
      anEnd({ kind: 'stopped', reason: because('stopped_outside', '') }),
      'mark ended proven: RunEnded',
    ],
    ['has exited', STOPPING, claimed, anEnd(1), 'mark ended proven: RunEnded'],
    ['ended before anybody knew its handle', unanswered, undefined, anEnd(143), 'mark ended proven: RunEnded'],
    [
      'never came to be',
      unanswered,
      undefined,
      anEnd({ kind: 'lost', reason: because('never_started', '') }),
      'mark ended never_started: RunEnded',
    ],
  ])('%s', (_, task, record, seen, move) => {
    expect(inWords(judge(task, record, seen, at(1)))).toBe(move);
  });
});

describe.each(['COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT'] as const)('the run of a task that is %s', (status) => {
  const unsettled = aTask({ status, run: aKnownRun() });
  const { ended: _open, ...open } = aKnownRun();
  const waiting = { ...unsettled, run: open };
  const settled = { ...waiting, settledAt: at(1) };

  it.each<Row>([
    ['lives, and its end is awaited', waiting, done, anObservation(), 'ignore the_end_is_awaited'],
    ['lives, and nobody knew of it', { ...waiting, run: aRun() }, undefined, anObservation(), 'mark: RunStopRequested'],
    ['has ended', waiting, done, anEnd(0), 'mark ended proven: RunEnded'],
    ['appears when all was settled', settled, undefined, anObservation(), 'mark: RunStopRequested'],
    ['ends when all was settled', settled, undefined, anEnd(0), 'ignore task_is_settled'],
  ])('%s', (_, task, record, seen, move) => {
    expect(inWords(judge(task, record, seen, at(1)))).toBe(move);
  });
});

describe.each(['SUBMITTED', 'QUEUED', 'ADMITTED', 'HYDRATED', 'BACKOFF'] as const)(
  'a %s task, which has no run',
  (status) => {
    it('stops one that shows itself, and shrugs at its end', () => {
      expect(inWords(judge(aTask({ status }), undefined, anObservation(), at(1)))).toBe('mark: RunStopRequested');
      expect(inWords(judge(aTask({ status }), undefined, anEnd(0), at(1)))).toBe('ignore of_an_attempt_that_is_over');
    });
  },
);

describe('a stored report', () => {
  it.each(statuses)('moves a %s task only if it works', (status) => {
    const works = status === 'STARTING' || status === 'RUNNING' || status === 'FINALIZING';
    expect(judgeReport(aTask({ status }), done, at(9), 'report').kind).toBe(works ? 'step' : 'ignore');
  });

  it.each([
    ['of success', done, 'complete: TaskCompleted'],
    ['of failure', gaveUp, 'fail agent_failed: TaskFailed'],
    [
      'of failure without a reason',
      aRunRecord({ report: aReport({ outcome: 'failed' }) }),
      'fail agent_failed: TaskFailed',
    ],
    ['that is not there', claimed, 'ignore no_report_is_stored'],
    ['of another attempt', { ...done, attempt: 2 }, 'ignore no_report_is_stored'],
    ['without any record', undefined, 'ignore no_report_is_stored'],
  ] as [string, RunRecord | undefined, string][])('%s', (_, record, move) => {
    expect(inWords(judgeReport(RUNNING, record, at(9), 'report'))).toBe(move);
  });
});

describe('a run that the back end does not know', () => {
  const MISSING_S = 10;

  it.each<[string, Task, RunRecord | undefined, number, string]>([
    ['may still show itself', STARTING, undefined, 9, 'ignore start_may_still_show'],
    ['was never started', STARTING, undefined, 10, 'stop lost start_lost: RunEnded'],
    ['has just claimed', RUNNING, aRunRecord({ claim: { ...aClaim(), at: at(5) } }), 14, 'ignore start_may_still_show'],
    // F24
    ['has vanished', RUNNING, claimed, 10, 'stop lost compute_gone: RunEnded'],
    ['has vanished after its claim, its handle unknown', STARTING, claimed, 10, 'stop lost compute_gone: RunEnded'],
    ['has vanished after its report', RUNNING, done, 10, 'complete: TaskCompleted'],
    ['has vanished while it was stopped', STOPPING, claimed, 10, 'mark ended proven: RunEnded'],
    [
      'never came to be stopped',
      aTask({ status: 'STOPPING', run: aRun() }),
      undefined,
      10,
      'mark ended never_started: RunEnded',
    ],
    [
      'may still show itself to be stopped',
      aTask({ status: 'STOPPING', run: aRun() }),
      undefined,
      9,
      'ignore start_may_still_show',
    ],
    ['has vanished after the end of its task', aTask({ status: 'COMPLETED' }), done, 10, 'mark ended proven: RunEnded'],
    [
      'is not missed by a task that has ended it',
      aTask({ status: 'CANCELLED' }),
      undefined,
      10,
      'ignore no_run_is_expected',
    ],
    ['is not missed by a task that has none', aTask({ status: 'QUEUED' }), undefined, 10, 'ignore no_run_is_expected'],
  ])('%s', (_, task, record, seconds, move) => {
    expect(
      inWords(judgeMissing(task, record, { attempt: task.attempt, at: at(seconds), startMissingSeconds: MISSING_S })),
    ).toBe(move);
  });
});

describe('a start that was refused', () => {
  const reason = because('start_refused', 'No such cluster.');

  it('is a loss with the reason of the back end, and nothing ever ran', () => {
    const move = judgeRefusedStart(STARTING, undefined, { attempt: 1, at: at(1), reason });
    expect(inWords(move)).toBe('stop lost start_refused: RunEnded');
    expect(move).toMatchObject({ bring: { reason, run: { ended: { proof: 'never_started' } } } });
  });

  it.each<[string, RunHandle, boolean]>([
    ['a session, whose handle is stored before the start', aSession, true],
    ['a worker that is claimed', aWorkerRun, true],
    ['a worker whose command was sent', { ...aWorkerRun, commandId: 'c-1' }, false],
    ['a task of ECS, whose handle is the answer', aHandle(), false],
  ])('of %s counts unless an earlier call went through', (_, handle, counts) => {
    const task = aTask({ status: 'STARTING', run: aRun({ handle }) });
    const move = judgeRefusedStart(task, undefined, { attempt: 1, at: at(1), reason });
    expect(inWords(move)).toBe(counts ? 'stop lost start_refused: RunEnded' : 'ignore start_was_answered_already');
  });

  it.each([
    ['was answered with a handle before', aTask({ status: 'STARTING', run: aKnownRun() })],
    ['runs already', RUNNING],
    ['is being stopped', STOPPING],
    ['has ended', aTask({ status: 'FAILED' })],
  ])('means nothing to a task that %s', (_, task) => {
    expect(inWords(judgeRefusedStart(task, undefined, { attempt: 1, at: at(1), reason }))).toBe(
      'ignore start_was_answered_already',
    );
  });

  it('means nothing when a claim shows that an earlier call of the same start went through', () => {
    const claimed = aRunRecord({ claim: { nativeId: 'arn:other', at: at(0) } });
    const move = judgeRefusedStart(STARTING, claimed, { attempt: 1, at: at(1), reason });
    expect(inWords(move)).toBe('ignore start_was_answered_already');
  });

  it('of an old attempt means nothing to the new one, nor does a run that is missing', () => {
    const refused = judgeRefusedStart(STARTING, undefined, { attempt: 2, at: at(1), reason });
    expect(inWords(refused)).toBe('ignore of_another_attempt');
    const missing = judgeMissing(RUNNING, undefined, { attempt: 2, at: at(900), startMissingSeconds: 120 });
    expect(inWords(missing)).toBe('ignore of_another_attempt');
  });
});

// AgentCore tells nothing, and the handle is stored before the start: only a claim proves that somebody was there.
describe('a run whose handle was stored before its start', () => {
  const silent = aTask({ status: 'STARTING', compute: 'agentcore' });
  const claimedThere = aRunRecord({ claim: aSessionClaim() });
  const asked = { attempt: 1, at: at(20), startMissingSeconds: 10 };
  const full = { attempt: 1, at: at(1), reason: because('no_capacity', 'full'), pauseSeconds: 300 };
  const refused = { attempt: 1, at: at(1), reason: because('start_refused', 'no') };

  it('and is missing never started, unless it was claimed', () => {
    expect(inWords(judgeMissing(silent, aRunRecord(), asked))).toBe('stop lost start_lost: RunEnded');
    expect(judgeMissing(silent, aRunRecord(), asked)).toMatchObject({
      bring: { run: { ended: { proof: 'never_started' } } },
    });
    expect(inWords(judgeMissing(silent, claimedThere, asked))).toBe('stop lost compute_gone: RunEnded');
    expect(judgeMissing(silent, claimedThere, asked)).toMatchObject({ bring: { run: { ended: { proof: 'proven' } } } });
  });

  it('and is missing may still come up, as long as a start or a claim takes to show', () => {
    expect(inWords(judgeMissing(silent, aRunRecord(), { ...asked, at: at(9) }))).toBe('ignore start_may_still_show');
    const late = aRunRecord({ claim: { ...aSessionClaim(), at: at(15) } });
    expect(inWords(judgeMissing(silent, late, asked))).toBe('ignore start_may_still_show');
  });

  it('and is refused is lost or waits, as the refusal says, unless it was claimed', () => {
    expect(inWords(judgeRefusedStart(silent, aRunRecord(), refused))).toBe('stop lost start_refused: RunEnded');
    expect(inWords(judgeRefusedStart(silent, aRunRecord(), full))).toBe('stop paused no_capacity: RunEnded');
    expect(judgeRefusedStart(silent, aRunRecord(), full)).toMatchObject({ bring: { resumeAt: at(301) } });
    for (const one of [refused, full]) {
      expect(inWords(judgeRefusedStart(silent, claimedThere, one))).toBe('ignore start_was_answered_already');
    }
  });

  const lookedAt = aTask({
    status: 'STARTING',
    compute: 'agentcore',
    run: aSessionRun({ life: { sign: '', at: at(0), looks: 3 } }),
  });
  const life = { sign: at(0), at: at(-T.HEARTBEAT_SILENCE_S), looks: 9 };
  const claimedSilent = aTask({ status: 'STARTING', compute: 'agentcore', run: aSessionRun({ life }) });
  const inTime = { attempt: 1, at: at(T.START_CHECK_S - 1), timings: T };
  const late = { ...inTime, at: at(T.START_CHECK_S) };
  it.each<[string, Task, RunRecord, typeof late, string]>([
    ['in time', silent, aRunRecord(), inTime, 'ignore start_may_still_show'],
    ['too late, by the clock alone: it may have slept', silent, aRunRecord(), late, 'ignore start_may_still_show'],
    ['too late', lookedAt, aRunRecord(), late, 'stop lost start_lost: RunStopRequested'],
    [
      'and was forbidden to be, by somebody who ended before saying why',
      silent,
      aRunRecord({ noClaim: true }),
      inTime,
      'stop lost start_lost: RunStopRequested',
    ],
    ['too late, but it was after all', silent, claimedThere, late, 'ignore start_may_still_show'],
    [
      'too late, but it was, and is silent by now: left to the next look',
      claimedSilent,
      claimedThere,
      late,
      'ignore start_may_still_show',
    ],
    ['too late, in the attempt before', silent, aRunRecord(), { ...late, attempt: 2 }, 'ignore start_is_known'],
    [
      'too late, and it works',
      aTask({ status: 'RUNNING', compute: 'agentcore' }),
      aRunRecord(),
      late,
      'ignore start_is_known',
    ],
    ['too late, where the back end tells', STARTING, aRunRecord(), late, 'ignore start_is_known'],
  ])('and was asked about while it was not claimed: %s', (_, task, record, question, move) => {
    expect(inWords(judgeUnclaimed(task, record, question))).toBe(move);
  });

  it('and left something behind is not over before that is', () => {
    const left = { ...refused, isLeft: true } as const;
    expect(inWords(judgeRefusedStart(silent, aRunRecord(), left))).toBe('stop lost start_refused: RunStopRequested');
    expect(judgeRefusedStart(silent, aRunRecord(), left)).not.toHaveProperty('bring.run.ended');
  });

  it('and waits for room again waits twice as long, up to an hour', () => {
    const waits = [0, 1, 2, 3, 4].map((pauses) => {
      const task = aTask({ status: 'STARTING', compute: 'agentcore', pauses, deadlineAt: at(9_000) });
      const move = judgeRefusedStart(task, aRunRecord(), full);
      return move.kind === 'step' && move.name === 'stop' ? move.bring.resumeAt : undefined;
    });
    expect(waits).toEqual([300, 600, 1_200, 2_400, 3_600].map((seconds) => at(1 + seconds)));
  });

  it.each([
    ['too often', { pauses: PAUSES_MAX }],
    ['beyond its deadline', { deadlineAt: at(301) }],
  ])('and would wait %s takes an attempt instead', (_, fields) => {
    const task = aTask({ status: 'STARTING', compute: 'agentcore', ...fields });
    expect(inWords(judgeRefusedStart(task, aRunRecord(), full))).toBe('stop lost no_capacity: RunEnded');
  });

  // With ECS the handle comes with the answer.
  it('is not to be mixed up with one whose handle was answered', () => {
    const answered = aTask({ status: 'STARTING', run: aKnownRun() });
    expect(inWords(judgeMissing(answered, aRunRecord(), asked))).toBe('stop lost compute_gone: RunEnded');
    expect(inWords(judgeRefusedStart(answered, aRunRecord(), refused))).toBe('ignore start_was_answered_already');
  });
});
