import { sizeOf } from './item-size.ts';
import type { RecordedRequest } from './recording-transport.ts';

/** DynamoDB bills writes per KB begun and reads per 4 KB begun (Amazon DynamoDB developer guide, read and write units). */
const WRITE_UNIT_BYTES = 1024;
const READ_UNIT_BYTES = 4096;

/** How back ends are asked, by service and operation. */
const QUESTIONS: ReadonlySet<string> = new Set([
  'ecs DescribeTasks',
  'ecs ListTasks',
  'ssm GetCommandInvocation',
  'ssm ListCommands',
  'autoscaling DescribeAutoScalingInstances',
  'ec2 DescribeInstances',
]);

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
  /** Calls that tell Auto Scaling what it may do with a machine. */
  readonly machineCalls: number;
  readonly publishCalls: number;
  readonly publishedEntries: number;
  readonly invocations: number;
  /** Of these, per rule. */
  readonly byRule: Readonly<Record<string, number>>;
}

export function countOf(requests: readonly RecordedRequest[], invocations: readonly string[]): Budget {
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
    // The command of a healthy run is the only one that is sent: recorded-fleet.ts answers no other.
    starts:
      of('ecs', 'RunTask').length +
      of('bedrock-agentcore', 'InvokeAgentRuntime').length +
      of('ssm', 'SendCommand').length,
    stops:
      of('ecs', 'StopTask').length +
      of('bedrock-agentcore', 'StopRuntimeSession').length +
      of('ssm', 'CancelCommand').length,
    definitionCalls: requests.filter(
      ({ service, operation }) => service === 'ecs' && operation.endsWith('TaskDefinition'),
    ).length,
    asks: requests.filter((one) => QUESTIONS.has(`${one.service} ${one.operation}`)).length,
    machineCalls:
      of('autoscaling', 'SetInstanceProtection').length + of('autoscaling', 'CompleteLifecycleAction').length,
    publishCalls: of('events', 'PutEvents').length,
    publishedEntries: sum(of('events', 'PutEvents').map(({ input }) => (input['Entries'] as unknown[]).length)),
    invocations: invocations.length,
    byRule: Object.fromEntries(Object.entries(byRule).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

const keyIn = (item: unknown): string => (item as { key: { S: string } }).key.S;
