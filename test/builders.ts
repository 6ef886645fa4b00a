import type { EcsTaskStateChangeDetail } from '../events/aws/ecs-task-state-change.ts';
import { ECS_TASK_STATE_CHANGE } from '../events/aws/ecs-task-state-change.ts';
import type { Fact, Source } from '../events/define.ts';
import { eventOf } from '../events/index.ts';
import { runExited } from '../events/run-exited.ts';
import { runLost } from '../events/run-lost.ts';
import { runStarted } from '../events/run-started.ts';
import { taskAdmitted } from '../events/task-admitted.ts';
import { taskCancelled } from '../events/task-cancelled.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { taskQueued } from '../events/task-queued.ts';
import { taskTimedOut } from '../events/task-timed-out.ts';
import { AGENT_CONTAINER, startedByOf } from '../lifecycle/ecs-task.ts';
import { follow, later } from '../lifecycle/evolve.ts';
import { stopFact } from '../lifecycle/judge.ts';
import { type Step, step } from '../lifecycle/move.ts';
import { newTask } from '../lifecycle/new-task.ts';
import type { Timings } from '../lifecycle/timings.ts';
import type { AgentReport } from '../schemas/agent-report.ts';
import { type AgentcoreHandle, sessionIdOf } from '../schemas/agentcore-session.ts';
import type { BatonEvent, Cause, Envelope } from '../schemas/envelope.ts';
import { because } from '../schemas/reason.ts';
import type { EcsHandle } from '../schemas/run-handle.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { Status, Task, TaskIn, TaskRun } from '../schemas/task.ts';
import { type TaskId, taskId as taskIdSchema } from '../schemas/task-id.ts';
import type { TaskResult } from '../schemas/task-result.ts';

/** Values with full defaults: a test names only what it is about. All of them happen at `at(0)` unless it says otherwise. */
export const at = (seconds: number): string => later('2026-01-01T00:00:00.000Z', seconds);

/** A task id that can be told from others: `aTaskId('red')`. Letters of base 32 only (no i, l, o, u). */
export const aTaskId = (name = 'red'): TaskId => taskIdSchema.parse(`t${name.padEnd(24, '0')}`);

/** Every wait is a different number of seconds, so that a test sees which one was used. */
export const testTimings: Timings = {
  STEP_RETRY_S: 20,
  QUEUE_CHECK_S: 30,
  START_CHECK_S: 21,
  START_MISSING_S: 10,
  REPORT_GRACE_S: 5,
  EXIT_GRACE_S: 60,
  LAST_WORD_GRACE_S: 3,
  STOP_RETRY_S: 16,
  STOP_LOOK_S: 4,
  STOP_PROOF_S: 120,
  HEARTBEAT_S: 6,
  LIFE_LOOK_S: 7,
  HEARTBEAT_SILENCE_S: 23,
  SETTLE_RETRY_S: 22,
  BACKOFF_FIRST_S: 2,
  BACKOFF_MAX_S: 50,
  REPUBLISH_AGE_S: 11,
  TIMEOUT_DEFAULT_S: 3600,
};

export const aCause = (id = 'cause-1', type = 'Test'): Cause => ({ id, type });

export const aContext = (fields: { cause?: Cause; at?: string; timings?: Timings } = {}) => ({
  cause: aCause(),
  at: at(0),
  timings: testTimings,
  ...fields,
});

export const anArn = (name = 'run-1'): string => `arn:aws:ecs:eu-west-1:000000000000:task/baton/${name}`;

export const aHandle = (name = 'run-1'): EcsHandle => ({
  backend: 'ecs',
  taskArn: anArn(name),
  clusterArn: 'arn:aws:ecs:eu-west-1:000000000000:cluster/baton',
  taskDefinitionArn: 'arn:aws:ecs:eu-west-1:000000000000:task-definition/baton-agent:1',
  region: 'eu-west-1',
});

export const aRun = (fields: Partial<TaskRun> = {}): TaskRun => {
  const attempt = fields.attempt ?? 1;
  return { attempt, startedBy: startedByOf('test', aTaskId(), attempt), dispatchedAt: at(0), ...fields };
};

/** The session of an attempt. */
export const aSession = (fields: { taskId?: string; attempt?: number } = {}): AgentcoreHandle => ({
  backend: 'agentcore',
  runtimeArn: 'arn:aws:bedrock-agentcore:eu-west-1:000000000000:runtime/baton_agent-0123456789',
  qualifier: 'live',
  sessionId: sessionIdOf({ stage: 'test', taskId: aTaskId(), attempt: 1, ...fields }),
});

/** A run as a session, whose handle is stored before it starts. */
export const aSessionRun = (fields: Partial<TaskRun> = {}): TaskRun =>
  aRun({ handle: aSession({ attempt: fields.attempt ?? 1 }), ...fields });

/** A run whose handle is stored. */
export const aKnownRun = (fields: Partial<TaskRun> = {}): TaskRun => aRun({ handle: aHandle(), ...fields });

export const aResult = (fields: Partial<TaskResult> = {}): TaskResult => ({
  branch: `baton/${aTaskId()}`,
  commit: 'c0ffee',
  baseCommit: 'ba5e',
  filesChanged: 2,
  insertions: 10,
  deletions: 3,
  pullRequest: null,
  ...fields,
});

export const aReport = (fields: Partial<AgentReport> = {}): AgentReport => ({
  schemaVersion: 1,
  outcome: 'succeeded',
  result: aResult(),
  agentExitCode: 0,
  startedAt: at(0),
  endedAt: at(0),
  ...fields,
});

export const aFailedReport = (code = 'agent_failed'): AgentReport =>
  aReport({ outcome: 'failed', reason: { code, message: 'The agent gave up.' }, agentExitCode: 1 });

export const aRunRecord = (fields: Partial<RunRecord> = {}): RunRecord => ({
  taskId: aTaskId(),
  attempt: 1,
  tokenHash: 'hash',
  openedAt: at(0),
  ...fields,
});

export const aClaim = (name = 'run-1') => ({ nativeId: anArn(name), at: at(0) });

/** The claim of the runner of a session. */
export const aSessionClaim = (attempt = 1) => ({ nativeId: aSession({ attempt }).sessionId, at: at(0) });

export const anObservation = (fields: Partial<RunObservation> & { of?: string } = {}): RunObservation => {
  const { of: name = 'run-1', ...rest } = fields;
  return { taskId: aTaskId(), attempt: 1, nativeId: anArn(name), handle: aHandle(name), phase: 'running', ...rest };
};

type End = NonNullable<RunObservation['end']>;

/** The observation of an end: an exit code of the agent container, or how the compute was lost. */
export const anEnd = (end: number | Partial<End>, fields: Parameters<typeof anObservation>[0] = {}): RunObservation =>
  anObservation({
    phase: 'ended',
    end:
      typeof end === 'number'
        ? { kind: 'exited', exitCode: end, reason: because('runner_failed', 'Essential container exited') }
        : { kind: 'lost', reason: because('host_lost', 'The host went away.'), ...end },
    ...fields,
  });

const reason = because('cancelled', 'Somebody asked.');
const input = 'payload-of-the-run';

/** The ways from SUBMITTED to each state, by the rows of the transition table. */
function wayTo(status: Status, task: Task, run: TaskRun): Step[] {
  const ended = { ...run, ended: { at: at(0), proof: 'proven' as const, exitCode: 0 } };
  const admitted = [step('admit', {}, [taskAdmitted.of({ slotKey: task.slotKey })])];
  const hydrated = [...admitted, step('hydrate', { input }, [taskHydrated.of({ compute: task.compute })])];
  const { handle: _unknown, ...unanswered } = run;
  const starting = [...hydrated, step('start', { run: status === 'STARTING' ? run : unanswered }, [])];
  const running = [...starting, step('run', { run }, [runStarted.of({ compute: task.compute, nativeId: anArn() })])];
  const stopping = (intent: 'cancelled' | 'timed_out' | 'lost') => [
    ...running,
    step('stop', { run: intent === 'lost' ? ended : run, intent, reason }, [stopFact(task, run, reason)]),
  ];
  switch (status) {
    case 'SUBMITTED':
      return [];
    case 'QUEUED':
      return [step('queue', {}, [taskQueued.of({ slotKey: task.slotKey, position: 1 })])];
    case 'ADMITTED':
      return admitted;
    case 'HYDRATED':
      return hydrated;
    case 'STARTING':
      return starting;
    case 'RUNNING':
      return running;
    case 'FINALIZING':
      return [
        ...running,
        step('finalize', { run: ended, exitCode: 0 }, [runExited.of({ compute: task.compute, exitCode: 0 })]),
      ];
    case 'STOPPING':
      return stopping('cancelled');
    case 'BACKOFF':
      return [
        ...stopping('lost'),
        step('backOff', { reason }, [runLost.of({ reason, nextAttemptAt: at(testTimings.BACKOFF_FIRST_S) })]),
      ];
    case 'COMPLETED':
      return [
        ...running,
        step('complete', { run, result: aResult(), detectedBy: 'report' }, [taskCompleted.of({ result: aResult() })]),
      ];
    case 'FAILED':
      return [...running, step('fail', { run, reason, detectedBy: 'event' }, [taskFailed.of({ reason })])];
    case 'CANCELLED':
      return [
        ...stopping('cancelled'),
        step('cancel', { run: ended, reason, detectedBy: 'event' }, [taskCancelled.of({ reason })]),
      ];
    case 'TIMED_OUT':
      return [
        ...stopping('timed_out'),
        step('expire', { run: ended, reason, detectedBy: 'alarm' }, [taskTimedOut.of({ reason })]),
      ];
  }
}

/** A task in a state, with the history that leads there; each entry's cause is `made-<version>`. */
export function aTask<S extends Status>(fields: { status: S } & Partial<TaskIn<S>>): TaskIn<S>;
export function aTask(fields: { status: Status } & Partial<Record<string, unknown>>): Task {
  const overrides = fields as Partial<Task> & { run?: TaskRun };
  const taskId = overrides.taskId ?? aTaskId();
  const compute = overrides.compute ?? 'ecs';
  const known = compute === 'ecs' ? aKnownRun() : aSessionRun({ handle: aSession({ taskId }) });
  const run = overrides.run ?? {
    ...(fields.status === 'STARTING' && compute === 'ecs' ? aRun() : known),
    startedBy: startedByOf('test', taskId, 1),
  };
  const first = newTask(
    {
      taskId,
      attempts: 3,
      userId: 'ada',
      repository: '/srv/repository',
      compute,
      agentCommand: 'agent',
      slotKey: 'user:ada',
      priority: 0,
      requestHash: 'hash',
      correlationId: 'correlation-1',
      submittedAt: at(0),
      deadlineAt: at(3600),
      promptRef: 'payload-of-the-prompt',
    },
    aContext({ cause: aCause('made-1') }),
  );
  let task: Task = first;
  for (const one of wayTo(fields.status, first, run)) {
    task = follow(task, one, aContext({ cause: aCause(`made-${task.version + 1}`) }));
  }
  return { ...task, ...overrides } as Task;
}

let serial = 0;

/** An event as the bus would carry it. Facts of a task's own history are better taken from the task. */
export function anEvent<Type extends string, Data>(
  fact: Fact<Type, Data>,
  fields: {
    id?: string;
    taskId?: string;
    attempt?: number;
    version?: number;
    time?: string;
    replayOf?: string;
    correlationId?: string;
  } = {},
): BatonEvent<Type, Data> {
  const id = fields.id ?? `event-${++serial}`;
  const time = fields.time ?? at(0);
  const source: Source = eventOf(fact.type)?.source ?? 'baton';
  return {
    ...place(id, time),
    'detail-type': fact.type,
    source,
    detail: {
      metadata: {
        id,
        taskId: fields.taskId ?? aTaskId(),
        attempt: fields.attempt ?? 1,
        ...(fields.version === undefined ? {} : { version: fields.version }),
        correlationId: fields.correlationId ?? 'correlation-1',
        causationId: 'cause-of-it',
        occurredAt: time,
        schemaVersion: 1,
        ...(fields.replayOf === undefined ? {} : { replayOf: fields.replayOf }),
      },
      data: fact.data,
    },
  };
}

/** A request by hand: only `data`, as `aws events put-events` would bring it. */
export const aRequest = (
  type: 'TaskRequested' | 'TaskCancelRequested' | 'RepositoryConfigRequested',
  data: unknown,
  id = `request-${++serial}`,
): Envelope => ({
  ...place(id, at(0)),
  'detail-type': type,
  source: 'baton.request',
  detail: { data },
});

/** `detail` of an ECS Task State Change of a healthy run, in the shape that ECS documents. */
export function anEcsTask(fields: Partial<EcsTaskStateChangeDetail> = {}): EcsTaskStateChangeDetail {
  const arn = fields.taskArn ?? anArn();
  const stopped = fields.lastStatus === 'STOPPED';
  return {
    taskArn: arn,
    clusterArn: aHandle().clusterArn,
    taskDefinitionArn: aHandle().taskDefinitionArn,
    lastStatus: 'RUNNING',
    desiredStatus: stopped ? 'STOPPED' : 'RUNNING',
    version: stopped ? 6 : 3,
    startedBy: startedByOf('test', aTaskId(), 1),
    group: 'family:baton-agent',
    launchType: 'FARGATE',
    cpu: '2048',
    memory: '4096',
    createdAt: at(0),
    updatedAt: at(0),
    containers: [
      {
        name: AGENT_CONTAINER,
        containerArn: `${arn}/agent`,
        taskArn: arn,
        lastStatus: fields.lastStatus ?? 'RUNNING',
        ...(stopped ? { exitCode: 0 } : {}),
      },
    ],
    ...(stopped ? { stopCode: 'EssentialContainerExited', stoppedReason: 'Essential container in task exited' } : {}),
    ...fields,
  };
}

export const anEcsEvent = (fields: Partial<EcsTaskStateChangeDetail> = {}): Envelope => ({
  ...place(`ecs-${++serial}`, at(0)),
  'detail-type': ECS_TASK_STATE_CHANGE.detailType,
  source: ECS_TASK_STATE_CHANGE.source,
  detail: anEcsTask(fields),
});

const place = (id: string, time: string) => ({
  version: '0' as const,
  id,
  account: '000000000000',
  time,
  region: 'eu-west-1',
  resources: [],
});
