import { rules } from '../rules/index.ts';
import { GENERATED, page, table } from './markdown.ts';

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
  readonly definitionCalls: number;
  readonly asks: number;
  readonly publishCalls: number;
  readonly publishedEntries: number;
  readonly invocations: number;
  readonly byRule: Readonly<Record<string, number>>;
}

export interface RecordedBudgets {
  readonly minutes: Readonly<Record<string, RecordedBudget>>;
  readonly deliveredTwice: RecordedBudget;
}

/** Rules whose events wait in an SQS queue. */
const QUEUE_RULES = rules.filter(({ delivery }) => delivery === 'queue').map(({ name }) => name);

/** Tasks that the figures are given for. */
const TASKS = 1_000;
/** How often the poller of the comparison looks, in seconds. */
const POLL_S = 30;
/** Assumed: what an invocation is billed for, warm, at the memory that the functions have. Not measured on AWS. */
const BILLED_MS = 100;
const MEMORY_GB = 0.5;
/** State transitions of a Step Functions workflow for the same steps: accept, admit, hydrate, run (.sync), judge, settle, and begin and end. */
const WORKFLOW_TRANSITIONS = 8;
/** Of a loop in Step Functions that waits, describes and chooses. */
const LOOP_TRANSITIONS = 3;
/** Functions that such a workflow, or an orchestrator that polls, still calls for the same steps. */
const WORKFLOW_INVOCATIONS = 5;
/** Writes that it still makes, so that a task can be listed and shown. */
const WORKFLOW_WRITES = 7;

/** US dollars in us-east-1, on demand, without free tiers; public price pages as of November 2026. */
const PRICES = {
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
const REQUESTS_PER_MESSAGE = 3;

/** Requests of the idle queues in 30 days: Lambda keeps five long polls of 20 s open (AWS Lambda developer guide, SQS polling). */
const IDLE_POLLS = (QUEUE_RULES.length * 5 * 30 * 86_400) / 20;

const invocation = (): number =>
  PRICES['Lambda request'] + (BILLED_MS / 1000) * MEMORY_GB * PRICES['Lambda GB-second, arm64'];

/** Deliveries that come through a queue. */
const queuedIn = ({ byRule }: RecordedBudget): number =>
  QUEUE_RULES.reduce((all, name) => all + (byRule[name] ?? 0), 0);

const costOf = (budget: RecordedBudget) => ({
  records: budget.writeUnits * PRICES['DynamoDB write unit'] + budget.readUnits * PRICES['DynamoDB read unit'],
  events: budget.publishedEntries * PRICES['EventBridge custom event'],
  queues: queuedIn(budget) * REQUESTS_PER_MESSAGE * PRICES['SQS request'],
  schedules: budget.schedules * PRICES['Scheduler invocation'],
  payloads: budget.payloadPuts * PRICES['S3 PUT'] + budget.payloadGets * PRICES['S3 GET'],
  functions: budget.invocations * invocation(),
});

const sum = (costs: Readonly<Record<string, number>>): number =>
  Object.values(costs).reduce((all, one) => all + one, 0);

const workflowBase = (): number =>
  WORKFLOW_INVOCATIONS * invocation() + WORKFLOW_WRITES * 2 * PRICES['DynamoDB write unit'];

/** An orchestrator that wakes every 30 seconds: a checkpoint, an invocation, and a read of the record. */
const polling = (minutes: number): number =>
  workflowBase() +
  ((minutes * 60) / POLL_S) * (PRICES['Lambda durable operation'] + invocation() + PRICES['DynamoDB read unit']);

const workflow = (): number => workflowBase() + WORKFLOW_TRANSITIONS * PRICES['Step Functions state transition'];

const loop = (minutes: number): number =>
  workflow() + ((minutes * 60) / POLL_S) * LOOP_TRANSITIONS * PRICES['Step Functions state transition'];

const dollars = (each: number): string => `$${(each * TASKS).toFixed(each * TASKS < 1 ? 3 : 2)}`;

/** `docs/cost.md`: what the control plane costs, from recorded counts and public prices. */
export function costPage({ minutes, deliveredTwice }: RecordedBudgets): string {
  const durations = Object.keys(minutes).map(Number);
  const budgets = Object.values(minutes);
  const counts = (name: string, of: (budget: RecordedBudget) => number): string[] => [
    name,
    ...[...budgets, deliveredTwice].map((budget) => String(of(budget))),
  ];
  const heads = durations.map((duration) => `${duration} min`);
  const parts = budgets.map(costOf);
  const part = (name: keyof ReturnType<typeof costOf>): string[] => [name, ...parts.map((one) => dollars(one[name]))];
  return page(
    GENERATED,
    '# Cost',
    'What the control plane costs on AWS, without the compute of the agents and without their tokens. Counts are recorded, prices are public, and nothing here was ever billed: no live account was at hand.',
    '## Requests of one healthy ECS task',
    'From its request to the last alarm, with real adapters and SDK clients over a transport that records (`npm run budget`; a test fails when the counts change). The last column delivers every event twice to every rule. A task that the runner pushes once asks for three more writes, one payload read and two events of its own, and one event per progress report.',
    table(
      ['', ...heads, 'all twice'],
      [
        counts('record writes', (one) => one.recordWrites),
        counts('… write units', (one) => one.writeUnits),
        counts('record reads', (one) => one.recordReads),
        counts('… read units', (one) => one.readUnits),
        counts('alarms by message', (one) => one.messages),
        counts('alarms by schedule', (one) => one.schedules),
        counts('payload puts', (one) => one.payloadPuts),
        counts('payload gets', (one) => one.payloadGets),
        counts('payload deletes', (one) => one.payloadDeletes),
        counts('starts of compute', (one) => one.starts),
        counts('task definitions described', (one) => one.definitionCalls),
        counts('questions to compute', (one) => one.asks),
        counts('PutEvents calls', (one) => one.publishCalls),
        counts('published entries', (one) => one.publishedEntries),
        counts('invocations', (one) => one.invocations),
      ],
    ),
    'Why some counts are above what was aimed for: [decision 0010](decisions/0010-request-budget.md).',
    `## Dollars per ${TASKS.toLocaleString('en')} tasks`,
    table(
      ['', ...heads],
      [
        part('records'),
        part('events'),
        part('queues'),
        part('schedules'),
        part('payloads'),
        part('functions'),
        ['**Baton**', ...parts.map((one) => `**${dollars(sum(one))}**`)],
        [`an orchestrator that polls every ${POLL_S} s`, ...durations.map((duration) => dollars(polling(duration)))],
        ['Step Functions, `.sync`', ...durations.map(() => dollars(workflow()))],
        [`Step Functions, a loop of ${POLL_S} s`, ...durations.map((duration) => dollars(loop(duration)))],
      ],
    ),
    `With no task, nothing is invoked and nothing is scheduled. What remains by the month: Lambda's polling of ${QUEUE_RULES.length} queues, about ${IDLE_POLLS.toLocaleString('en')} requests or $${(IDLE_POLLS * PRICES['SQS request']).toFixed(2)}; storage; one secret, $0.40; and the CloudWatch alarms, $0.10 each.`,
    '## Formulas',
    [
      '- records = write units × price + read units × price. A write is billed per KB of the whole item, a consistent read per 4 KB.',
      '- events = published entries × price; each is below 64 KB. Events of AWS services are free.',
      `- queues = deliveries to ${QUEUE_RULES.join(', ')} × ${REQUESTS_PER_MESSAGE} SQS requests (in, out, done). The idle polling stands above.`,
      '- schedules = schedules × price.',
      '- payloads = puts × price + gets × price; deletes are free.',
      `- functions = invocations × (request + ${BILLED_MS} ms × ${MEMORY_GB} GB × price). **${BILLED_MS} ms is assumed**, not measured.`,
      `- polling orchestrator = ${WORKFLOW_INVOCATIONS} invocations + ${WORKFLOW_WRITES} writes of 2 KB + per poll: one durable operation, one invocation, one read.`,
      `- Step Functions = the same base + ${WORKFLOW_TRANSITIONS} transitions; as a loop ${LOOP_TRANSITIONS} more per poll.`,
    ].join('\n'),
    '## Prices',
    'us-east-1, on demand, free tiers left out, November 2026.',
    table(
      ['per', 'US dollars per million'],
      Object.entries(PRICES).map(([name, price]) => [name, (price * 1e6).toFixed(price * 1e6 < 1 ? 3 : 2)]),
    ),
  );
}
