import { rules } from '../rules/index.ts';

/** What a life cycle asks of AWS, as `bench/budget.ts` recorded it. */
export interface RecordedBudget {
  readonly recordWrites: number;
  readonly writeUnits: number;
  readonly recordReads: number;
  readonly readUnits: number;
  readonly messages: number;
  readonly schedules: number;
  readonly payloadPuts: number;
  readonly payloadGets: number;
  readonly payloadDeletes: number;
  readonly starts: number;
  readonly stops: number;
  readonly definitionCalls: number;
  readonly asks: number;
  readonly machineCalls: number;
  readonly publishCalls: number;
  readonly publishedEntries: number;
  readonly invocations: number;
  readonly byRule: Readonly<Record<string, number>>;
}

/** What it takes over a whole run to see that it lives, where its back end does not say, or may lose what it says. */
export interface RecordedWatching {
  readonly heartbeats: number;
  readonly heartbeatUnits: number;
  readonly looks: number;
  readonly recordWrites: number;
  readonly writeUnits: number;
  readonly recordReads: number;
  readonly readUnits: number;
  readonly messages: number;
  readonly schedules: number;
  readonly publishedEntries: number;
  readonly asks: number;
  readonly invocations: number;
}

/** Budgets of one back end by the minutes of a run, and when every event is delivered twice. */
export interface BackEndBudgets {
  readonly minutes: Readonly<Record<string, RecordedBudget>>;
  readonly deliveredTwice: RecordedBudget;
}

/** With the watching, which is counted apart. */
export interface WatchedBudgets extends BackEndBudgets {
  readonly watching: Readonly<Record<string, RecordedWatching>>;
}

/** Of ECS, and of the back ends that are watched. `joining`: of a machine, from its launch until it takes tasks. */
export interface RecordedBudgets extends BackEndBudgets {
  readonly agentcore: WatchedBudgets;
  readonly ec2: WatchedBudgets & { readonly joining: RecordedBudget };
}

/** Rules whose events wait in an SQS queue. */
export const QUEUE_RULES = rules.filter(({ delivery }) => delivery === 'queue').map(({ name }) => name);

/** Tasks that the figures are given for. */
export const TASKS = 1_000;
/** How often the poller of the comparison looks, in seconds. */
export const POLL_S = 30;
/** Assumed: what an invocation is billed for, warm, at the memory that the functions have. Not measured on AWS. */
export const BILLED_MS = 100;
export const MEMORY_GB = 0.5;
/** State transitions of a Step Functions workflow for the same steps: accept, admit, hydrate, run (.sync), judge, settle, and begin and end. */
export const WORKFLOW_TRANSITIONS = 8;
/** Of a loop in Step Functions that waits, describes and chooses. */
export const LOOP_TRANSITIONS = 3;
/** Functions that such a workflow, or an orchestrator that polls, still calls for the same steps. */
export const WORKFLOW_INVOCATIONS = 5;
/** Writes that it still makes, so that a task can be listed and shown. */
export const WORKFLOW_WRITES = 7;

/** US dollars in us-east-1, on demand, without free tiers; public price pages as of November 2026. */
export const PRICES = {
  'DynamoDB write unit': 0.625e-6,
  'DynamoDB read unit': 0.125e-6,
  'EventBridge custom event': 1e-6,
  'SQS request': 0.4e-6,
  'Scheduler invocation': 1e-6,
  'S3 PUT': 5e-6,
  'S3 GET': 0.4e-6,
  'Lambda request': 0.2e-6,
  'Lambda GB-second, arm64': 0.0000133334,
  'Step Functions state transition': 25e-6,
  'Lambda durable operation': 8e-6,
} as const;

/** A queue is asked for messages all the time by who polls it; a message costs sending, receiving and deleting. */
export const REQUESTS_PER_MESSAGE = 3;

/** Requests of the idle queues in 30 days: Lambda keeps five long polls of 20 s open (AWS Lambda developer guide, SQS polling). */
export const IDLE_POLLS = (QUEUE_RULES.length * 5 * 30 * 86_400) / 20;

const invocation = (): number =>
  PRICES['Lambda request'] + (BILLED_MS / 1000) * MEMORY_GB * PRICES['Lambda GB-second, arm64'];

/** Deliveries that come through a queue. */
const queuedIn = ({ byRule }: RecordedBudget): number =>
  QUEUE_RULES.reduce((all, name) => all + (byRule[name] ?? 0), 0);

export const costOf = (budget: RecordedBudget) => ({
  records: budget.writeUnits * PRICES['DynamoDB write unit'] + budget.readUnits * PRICES['DynamoDB read unit'],
  events: budget.publishedEntries * PRICES['EventBridge custom event'],
  queues: queuedIn(budget) * REQUESTS_PER_MESSAGE * PRICES['SQS request'],
  schedules: budget.schedules * PRICES['Scheduler invocation'],
  payloads: budget.payloadPuts * PRICES['S3 PUT'] + budget.payloadGets * PRICES['S3 GET'],
  functions: budget.invocations * invocation(),
});

export const sum = (costs: Readonly<Record<string, number>>): number =>
  Object.values(costs).reduce((all, one) => all + one, 0);

const workflowBase = (): number =>
  WORKFLOW_INVOCATIONS * invocation() + WORKFLOW_WRITES * 2 * PRICES['DynamoDB write unit'];

/** An orchestrator that wakes every 30 seconds: a checkpoint, an invocation, and a read of the record. */
export const polling = (minutes: number): number =>
  workflowBase() +
  ((minutes * 60) / POLL_S) * (PRICES['Lambda durable operation'] + invocation() + PRICES['DynamoDB read unit']);

export const workflow = (): number => workflowBase() + WORKFLOW_TRANSITIONS * PRICES['Step Functions state transition'];

export const loop = (minutes: number): number =>
  workflow() + ((minutes * 60) / POLL_S) * LOOP_TRANSITIONS * PRICES['Step Functions state transition'];

/** Signs of life and looks, over a whole run. An alarm comes through a queue, whichever clock it was set in. */
export const watchingCostOf = (watching: RecordedWatching): number =>
  (watching.heartbeatUnits + watching.writeUnits) * PRICES['DynamoDB write unit'] +
  watching.readUnits * PRICES['DynamoDB read unit'] +
  watching.looks * REQUESTS_PER_MESSAGE * PRICES['SQS request'] +
  watching.schedules * PRICES['Scheduler invocation'] +
  watching.publishedEntries * PRICES['EventBridge custom event'] +
  watching.invocations * invocation();

export const dollars = (each: number): string => `$${(each * TASKS).toFixed(each * TASKS < 1 ? 3 : 2)}`;
