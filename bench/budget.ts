import { type EcsTaskRecord, exited, newTask, running, stateChangeEvent } from '../runtime/engine/local-ecs-task.ts';
import { taskIdFor } from '../runtime/task-id.ts';
import type { AgentReport } from '../schemas/agent-report.ts';
import type { Envelope } from '../schemas/envelope.ts';
import { recordedAws } from './recorded-aws.ts';
import type { RecordedRequest } from './recording-transport.ts';

/** From RunTask to RUNNING, in seconds: what Fargate typically takes (docs/benchmarks.md). */
const STARTS_AFTER_S = 40;
/** From the end of the container to STOPPED, in seconds. */
const STOPS_AFTER_S = 30;
const MINUTE_MS = 60_000;
/** DynamoDB bills writes per KB begun and reads per 4 KB begun (Amazon DynamoDB developer guide, read and write units). */
const WRITE_UNIT_BYTES = 1024;
const READ_UNIT_BYTES = 4096;

/** What one healthy ECS task costs in requests, from its request to long after its settling. */
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

/** Durations of the story, in minutes: from a small change to the longest task there is. */
const MINUTES = [5, 30, 120, 480] as const;

/** What `docs/budget.json` keeps: the budget by duration, and that of a life cycle in which every event is delivered twice. */
export async function recordedBudgets(): Promise<{ minutes: Record<string, Budget>; deliveredTwice: Budget }> {
  const minutes: Record<string, Budget> = {};
  for (const duration of MINUTES) minutes[String(duration)] = await budgetOf(duration);
  return { minutes, deliveredTwice: await budgetOf(30, { copies: 2 }) };
}

/** Records one life cycle: a task that works for so many minutes, pushes, reports and exits. */
async function budgetOf(minutes: number, options: { copies?: number } = {}): Promise<Budget> {
  const aws = recordedAws();
  aws.deliver(options.copies ?? 1);
  const beginsMs = aws.nowMs();
  const request = { repository: 'https://git.example/team/site.git', prompt: 'p'.repeat(2000), userId: 'ada' };
  await aws.happens(requested({ ...request, idempotencyKey: 'budget', timeoutSeconds: 8 * 3600 }, aws.clock.now()));
  const taskId = taskIdFor('ada', { key: 'budget' });
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
  await aws.passes(beginsMs + STARTS_AFTER_S * 1000);
  await tell(running(native, aws.clock.now(), aws.clock.now()));
  const signal = { taskId, attempt: 1, nativeId: native.detail.taskArn };
  await aws.asRunner((runner) => runner.claim(signal));
  await aws.happens(said('RunClaimed', signal, 0, aws.clock.now()));

  // From its request to its report; the time-out of the longest task counts from the request, too.
  const endsMs = beginsMs + minutes * MINUTE_MS - 1_000;
  await aws.passes(endsMs);
  await aws.asRunner((runner) => runner.confirm(signal));
  await aws.asRunner((runner) => runner.report(signal, aReport(taskId, aws.clock.now())));
  await aws.happens(said('RunReported', signal, 1, aws.clock.now()));
  await aws.passes(endsMs + STOPS_AFTER_S * 1000);
  const at = aws.clock.now();
  await tell(exited(native, { exitCode: 0, signal: null, startedAt: at, endedAt: at }, undefined, at));
  await aws.passes();

  const task = await aws.asRunner(() => aws.tasks.get(taskId));
  if (task?.status !== 'COMPLETED' || task.settledAt === undefined) throw new Error(`the task is ${task?.status}`);
  return countOf(aws.requests, aws.invocations);
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
    starts: of('ecs', 'RunTask').length,
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

/**
 * Bytes of an item as DynamoDB counts them: names and texts in UTF-8, 3 and 1 per element for lists and maps, 1 for true, false and null,
 * about half a byte per digit for numbers (developer guide, "item sizes and formats").
 */
function sizeOf(item: unknown): number {
  return sum(Object.entries(item as object).map(([name, value]) => Buffer.byteLength(name) + valueSize(value)));
}

function valueSize(value: Record<string, unknown>): number {
  const [type, content] = Object.entries(value)[0] ?? [];
  switch (type) {
    case 'S':
      return Buffer.byteLength(String(content));
    case 'N':
      return Math.ceil(String(content).length / 2) + 1;
    case 'L':
      return 3 + sum((content as Record<string, unknown>[]).map((one) => 1 + valueSize(one)));
    case 'M':
      return (
        3 + sum(Object.entries(content as object).map(([name, one]) => 1 + Buffer.byteLength(name) + valueSize(one)))
      );
    default:
      return 1;
  }
}

const requested = (data: object, time: string): Envelope => ({
  ...place('TaskRequested', 'baton.request', 'request-1', time),
  detail: { data },
});

function said(
  type: string,
  signal: { taskId: string; attempt: number; nativeId: string },
  seq: number,
  time: string,
): Envelope {
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
