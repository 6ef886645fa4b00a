import { QUIET_CHECKS } from '../lifecycle/life-signs.ts';
import { rates, runningCostOf } from '../lifecycle/running-cost.ts';
import { awsTimings } from '../lifecycle/timings.ts';
import {
  type BackEndBudgets,
  BILLED_MS,
  costOf,
  dollars,
  IDLE_POLLS,
  LOOP_TRANSITIONS,
  loop,
  MEMORY_GB,
  POLL_S,
  PRICES,
  polling,
  QUEUE_RULES,
  REQUESTS_PER_MESSAGE,
  type RecordedBudget,
  type RecordedBudgets,
  sum,
  TASKS,
  type WatchedBudgets,
  WORKFLOW_INVOCATIONS,
  WORKFLOW_TRANSITIONS,
  WORKFLOW_WRITES,
  watchingCostOf,
  workflow,
} from './cost-figures.ts';
import { GENERATED, page, table } from './markdown.ts';

/** After this time without work a session ends by itself, as it is deployed, in seconds. */
const IDLE_S = 900;
/** Shares of its time for which a machine works, of the table. */
const BUSY_SHARES = { 'all the time': 1, 'half of it': 0.5, 'a tenth of it': 0.1 } as const;

/** `docs/cost.md`: what the control plane costs, from recorded counts and public prices. */
export function costPage({ agentcore, ec2, ...ecs }: RecordedBudgets): string {
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
    ...onFleet(ec2),
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
      counts('calls about its machine', (one) => one.machineCalls),
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

/** Beside what a task costs by itself. */
const watchedRows = ({ minutes, watching }: WatchedBudgets) => {
  const watched = (duration: number): number => {
    const one = watching[String(duration)];
    return one ? watchingCostOf(one) : 0;
  };
  const together = (duration: number): number => {
    const budget = minutes[String(duration)];
    return watched(duration) + (budget ? sum(costOf(budget)) : 0);
  };
  return [
    ['watching', watched],
    ['**together**', together],
  ] as const;
};

/** The watching of the longest run there is. */
function longestOf(watching: WatchedBudgets['watching'], where: string) {
  const [minutes, longest] = Object.entries(watching).at(-1) ?? [];
  if (!longest) throw new Error(`docs/budget.json has no watching of a run on ${where}: npm run budget`);
  return { minutes: Number(minutes), longest };
}

function onAgentcore({ watching, ...budgets }: WatchedBudgets): string[] {
  const { minutes, longest } = longestOf(watching, 'AgentCore');
  const hourly = (count: number): string => ((count * 60) / minutes).toFixed(0);
  const hour = (watchingCostOf(longest) * 60) / minutes;
  const { HEARTBEAT_S, LIFE_LOOK_S, STOP_LOOK_S } = awsTimings;
  return [
    '## Requests of one healthy AgentCore task',
    `The same story without what watching it costs, which stands below. AgentCore tells of no end, so its session is stopped after the report, and once more ${STOP_LOOK_S} s later, which proves that it is gone ([decision 0022](decisions/0022-a-back-end-that-tells-nothing.md)).`,
    countsTable(budgets),
    `Dollars per ${TASKS.toLocaleString('en')} tasks:`,
    dollarsTable(budgets, watchedRows({ watching, ...budgets })),
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

function onFleet({ watching, joining, ...budgets }: RecordedBudgets['ec2']): string[] {
  const { minutes, longest } = longestOf(watching, 'EC2');
  const each = (count: number): string => (longest.looks === 0 ? '0' : String(count / longest.looks));
  const hour = (watchingCostOf(longest) * 60) / minutes;
  const { usdPerHour, vcpu, memoryGb } = rates.ec2;
  const lookMinutes = (QUIET_CHECKS * awsTimings.START_CHECK_S) / 60;
  return [
    '## Requests of one healthy EC2 task',
    'The same story on a fleet of one machine that is ready, without the looks below. The start claims its worker, has Auto Scaling keep the machine, and sends one command; Systems Manager tells when that ends, with the proof of the host, and Auto Scaling may have the machine again. So a healthy task calls `SendCommand` once and `SetInstanceProtection` twice, for which no price is counted here, and asks nothing ([decision 0025](decisions/0025-a-worker-is-given-back-by-proof.md)). Where a fleet has more machines, a claim reads some of them at a time until one is idle.',
    countsTable(budgets),
    `Dollars per ${TASKS.toLocaleString('en')} tasks:`,
    dollarsTable(budgets, watchedRows({ watching, ...budgets })),
    `What Systems Manager says may be lost, so a run that works for ${lookMinutes} minutes is asked about, and again every ${lookMinutes} minutes; shorter ones never are. In ${minutes} minutes that is ${longest.looks} times. Each is an alarm, ${each(longest.invocations)} invocations, ${each(longest.asks)} questions (what became of the command, and whether the machine is there), ${each(longest.recordReads)} record reads, ${each(longest.recordWrites)} write and ${each(longest.publishedEntries)} event: $${hour.toFixed(6)} an hour, ${((hour / usdPerHour) * 100).toFixed(3)} % of what the machine costs.`,
    `A machine that joins its fleet costs ${joining.invocations} invocations, ${joining.recordReads} record reads and ${joining.recordWrites} writes, once.`,
    '## A machine of a fleet',
    `It costs the same idle or busy: $${usdPerHour.toFixed(3)} an hour by list price, $${(usdPerHour * 24 * 30).toFixed(2)} in 30 days, for the default type (m7g.xlarge: ${vcpu} vCPU, ${memoryGb} GB), on demand and without its volume. It works for one run at a time, so what an hour of a run costs depends on how much of its time it works:`,
    table(
      ['the machine works', 'an hour of a run'],
      Object.entries(BUSY_SHARES).map(([share, of]) => [share, `$${(usdPerHour / of).toFixed(3)}`]),
    ),
    `A task of ECS in its base size (${rates.ecs.vcpu} vCPU, ${rates.ecs.memoryGb} GB) costs $${rates.ecs.usdPerHour.toFixed(3)} an hour, and nothing when there is none. A machine of a fleet is there when a task comes, with its image; one that has nothing to do is paid for until its group is made smaller.`,
  ];
}

/** What runs cost that nobody stops, by list prices. */
function forgotten(): string[] {
  const { memoryGb, idleUsdPerHour: idle = 0, endsAfterSeconds = 0 } = rates.agentcore;
  const [session, task] = [runningCostOf('agentcore', undefined), runningCostOf('ecs', undefined)];
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
        [
          `EC2, ${rates.ec2.vcpu} vCPU and ${rates.ec2.memoryGb} GB, with a run or without`,
          usd(rates.ec2.usdPerHour),
          `never: ${usd(rates.ec2.usdPerHour * 24 * 30)} in 30 days`,
        ],
      ],
    ),
    `So stopping a session ${awsTimings.LAST_WORD_GRACE_S} s after its report saves up to ${usd((idle * IDLE_S) / 3_600)} a task, many times what the control plane costs. AgentCore bills what a session uses, by the second: no processor time while it waits, and memory as long as it lives. ECS bills what was asked for, EC2 the machine.`,
  ];
}
