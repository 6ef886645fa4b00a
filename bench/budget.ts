import { awsTimings } from '../lifecycle/timings.ts';
import { type EcsTaskRecord, exited, newTask, running, stateChangeEvent } from '../runtime/engine/local-ecs-task.ts';
import { taskIdFor } from '../runtime/task-id.ts';
import type { AgentReport } from '../schemas/agent-report.ts';
import type { Envelope } from '../schemas/envelope.ts';
import { sizeOf } from './item-size.ts';
import { recordedAws } from './recorded-aws.ts';
import type { RecordedRequest } from './recording-transport.ts';

/** From RunTask to RUNNING, in seconds: what Fargate typically takes (docs/benchmarks.md). */
const STARTS_AFTER_S = 40;
/** From the end of the container to STOPPED, in seconds. */
const STOPS_AFTER_S = 30;
const MINUTE_MS = 60_000;
const BEAT_MS = awsTimings.HEARTBEAT_S * 1_000;
/** DynamoDB bills writes per KB begun and reads per 4 KB begun (Amazon DynamoDB developer guide, read and write units). */
const WRITE_UNIT_BYTES = 1024;
const READ_UNIT_BYTES = 4096;

/** What one healthy task costs in requests, from its request to long after its settling. */
export interface Budget {
  /** Conditional writes of records, and the units that they are billed as. */
  readonly recordWrites: number;
  readonly writeUnits: number;
  /** Consistent reads of records, and their units. */
  readonly recordReads: number;
  readonly readUnits: number;
  /** Alarms set: delayed messages, and schedules. */
  readonly messages: number;
  readonly schedules: number;
  readonly payloadPuts: number;
  readonly payloadGets: number;
  readonly payloadDeletes: number;
  readonly starts: number;
  readonly stops: number;
  /** Task definitions that were described, registered or put away. */
  readonly definitionCalls: number;
  /** Calls that ask compute for its status. */
  readonly asks: number;
  readonly publishCalls: number;
  readonly publishedEntries: number;
  readonly invocations: number;
  /** Of these, per rule. */
  readonly byRule: Readonly<Record<string, number>>;
}

/** What it takes over a whole run to see that it lives, where the back end does not say: nothing of it is in the budget of the task. */
export interface Watching
  extends Pick<
    Budget,
    | 'recordWrites'
    | 'writeUnits'
    | 'recordReads'
    | 'readUnits'
    | 'messages'
    | 'schedules'
    | 'publishedEntries'
    | 'stops'
  > {
  /** Signs of life, one write of the runner each, and their units. */
  readonly heartbeats: number;
  readonly heartbeatUnits: number;
  /** Invocations that did nothing but look at them. */
  readonly looks: number;
}

interface AgentcoreBudgets {
  readonly minutes: Record<string, Budget>;
  readonly deliveredTwice: Budget;
  readonly watching: Record<string, Watching>;
}

export interface Budgets {
  readonly minutes: Record<string, Budget>;
  readonly deliveredTwice: Budget;
  readonly agentcore: AgentcoreBudgets;
}

/** Durations of the story, in minutes: from a small change to the longest task there is. */
const MINUTES = [5, 30, 120, 480] as const;
/** On AgentCore each minute is some five steps of the story, which the longest would only repeat. */
const AGENTCORE_MINUTES = [5, 30, 120] as const;

/** What `docs/budget.json` keeps: the budgets by duration, and those of a life cycle in which every event is delivered twice. */
export async function recordedBudgets(): Promise<Budgets> {
  const minutes: Record<string, Budget> = {};
  for (const duration of MINUTES) minutes[String(duration)] = await ecsTask(duration);
  const { budget: deliveredTwice } = await agentcoreTask(30, 2);
  const agentcore: AgentcoreBudgets = { minutes: {}, deliveredTwice, watching: {} };
  for (const duration of AGENTCORE_MINUTES) {
    const { budget, watching } = await agentcoreTask(duration);
    agentcore.minutes[String(duration)] = budget;
    agentcore.watching[String(duration)] = watching;
  }
  return { minutes, deliveredTwice: await ecsTask(30, 2), agentcore };
}

/** Records one life cycle on ECS: a task that works for so many minutes, pushes, reports and exits. */
async function ecsTask(minutes: number, copies = 1): Promise<Budget> {
  const aws = recordedAws('ecs');
  aws.deliver(copies);
  const { endsMs } = await submitted(aws, minutes);
  const [run] = aws.started;
  if (!run) throw new Error('the run was not started');

  let native = newTask(run, aws.clock.now());
  let told = 0;
  const tell = async (next: EcsTaskRecord): Promise<void> => {
    native = next;
    for (const detail of native.unpublished.slice(told)) await aws.happens(stateChangeEvent(detail));
    told = native.unpublished.length;
  };
  await tell(native);
  await aws.passes(aws.nowMs() + STARTS_AFTER_S * 1000);
  await tell(running(native, aws.clock.now(), aws.clock.now()));
  const signal = { ...FIRST, nativeId: native.detail.taskArn };
  await claimed(aws, signal);
  await aws.passes(endsMs);
  await reported(aws, signal);
  await aws.passes(endsMs + STOPS_AFTER_S * 1000);
  const at = aws.clock.now();
  await tell(exited(native, { exitCode: 0, signal: null, startedAt: at, endedAt: at }, undefined, at));
  return settled(aws);
}

/** The same on AgentCore, which tells nothing: the runner beats, Baton looks, and stops the session after the report. */
async function agentcoreTask(minutes: number, copies = 1): Promise<{ budget: Budget; watching: Watching }> {
  const aws = recordedAws('agentcore');
  aws.deliver(copies);
  const { endsMs } = await submitted(aws, minutes);
  const [nativeId] = aws.sessions;
  if (nativeId === undefined) throw new Error('the session was not started');

  const signal = { ...FIRST, nativeId };
  await claimed(aws, signal);
  for (let atMs = aws.nowMs() + BEAT_MS; atMs < endsMs; atMs += BEAT_MS) {
    await aws.passes(atMs);
    await aws.asRunner((runner) => runner.heartbeat(signal), 'beats');
  }
  await aws.passes(endsMs);
  await reported(aws, signal);
  const budget = await settled(aws);
  return { budget, watching: watchingOf(aws) };
}

type RecordedAws = ReturnType<typeof recordedAws>;

interface Signal {
  readonly taskId: string;
  readonly attempt: number;
  readonly nativeId: string;
}

const FIRST = { taskId: taskIdFor('ada', { key: 'budget' }), attempt: 1 };

/** Asks for the task; everything up to the start follows. Answers when it is to report. */
async function submitted(aws: RecordedAws, minutes: number): Promise<{ endsMs: number }> {
  const beginsMs = aws.nowMs();
  const request = { repository: 'https://git.example/team/site.git', prompt: 'p'.repeat(2000), userId: 'ada' };
  await aws.happens(requested({ ...request, idempotencyKey: 'budget', timeoutSeconds: 8 * 3600 }, aws.clock.now()));
  // From its request to its report; the time-out of the longest task counts from the request, too.
  return { endsMs: beginsMs + minutes * MINUTE_MS - 1_000 };
}

async function claimed(aws: RecordedAws, signal: Signal): Promise<void> {
  await aws.asRunner((runner) => runner.claim(signal));
  await aws.happens(said('RunClaimed', signal, 0, aws.clock.now()));
}

async function reported(aws: RecordedAws, signal: Signal): Promise<void> {
  await aws.asRunner((runner) => runner.confirm(signal));
  await aws.asRunner((runner) => runner.report(signal, aReport(signal.taskId, aws.clock.now())));
  await aws.happens(said('RunReported', signal, 1, aws.clock.now()));
}

/** Lets time pass until nothing is due any more, and counts what was asked for. */
async function settled(aws: RecordedAws): Promise<Budget> {
  await aws.passes();
  const task = await aws.asRunner(() => aws.tasks.get(FIRST.taskId));
  if (task?.status !== 'COMPLETED' || task.settledAt === undefined) throw new Error(`the task is ${task?.status}`);
  return countOf(aws.requests.task, aws.invocations.task);
}

function watchingOf({ requests, invocations }: RecordedAws): Watching {
  const { recordWrites, writeUnits, recordReads, readUnits, messages, schedules, publishedEntries, stops } = countOf(
    requests.looks,
    [],
  );
  const beats = countOf(requests.beats, []);
  return {
    // The runner of a container writes without reading; the size of what it writes is the same.
    heartbeats: beats.recordWrites,
    heartbeatUnits: beats.writeUnits,
    looks: invocations.looks.length,
    ...{ recordWrites, writeUnits, recordReads, readUnits, messages, schedules, publishedEntries, stops },
  };
}

function countOf(requests: readonly RecordedRequest[], invocations: readonly string[]): Budget {
  const of = (service: string, operation: string): RecordedRequest[] =>
    requests.filter((one) => one.service === service && one.operation === operation);
  const puts = of('dynamodb', 'PutItem');
  const sizes = new Map<string, number>();
  let readUnits = 0;
  for (const { service, operation, input } of requests) {
    if (service !== 'dynamodb') continue;
    if (operation === 'PutItem') sizes.set(keyIn(input['Item']), sizeOf(input['Item']));
    else readUnits += Math.max(1, Math.ceil((sizes.get(keyIn(input['Key'])) ?? 0) / READ_UNIT_BYTES));
  }
  const byRule: Record<string, number> = {};
  for (const rule of invocations) byRule[rule] = (byRule[rule] ?? 0) + 1;
  return {
    recordWrites: puts.length,
    writeUnits: sum(puts.map(({ input }) => Math.ceil(sizeOf(input['Item']) / WRITE_UNIT_BYTES))),
    recordReads: of('dynamodb', 'GetItem').length,
    readUnits,
    messages: of('sqs', 'SendMessage').length,
    schedules: of('scheduler', 'CreateSchedule').length,
    payloadPuts: of('s3', 'PutObject').length,
    payloadGets: of('s3', 'GetObject').length,
    payloadDeletes: of('s3', 'DeleteObject').length,
    starts: of('ecs', 'RunTask').length + of('bedrock-agentcore', 'InvokeAgentRuntime').length,
    stops: of('ecs', 'StopTask').length + of('bedrock-agentcore', 'StopRuntimeSession').length,
    definitionCalls: requests.filter(
      ({ service, operation }) => service === 'ecs' && operation.endsWith('TaskDefinition'),
    ).length,
    asks: of('ecs', 'DescribeTasks').length + of('ecs', 'ListTasks').length,
    publishCalls: of('events', 'PutEvents').length,
    publishedEntries: sum(of('events', 'PutEvents').map(({ input }) => (input['Entries'] as unknown[]).length)),
    invocations: invocations.length,
    byRule: Object.fromEntries(Object.entries(byRule).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

const keyIn = (item: unknown): string => (item as { key: { S: string } }).key.S;

const requested = (data: object, time: string): Envelope => ({
  ...place('TaskRequested', 'baton.request', 'request-1', time),
  detail: { data },
});

function said(type: string, signal: Signal, seq: number, time: string): Envelope {
  const id = `${signal.nativeId}#${signal.attempt}#${seq}`;
  const { taskId, attempt } = signal;
  const metadata = { id, taskId, attempt, correlationId: taskId, causationId: id, occurredAt: time, schemaVersion: 1 };
  return { ...place(type, 'baton.agent', id, time), detail: { metadata, data: { ...signal, seq } } };
}

const place = (type: string, source: string, id: string, time: string) => ({
  version: '0' as const,
  id,
  'detail-type': type,
  source,
  account: '000000000000',
  time,
  region: 'us-east-1',
  resources: [],
});

const aReport = (taskId: string, at: string): AgentReport => ({
  schemaVersion: 1,
  outcome: 'succeeded',
  result: {
    branch: `baton/${taskId}`,
    commit: 'c'.repeat(40),
    baseCommit: 'b'.repeat(40),
    filesChanged: 3,
    insertions: 40,
    deletions: 12,
    pullRequest: null,
  },
  agentExitCode: 0,
  startedAt: at,
  endedAt: at,
});
