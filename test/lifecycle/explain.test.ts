import { describe, expect, it } from '@jest/globals';
import { contextFetched } from '../../events/context-fetched.ts';
import { taskAdmitted } from '../../events/task-admitted.ts';
import { taskHydrated } from '../../events/task-hydrated.ts';
import { taskScreened } from '../../events/task-screened.ts';
import { cancelTask } from '../../lifecycle/cancel.ts';
import { outsiders } from '../../lifecycle/causal-tree.ts';
import { closeStop } from '../../lifecycle/close-stop.ts';
import { follow, touch } from '../../lifecycle/evolve.ts';
import { explain, type Known } from '../../lifecycle/explain.ts';
import { judge, judgeRefusedStart, judgeReport } from '../../lifecycle/judge.ts';
import { type Move, step } from '../../lifecycle/move.ts';
import { settle } from '../../lifecycle/settle.ts';
import { decideSlot } from '../../lifecycle/slot-decisions.ts';
import { states } from '../../lifecycle/states.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import { rules } from '../../rules/index.ts';
import type { Cause } from '../../schemas/envelope.ts';
import { type ExplainedCause, explanation } from '../../schemas/explanation.ts';
import { because, reasons } from '../../schemas/reason.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { leaseOf, type Slot } from '../../schemas/slot.ts';
import { type DuePurpose, type Status, statuses, type Task } from '../../schemas/task.ts';
import {
  aCause,
  aClaim,
  aFailedReport,
  aHandle,
  aKnownRun,
  anArn,
  aReport,
  aRun,
  aRunRecord,
  aTask,
  aTaskId,
  at,
  testTimings,
} from '../builders.ts';

const taskId = aTaskId();
const context = 'https://github.com/owner/name/issues/1';

/** As it would have happened: each step caused by the last fact before it, or by ECS where there is none. */
const caused = <T extends Task>(task: T): T => ({
  ...task,
  history: task.history.map((entry, place) => ({ ...entry, cause: causeAfter(task, place) })),
});

function causeAfter({ history }: Task, place: number): Cause {
  if (place === 0) return { id: 'request-1', type: 'TaskRequested' };
  const fact = history[place - 1]?.facts.at(-1);
  return fact ? { id: fact.id, type: fact.type } : { id: `${anArn()}#3`, type: 'ECS Task State Change' };
}

const told = (task: Task, around: Partial<Omit<Known, 'task'>> = {}) =>
  explanation.parse(explain({ task, records: [], slot: undefined, journal: undefined, at: at(60), ...around }));

function* all(node: ExplainedCause): Iterable<ExplainedCause> {
  yield node;
  for (const one of node.ledTo) yield* all(one);
}

/** The tree as lines: what it is, two blanks deeper than what led to it. */
const drawn = (node: ExplainedCause, depth = 0): string[] => [
  `${'  '.repeat(depth)}${node.step ? `${node.step.version} ${node.step.to}` : `${node.kind} ${node.type ?? node.id}`}`,
  ...node.ledTo.flatMap((one) => drawn(one, depth + 1)),
];

/** Applies one move after the other; each with the cause that it names. */
function lived(task: Task, ...moves: readonly (readonly [Cause, (task: Task) => Move])[]): Task {
  return moves.reduce((now: Task, [cause, decide], second) => {
    const context = { cause, at: at(10 + second), timings: testTimings };
    const move = decide(now);
    if (move.kind === 'step') return follow(now, move, context);
    if (move.kind === 'mark') return touch(now, move, cause);
    throw new Error(`${cause.type} moved nothing: ${JSON.stringify(move)}`);
  }, task);
}

const ecs = (version: number, name = 'run-1'): Cause => ({
  id: `${anArn(name)}#${version}`,
  type: 'ECS Task State Change',
});
const fact = (task: Task): Cause => {
  const last = task.history.at(-1)?.facts.at(-1);
  return { id: last?.id ?? '', type: last?.type ?? '' };
};

/** A running task that loses its run `times` times, and begins again after each. */
function losing(times: number, record: RunRecord | undefined = undefined): Task {
  let task: Task = caused(aTask({ status: 'RUNNING', attempts: times + 1 }));
  for (let attempt = 1; attempt <= times; attempt++) {
    const name = `run-${attempt}`;
    const seen = {
      taskId,
      attempt,
      nativeId: anArn(name),
      handle: aHandle(name),
      phase: 'ended' as const,
      end: { kind: 'lost' as const, reason: because('spot_interrupted', `Spot took ${name}.`) },
    };
    task = lived(task, [ecs(6, name), (now) => judge(now, undefined, seen, at(10))]);
    task = lived(task, [fact(task), (now) => closeStop(now, record, at(11), testTimings, 'event')]);
    const due = { id: `${taskId}#${task.version}#AttemptDue`, type: 'AttemptDue' };
    task = lived(task, [due, () => step('admit', {}, [taskAdmitted.of({ slotKey: task.slotKey })])]);
    task = lived(task, [
      fact(task),
      () => step('hydrate', { input: `input-${attempt + 1}` }, [taskHydrated.of({ compute: 'ecs' })]),
    ]);
    const run = aRun({ attempt: attempt + 1, handle: aHandle(`run-${attempt + 1}`) });
    task = lived(task, [fact(task), () => step('start', { run }, [])]);
  }
  return task;
}

describe('a task in any state', () => {
  it.each(statuses)('%s: every step hangs below what caused it, and every due date has words', (status) => {
    const task = caused(aTask({ status }));
    const { tree, unlinked, due, standing } = told(task);
    const steps = [...all(tree)].flatMap(({ step: one }) => one?.version ?? []);
    expect(steps).toEqual(task.history.map(({ version }) => version));
    expect(unlinked).toEqual([]);
    expect(tree).toMatchObject({ kind: 'request', id: 'request-1', type: 'TaskRequested' });
    expect(due.map(({ purpose }) => purpose).sort()).toEqual(Object.keys(task.due).sort());
    expect(due.map((one) => one.at)).toEqual(due.map((one) => one.at).sort());
    expect(standing).toBe(states[status].summary);
  });

  it.each<[Status, RegExp, string, DuePurpose]>([
    ['SUBMITTED', /a slot is asked for/, 'admit-task', 'step'],
    ['QUEUED', /the key "user:ada" is checked/, 'wake-task', 'queue'],
    ['ADMITTED', /the input of the run is stored/, 'hydrate-task', 'step'],
    ['HYDRATED', /the run is handed to its back end/, 'start-run-on-ecs', 'step'],
    ['STARTING', /first sign of life/, 'the back end (ecs) or the runner', 'start'],
    ['RUNNING', /its runner reports/, 'the runner', 'deadline'],
    ['FINALIZING', /the report arrives/, 'the runner', 'report'],
    ['STOPPING', /the end of the run is seen .* then the task is CANCELLED/, 'the back end (ecs)', 'proof'],
    ['BACKOFF', /attempt 2 asks for its slot/, 'the alarm clock', 'backoff'],
    ['COMPLETED', /the end of the run is seen/, 'the back end (ecs)', 'proof'],
    ['FAILED', /the end of the run is seen/, 'the back end (ecs)', 'proof'],
    ['CANCELLED', /the last fact is delivered/, 'settle-task', 'settle'],
    ['TIMED_OUT', /the last fact is delivered/, 'settle-task', 'settle'],
  ])('%s: says what must happen next, who does it, and by when', (status, what, who, purpose) => {
    const task = caused(aTask({ status }));
    const { next } = told(task);
    expect(next?.what).toMatch(what);
    expect(next).toMatchObject({ who, by: task.due[purpose] });
    expect(next?.otherwise).not.toBe('');
  });

  it('names rules that exist, and the fact that sets them off', () => {
    const names: string[] = rules.map(({ name }) => name);
    const isRule = (who: string): boolean => /^[a-z]+(-[a-z]+)+$/.test(who);
    const tasks: Task[] = [
      ...statuses.map((status) => aTask({ status })),
      aTask({ status: 'SUBMITTED', screening: 'required' }),
      aTask({ status: 'ADMITTED', context }),
      aTask({ status: 'ADMITTED', context, contextRef: 'ref', screening: 'required' }),
    ];
    const named = tasks.flatMap((task) => told(caused(task)).next?.who ?? []).filter(isRule);
    expect(named).toEqual(expect.arrayContaining(['screen-task', 'fetch-context', 'admit-task', 'settle-task']));
    expect(named.filter((who) => !names.includes(who))).toEqual([]);
    expect(told(caused(aTask({ status: 'SUBMITTED' }))).next?.on).toBe(`${taskId}#1#TaskSubmitted`);
  });
});

describe('a task that has ended', () => {
  const ended = caused(
    aTask({ status: 'COMPLETED', run: aKnownRun({ ended: { at: at(30), proof: 'proven', exitCode: 0 } }) }),
  );

  it('says who noticed the end', () => {
    expect(told(ended).end).toEqual({ at: at(0), detectedBy: 'report', detected: "the runner's report said so" });
    expect(told(caused(aTask({ status: 'TIMED_OUT' }))).end).toMatchObject({ detectedBy: 'alarm' });
  });

  it('waits for its last fact, then for nothing but to be settled', () => {
    expect(told(ended).next?.what).toBe('the last fact is delivered; then the task is settled');
    const last = ended.history.map((entry) => ({ ...entry, proven: true }));
    expect(told({ ...ended, history: last }).next?.what).toBe('the task is settled');
  });

  it('has nothing left to do once it is settled, and says of what that consisted', () => {
    const settled = lived(ended, [fact(ended), (task) => settle(task, undefined, at(40), true)]);
    const { next, due, tree, settled: isSettled, end } = told(settled);
    expect({ next, due, isSettled, settledAt: end?.settledAt }).toEqual({
      next: null,
      due: [],
      isSettled: true,
      settledAt: at(40),
    });
    const terminal = [...all(tree)].find((node) => node.step?.to === 'COMPLETED');
    expect(terminal?.ledTo).toMatchObject([
      { kind: 'settled', at: at(40), what: expect.stringContaining('compute ended (proven)') },
    ]);
  });
});

describe('a task that waits in line', () => {
  const task = caused(aTask({ status: 'QUEUED' }));
  const lease = leaseOf(taskId, 1);
  const others = { [leaseOf(aTaskId('gray'), 2)]: { since: at(-50), priority: 0 } };
  const waiter = (order: number, priority = 0) => ({ since: at(order), priority, order, correlationId: 'c' });
  const slot: Slot = {
    key: 'user:ada',
    limit: 1,
    holders: others,
    waiters: {
      [leaseOf(aTaskId('green'), 1)]: waiter(1),
      [lease]: waiter(2),
      [leaseOf(aTaskId('teak'), 1)]: waiter(3, 5),
    },
    nextOrder: 4,
  };

  it('says for what, since when, at which place, and who holds it', () => {
    const { slot: place, next } = told(task, { slot });
    expect(place).toEqual({
      key: 'user:ada',
      standing: 'waits',
      since: at(2),
      place: 3,
      limit: 1,
      waiting: 3,
      holding: 1,
      holders: [{ taskId: aTaskId('gray'), attempt: 2, since: at(-50) }],
    });
    expect(next).toMatchObject({
      what: `a slot of "user:ada" becomes free: place 3 in line since ${at(2)}; 1 of 1 are held`,
      by: task.deadlineAt,
      otherwise: 'the task times out',
    });
  });

  it('says that it was given a slot and has not heard of it yet', () => {
    const { slot: full } = decideSlot(slot, { kind: 'fill', limit: 4 }, { at: at(5), cause: aCause() });
    const { slot: place, next } = told(task, { slot: full });
    expect(place).toMatchObject({ standing: 'granted', since: at(5) });
    expect(next).toMatchObject({ who: 'admit-waiter', by: task.due.queue });
  });

  it('was let in by a grant, which hangs below the wait that it ended', () => {
    const grant = { id: `user:ada#${lease}#SlotGranted`, type: 'SlotGranted' };
    const admitted = lived(task, [grant, () => step('admit', {}, [taskAdmitted.of({ slotKey: 'user:ada' })])]);
    expect(drawn(told(admitted).tree).slice(2)).toEqual([
      '    2 QUEUED',
      '      event SlotGranted',
      '        3 ADMITTED',
    ]);
  });
});

describe('a task whose text must be fetched or screened', () => {
  it('waits for the screening of its request before it asks for a slot', () => {
    expect(told(caused(aTask({ status: 'SUBMITTED', screening: 'required' }))).next).toMatchObject({
      what: 'the request is screened',
      who: 'screen-task',
    });
  });

  it('waits for what it names, and then for the screening of that', () => {
    const task = caused(aTask({ status: 'ADMITTED', screening: 'required', screened: ['request'], context }));
    expect(told(task).next).toMatchObject({ who: 'fetch-context', by: task.due.step });
    const delay = { at: task.submittedAt, message: 'GitHub answers 503.' };
    expect(told({ ...task, delay }).next?.what).toMatch(/is fetched; at .* it could not be: GitHub answers 503\.$/);
    const data = contextFetched.of({ source: context, bytes: 1 });
    const fetched = lived(task, [fact(task), () => step('fetchContext', { contextRef: 'ref' }, [data])]);
    expect(told(fetched).next).toMatchObject({ who: 'screen-task', on: `${taskId}#3#ContextFetched` });
    const screened = lived(fetched, [
      fact(fetched),
      () => step('screenContext', { screened: ['request', 'context'] }, [taskScreened.of({ of: 'context' })]),
    ]);
    expect(told(screened).next).toMatchObject({ who: 'hydrate-task', on: `${taskId}#4#TaskScreened` });
  });
});

describe('what spoke from outside', () => {
  const running = caused(aTask({ status: 'RUNNING' }));
  const cancelled = because('cancelled', 'Enough.');

  it('a cancel hangs below the step that it met, and says who asked', () => {
    const asked = { id: `${taskId}#cancel`, type: 'TaskCancelRequested' };
    const { tree, next, reason } = told(lived(running, [asked, (task) => cancelTask(task, cancelled)]));
    expect(drawn(tree).slice(-3)).toEqual([
      '            5 RUNNING',
      '              event TaskCancelRequested',
      '                6 STOPPING',
    ]);
    expect(next?.what).toBe('the end of the run is seen (stops answered: 0); then the task is CANCELLED');
    expect(reason).toEqual({ ...cancelled, remedy: reasons.cancelled });
  });

  it('an event of ECS hangs below the start of its run, and says which version it was', () => {
    const { tree } = told(running);
    const event = [...all(tree)].find(({ type }) => type === 'ECS Task State Change');
    expect(event).toMatchObject({ who: 'Amazon ECS', what: `told of the run, in version 3 of ${anArn()}` });
    expect(drawn(tree)).toEqual([
      'request TaskRequested',
      '  1 SUBMITTED',
      '    2 ADMITTED',
      '      3 HYDRATED',
      '        4 STARTING',
      '          event ECS Task State Change',
      '            5 RUNNING',
    ]);
  });

  it('so does its end, whatever state the task is in by then', () => {
    const start = [...all(told(losing(1)).tree)].find((node) => node.step?.version === 4);
    expect(start?.ledTo.map(({ id, ledTo }) => [id, ledTo[0]?.step?.to])).toEqual([
      [ecs(3).id, 'RUNNING'],
      [ecs(6).id, 'STOPPING'],
    ]);
  });

  it('the alarm clock, an answer to a question and a refused start are told apart', () => {
    const alarm = { id: `alarm#${taskId}#${at(3600)}`, type: 'AlarmRang' };
    const reason = because('timed_out', 'Too late.');
    const stopped = lived(running, [
      alarm,
      (task) => step('stop', { run: aKnownRun(), intent: 'timed_out', reason }, cancelStep(task).facts),
    ]);
    const gone = lived(stopped, [
      { id: `${taskId}#6#RunStopRequested#missing`, type: 'RunAsked' },
      () => step('expire', { run: aKnownRun(), reason, detectedBy: 'alarm' }, []),
    ]);
    expect(drawn(told(gone).tree).slice(-5)).toEqual([
      '            5 RUNNING',
      '              event AlarmRang',
      '                6 STOPPING',
      '                  event RunAsked',
      '                    7 TIMED_OUT',
    ]);
    expect([...all(told(gone).tree)].flatMap(({ kind, what }) => (kind === 'event' ? what : []))).toEqual([
      expect.stringContaining('version 3'),
      `rang, set for ${at(3600)}`,
      'was asked about the run and answered: it knows of none',
    ]);

    const starting = caused(aTask({ status: 'STARTING' }));
    const refusal = { id: `${taskId}#3#TaskHydrated#refused`, type: 'StartRefused' };
    const refused = lived(starting, [
      refusal,
      (task) => judgeRefusedStart(task, undefined, { attempt: 1, at: at(10), reason: because('no_capacity', 'Full.') }),
    ]);
    expect(drawn(told(refused).tree).slice(-3)).toEqual([
      '        4 STARTING',
      '          event StartRefused',
      '            5 STOPPING',
    ]);
    expect(told(refused).next).toMatchObject({
      what: 'the stop is closed; then attempt 2 follows after a wait',
      who: 'close-stop',
      by: refused.due.stop,
    });
  });

  it('what the records know of the run is noted where no step says it', () => {
    const record = aRunRecord({ claim: aClaim(), firstOutputAt: at(12), report: aReport({ endedAt: at(20) }) });
    const task = lived(running, [
      { id: `${anArn()}#1#2`, type: 'RunReported' },
      (now) => judgeReport(now, record, at(21), 'report'),
    ]);
    const over = { ...task, run: aKnownRun({ ended: { at: at(30), proof: 'proven', exitCode: 0 } }) } as Task;
    const start = [...all(told(over, { records: [record] }).tree)].find((node) => node.step?.to === 'STARTING');
    expect(start?.ledTo.map(({ kind, who, what }) => `${kind}: ${who} ${what}`)).toEqual([
      `event: Amazon ECS told of the run, in version 3 of ${anArn()}`,
      `noted: the runner claimed the attempt as ${anArn()}`,
      'event: the runner stored its report',
      'noted: the agent said its first word',
      `noted: the back end ended the run ${anArn()}, exit code 0`,
    ]);
  });

  // F12
  it('a run that lived on after its end is noted below its start', () => {
    const record = aRunRecord({ claim: aClaim(), noClaim: true, closed: true, outlivedAt: at(40) });
    const { tree } = told(running, { records: [record] });
    const started = [...all(tree)].find((node) => node.step?.to === 'STARTING');
    expect(started?.ledTo.at(-1)).toMatchObject({
      kind: 'noted',
      at: at(40),
      who: 'the runner',
      what: expect.stringContaining('lived on'),
    });
  });

  it('is shown and flagged where nothing says what led to it', () => {
    const rumour = { id: 'rumour-1', type: 'Rumour' };
    const { tree, unlinked } = told(lived(running, [rumour, (task) => cancelTask(task, cancelled)]));
    expect(unlinked).toEqual([rumour]);
    expect(tree.ledTo.at(-1)).toMatchObject({
      kind: 'event',
      ...rumour,
      unlinked: true,
      ledTo: [{ step: { to: 'STOPPING' } }],
    });
  });

  it('follows from a step where its id begins as the facts of that step do', () => {
    const derived = { id: `${taskId}#2#TaskAdmitted#answer`, type: 'SomethingNew' };
    const { unlinked, tree } = told(lived(running, [derived, (task) => cancelTask(task, cancelled)]));
    expect(unlinked).toEqual([]);
    const admitted = [...all(tree)].find((node) => node.step?.to === 'ADMITTED');
    expect(admitted?.ledTo.map(({ id }) => id)).toContain(derived.id);
  });

  it('is everybody who can move a task', () => {
    const stored = new Set<string>(Object.values(transitions).flatMap(({ emits }) => [...emits]));
    // The request is the root; a request to check is followed by its answer, RunAsked; who notifies others only reads the task. So does who
    // announces an orphan: the record of its run says it.
    const elsewhere = new Set(['TaskRequested', 'RunCheckRequested', 'NotificationDue', 'RunFenced']);
    const moving = rules
      .filter(({ uses }) => (uses as readonly string[]).includes('tasks'))
      .flatMap(({ on }) => on.map(({ type }) => type as string));
    expect(moving.filter((type) => !stored.has(type) && !elsewhere.has(type) && !outsiders[type])).toEqual([]);
  });
});

describe('attempts', () => {
  it('say why each was lost, with the remedy, and that nothing was saved', () => {
    const [first, second, ...more] = told(losing(1)).attemptsMade;
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      attempt: 1,
      start: { from: 'base_branch' },
      lost: {
        paused: false,
        reason: { code: 'spot_interrupted', message: 'Spot took run-1.', remedy: reasons.spot_interrupted },
      },
    });
    expect(second).toMatchObject({
      attempt: 2,
      start: { from: 'base_branch', because: 'Nothing was saved.' },
      run: { nativeId: anArn('run-2') },
    });
    expect(second?.lost).toBeUndefined();
  });

  it('say that the next one begins with what was saved, and who saved it where that is known', () => {
    const savedWork = { branch: `baton/${taskId}`, commit: 'c0ffee' };
    const record = aRunRecord({ savedWork });
    const task = losing(1, record);
    const because = `left work on baton/${taskId}.`;
    expect(told(task).attemptsMade[1]?.start).toEqual({
      from: 'saved_work',
      because: `An earlier attempt ${because}`,
      savedWork,
    });
    expect(told(task, { records: [record] }).attemptsMade[1]?.start).toMatchObject({ because: `Attempt 1 ${because}` });
  });

  it('begin at AttemptDue, below the loss', () => {
    const lines = drawn(told(losing(1)).tree).map((line) => line.trim());
    expect(lines.slice(-7)).toEqual([
      'event ECS Task State Change',
      '6 STOPPING',
      '7 BACKOFF',
      'event AttemptDue',
      '8 ADMITTED',
      '9 HYDRATED',
      '10 STARTING',
    ]);
  });

  it('that are so old that their facts were shrunk point to the archive, and to the record of the run', () => {
    const task = losing(3);
    const { attemptsMade, unlinked, tree } = told(task);
    expect(unlinked).toEqual([]);
    expect([...all(tree)].flatMap(({ step: one }) => one?.version ?? [])).toHaveLength(task.history.length);
    const [first, second] = attemptsMade;
    expect(first?.lost).toEqual({
      at: expect.any(String),
      paused: false,
      reason: expect.objectContaining({ code: expect.any(String), message: expect.stringContaining('archive') }),
      factId: `${taskId}#7#RunLost`,
    });
    expect(second?.start).toEqual({
      from: 'unknown',
      because: `It is no longer kept here; the event ${taskId}#7#RunLost says it.`,
    });
    const savedWork = { branch: 'b', commit: 'c' };
    const startOf = (attempt: number, ...records: RunRecord[]) =>
      told(task, { records }).attemptsMade[attempt - 1]?.start;
    expect(startOf(2, aRunRecord({ attempt: 1, savedWork }))).toMatchObject({ from: 'saved_work', savedWork });
    expect(startOf(2, aRunRecord({ attempt: 1 }))).toEqual({ from: 'base_branch', because: 'Nothing was saved.' });
  });

  it('that a rate limit paused say until when, before and after their run has ended', () => {
    const record = aRunRecord({
      claim: aClaim(),
      report: { ...aFailedReport('rate_limited'), retryAfterSeconds: 600 },
    });
    const reported = { id: `${anArn()}#1#3`, type: 'RunReported' };
    const running = caused(aTask({ status: 'RUNNING' }));
    const stopping = lived(running, [reported, (task) => judgeReport(task, record, at(10), 'report')]);
    expect(told(stopping, { records: [record] }).next?.what).toBe(
      `the end of the run is seen (stops answered: 0); then attempt 2 follows when its pause is over, at ${at(610)}`,
    );
    const over = { ...stopping, run: aKnownRun({ ended: { at: at(20), proof: 'proven' } }) } as Task;
    const paused = lived(over, [
      { id: `${taskId}#attempt-1#RunEnded`, type: 'RunEnded' },
      (task) => closeStop(task, record, at(20), testTimings, 'event'),
    ]);
    const { next, attemptsMade, unlinked } = told(paused, { records: [record] });
    expect(unlinked).toEqual([]);
    expect(next?.what).toBe(`attempt 2 asks for its slot; it pauses until ${at(610)}`);
    expect(attemptsMade[0]).toMatchObject({ lost: { paused: true }, runner: { report: { retryAfterSeconds: 600 } } });
  });
});

describe('a task on a back end that tells nothing', () => {
  const onAgentcore = (status: Status, more: object = {}) =>
    told(aTask({ status, compute: 'agentcore', ...more }), { records: [aRunRecord({ claim: aClaim() })] }).next;

  it('waits for its runner to say that it lives, and nobody else', () => {
    expect(onAgentcore('STARTING')).toMatchObject({ who: 'the runner' });
    expect(told(aTask({ status: 'STARTING' })).next).toMatchObject({ who: 'the back end (ecs) or the runner' });
  });

  it('waits for a stop that finds nothing, while it stops and after its end', () => {
    const asked = 'the back end (agentcore), when it is asked to stop the run';
    expect(onAgentcore('STOPPING')).toMatchObject({
      what: expect.stringMatching(/^a stop finds nothing left of the run \(stops answered: 0\); then/),
      who: asked,
    });
    expect(onAgentcore('COMPLETED')).toMatchObject({
      what: expect.stringMatching(/^a stop finds nothing left of the run \(/),
      who: asked,
    });
    expect(told(aTask({ status: 'COMPLETED' })).next?.what).toMatch(/^the end of the run is seen \(/);
  });

  it('paused for want of room, as its entry says even when it was shrunk', () => {
    const lost = aTask({ status: 'BACKOFF', compute: 'agentcore' });
    const pausedBy = (said: { lostFor: string; paused?: boolean }) => {
      const history = lost.history.map(({ facts, ...entry }) => ({
        ...entry,
        facts: facts.map(({ id, type }) => ({ id, type })),
        ...(entry.to === 'BACKOFF' ? said : {}),
      }));
      return told({ ...lost, history } as Task).attemptsMade[0]?.lost?.paused;
    };
    expect(pausedBy({ lostFor: 'no_capacity', paused: true })).toBe(true);
    expect(pausedBy({ lostFor: 'no_capacity' })).toBe(false);
    // Before entries said it themselves, only a rate limit paused.
    expect(pausedBy({ lostFor: 'rate_limited' })).toBe(true);
  });
});

describe('what was ignored', () => {
  it('is told where a journal is kept, and where else it is', () => {
    const ignored = [{ at: at(1), cause: ecs(2), reason: 'stale' }];
    const task = caused(aTask({ status: 'RUNNING' }));
    expect(told(task, { journal: { duplicates: 4, ignored } }).ignored).toEqual({
      keptIn: 'journal',
      duplicates: 4,
      events: ignored,
    });
    expect(told(task).ignored).toEqual({ keptIn: 'logs', duplicates: 0, events: [] });
  });
});

/** A cancel of this task, for its fact that asks to stop the run. */
const cancelStep = (task: Task) => {
  const move = cancelTask(task, because('cancelled', 'x'));
  if (move.kind !== 'step') throw new Error('not a step');
  return move;
};
