import { rates, runningCostOf } from '../lifecycle/running-cost.ts';
import { awsTimings } from '../lifecycle/timings.ts';
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
  readonly stops: number;
  readonly definitionCalls: number;
  readonly asks: number;
  readonly publishCalls: number;
  readonly publishedEntries: number;
  readonly invocations: number;
  readonly byRule: Readonly<Record<string, number>>;
}

/** What it takes over a whole run to see that it lives, where its back end does not say. */
interface RecordedWatching {
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
}

/** Budgets of one back end by the minutes of a run, and when every event is delivered twice. */
interface BackEndBudgets {
  readonly minutes: Readonly<Record<string, RecordedBudget>>;
  readonly deliveredTwice: RecordedBudget;
}

/** Of ECS, and of AgentCore, where the watching is counted apart. */
export interface RecordedBudgets extends BackEndBudgets {
  readonly agentcore: BackEndBudgets & { readonly watching: Readonly<Record<string, RecordedWatching>> };
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
/** After this time without work a session ends by itself, as it is deployed, in seconds. */
const IDLE_S = 900;
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

/** Signs of life and looks at them, over a whole run. */
const watchingCostOf = (watching: RecordedWatching): number =>
  (watching.heartbeatUnits + watching.writeUnits) * PRICES['DynamoDB write unit'] +
  watching.readUnits * PRICES['DynamoDB read unit'] +
  watching.messages * REQUESTS_PER_MESSAGE * PRICES['SQS request'] +
  watching.schedules * PRICES['Scheduler invocation'] +
  watching.publishedEntries * PRICES['EventBridge custom event'] +
  watching.looks * invocation();

const dollars = (each: number): string => `$${(each * TASKS).toFixed(each * TASKS < 1 ? 3 : 2)}`;

/** `docs/cost.md`: what the control plane costs, from recorded counts and public prices. */
export function costPage({ agentcore, ...ecs }: RecordedBudgets): string {
  return page(
    GENERATED,
    '# Cost',
    'What the control plane costs on AWS, without the compute of the agents and without their tokens. Counts are recorded, prices are public, and nothing here was ever billed: no live account was at hand.',
    '## Requests of one healthy ECS task',
    'From its request to the last alarm, with real adapters and SDK clients over a transport that records (`npm run budget`; a test fails when the counts change). The last column delivers every event twice to every rule. A task that the runner pushes once asks for three more writes, one payload read and two events of its own, and one event per progress report.',
    countsTable(ecs),
    'Why some counts are above what was aimed for: [decision 0010](decisions/0010-request-budget.md).',
    `## Dollars per ${TASKS.toLocaleString('en')} tasks`,
    dollarsTable(ecs, [
      [`an orchestrator that polls every ${POLL_S} s`, polling],
      ['Step Functions, `.sync`', workflow],
      [`Step Functions, a loop of ${POLL_S} s`, loop],
    ]),
    `With no task, nothing is invoked and nothing is scheduled. What remains by the month: Lambda's polling of ${QUEUE_RULES.length} queues, about ${IDLE_POLLS.toLocaleString('en')} requests or $${(IDLE_POLLS * PRICES['SQS request']).toFixed(2)}; storage; one secret, $0.40; and the CloudWatch alarms, $0.10 each.`,
    ...onAgentcore(agentcore),
    ...forgotten(),
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

function countsTable({ minutes, deliveredTwice }: BackEndBudgets): string {
  const counts = (name: string, of: (budget: RecordedBudget) => number): string[] => [
    name,
    ...[...Object.values(minutes), deliveredTwice].map((budget) => String(of(budget))),
  ];
  return table(
    ['', ...headsOf(minutes), 'all twice'],
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
      counts('stops of compute', (one) => one.stops),
      counts('task definitions described', (one) => one.definitionCalls),
      counts('questions to compute', (one) => one.asks),
      counts('PutEvents calls', (one) => one.publishCalls),
      counts('published entries', (one) => one.publishedEntries),
      counts('invocations', (one) => one.invocations),
    ],
  );
}

/** What Baton costs, part by part, and beside it what others do, by the minutes of a run. */
function dollarsTable(
  { minutes }: Pick<BackEndBudgets, 'minutes'>,
  others: readonly (readonly [name: string, costOf: (minutes: number) => number])[],
): string {
  const parts = Object.values(minutes).map(costOf);
  const part = (name: keyof ReturnType<typeof costOf>): string[] => [name, ...parts.map((one) => dollars(one[name]))];
  return table(
    ['', ...headsOf(minutes)],
    [
      part('records'),
      part('events'),
      part('queues'),
      part('schedules'),
      part('payloads'),
      part('functions'),
      ['**Baton**', ...parts.map((one) => `**${dollars(sum(one))}**`)],
      ...others.map(([name, of]) => [name, ...Object.keys(minutes).map((duration) => dollars(of(Number(duration))))]),
    ],
  );
}

const headsOf = (minutes: object): string[] => Object.keys(minutes).map((duration) => `${duration} min`);

function onAgentcore({ watching, ...budgets }: RecordedBudgets['agentcore']): string[] {
  const [minutes = '60', longest] = Object.entries(watching).at(-1) ?? [];
  if (!longest) throw new Error('docs/budget.json has no watching of a run on AgentCore: npm run budget');
  const hourly = (count: number): string => ((count * 60) / Number(minutes)).toFixed(0);
  const hour = (watchingCostOf(longest) * 60) / Number(minutes);
  const { HEARTBEAT_S, LIFE_LOOK_S, STOP_LOOK_S } = awsTimings;
  return [
    '## Requests of one healthy AgentCore task',
    `The same story without what watching it costs, which stands below. AgentCore tells of no end, so its session is stopped after the report, and once more ${STOP_LOOK_S} s later, which proves that it is gone ([decision 0022](decisions/0022-a-back-end-that-tells-nothing.md)).`,
    countsTable(budgets),
    `Dollars per ${TASKS.toLocaleString('en')} tasks:`,
    dollarsTable(budgets, [
      ['watching', (duration) => watchingCostOf(watching[String(duration)] ?? longest)],
      [
        '**together**',
        (duration) => {
          const budget = budgets.minutes[String(duration)];
          return watchingCostOf(watching[String(duration)] ?? longest) + (budget ? sum(costOf(budget)) : 0);
        },
      ],
    ]),
    '## Watching a session',
    `The runner leaves a sign of life every ${HEARTBEAT_S} s; the task looks every ${LIFE_LOOK_S} s: one message of the alarm clock, one invocation, two reads, one write of the task. In an hour of a run these are`,
    table(
      ['', 'in an hour'],
      [
        ['signs of life, a write of the runner each', hourly(longest.heartbeats)],
        ['looks: messages and invocations', hourly(longest.looks)],
        ['record reads', hourly(longest.recordReads)],
        ['record writes', hourly(longest.recordWrites)],
        ['… write units', hourly(longest.writeUnits)],
        ['published entries', hourly(longest.publishedEntries)],
        ['**US dollars**', `**$${hour.toFixed(5)}**`],
      ],
    ),
    `That is ${((hour / runningCostOf('agentcore', undefined).usdPerHour) * 100).toFixed(1)} % of what the session itself costs at most. ECS needs nothing of it. Why it is done so: [decision 0023](decisions/0023-looking-is-cheap.md).`,
  ];
}

/** What runs cost that nobody stops, by list prices. */
function forgotten(): string[] {
  const { memoryGb, usdPerGbHour, endsAfterSeconds = 0 } = rates.agentcore;
  const [session, task] = [runningCostOf('agentcore', undefined), runningCostOf('ecs', undefined)];
  const idle = memoryGb * usdPerGbHour;
  const hours = endsAfterSeconds / 3_600;
  const usd = (amount: number): string => `$${amount.toFixed(amount < 1 ? 3 : 2)}`;
  return [
    '## A run that nobody stops',
    'At most, by list prices; `RunOrphaned` says the same of the run in question.',
    table(
      ['', 'an hour', 'until it ends by itself'],
      [
        [
          `AgentCore, ${rates.agentcore.vcpu} vCPU and ${memoryGb} GB, all of it in use`,
          usd(session.usdPerHour),
          `${usd(session.usdPerHour * hours)} in ${hours} hours`,
        ],
        [
          'AgentCore, idle, with all memory still held',
          usd(idle),
          `${usd((idle * IDLE_S) / 3_600)} in ${IDLE_S / 60} minutes`,
        ],
        [
          `ECS, base size: ${rates.ecs.vcpu} vCPU and ${rates.ecs.memoryGb} GB`,
          usd(task.usdPerHour),
          `never: ${usd(task.usdPerHour * 24 * 30)} in 30 days`,
        ],
      ],
    ),
    `So stopping a session ${awsTimings.LAST_WORD_GRACE_S} s after its report saves up to ${usd((idle * IDLE_S) / 3_600)} a task, many times what the control plane costs. AgentCore bills what a session uses, by the second: no processor time while it waits, and memory as long as it lives. ECS bills what was asked for.`,
  ];
}
