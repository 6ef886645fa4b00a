import { eventPatternOf } from '../rules/event-pattern.ts';
import { rules } from '../rules/index.ts';
import { type NamedPattern, ruleIndex } from '../runtime/rule-index.ts';
import { cpuMs, median } from './meter.ts';

/** Events of one measurement: enough kinds and values to be no single shape, few enough to stay in memory's faster parts. */
const EVENTS = 2_000;
/** Processor time before anything is measured, in milliseconds: compilers of the engine have done their work by then. */
const WARM_MS = 300;

export interface MatcherOptions {
  readonly rounds: number;
  readonly roundMs: number;
}

export interface MatcherFigures {
  readonly rules: number;
  readonly matches: number;
  /** Thousands of events per second of processor time. */
  readonly parse: number;
  readonly naive: number;
  readonly ours: number;
  readonly parseAndNaive: number;
  readonly parseAndOurs: number;
}

/**
 * How fast the matcher finds the rules of an event, beside a naive interpreter; both with `JSON.parse`, as a bus or a function gets
 * an event, and without it. Rounds of all alternate; medians by processor time, since other programs may run.
 */
export async function measureMatcher({ rounds, roundMs }: MatcherOptions): Promise<MatcherFigures[]> {
  const lines = Array.from({ length: EVENTS }, (_, index) => JSON.stringify(eventOf(index)));
  return [ourRules(), manyRules()].map((patterns) => measured(patterns, lines, rounds, roundMs));
}

function measured(
  patterns: readonly NamedPattern[],
  lines: readonly string[],
  rounds: number,
  roundMs: number,
): MatcherFigures {
  const events = lines.map((line) => JSON.parse(line) as unknown);
  const index = ruleIndex(patterns);
  const ours = (event: unknown): number => index(event).length;
  const naive = (event: unknown): number => {
    let fitting = 0;
    for (const { pattern } of patterns) if (naiveFits(pattern, event as Fields)) fitting++;
    return fitting;
  };
  const sides = {
    parse: (at: number) => ((JSON.parse(lines[at] ?? '') as object) ? 0 : 1),
    naive: (at: number) => naive(events[at]),
    ours: (at: number) => ours(events[at]),
    parseAndNaive: (at: number) => naive(JSON.parse(lines[at] ?? '')),
    parseAndOurs: (at: number) => ours(JSON.parse(lines[at] ?? '')),
  };
  const matches = total(sides.ours);
  if (matches !== total(sides.naive))
    throw new Error(`matcher and naive interpreter disagree over ${patterns.length} rules`);

  const names = Object.keys(sides) as (keyof typeof sides)[];
  const found = new Map(names.map((name) => [name, [] as number[]]));
  for (const name of names) rate(sides[name], WARM_MS);
  for (let round = 0; round < rounds; round++) {
    for (const name of names) found.get(name)?.push(rate(sides[name], roundMs));
  }
  const of = (name: keyof typeof sides): number => median(found.get(name) ?? []);
  return {
    rules: patterns.length,
    matches,
    parse: of('parse'),
    naive: of('naive'),
    ours: of('ours'),
    parseAndNaive: of('parseAndNaive'),
    parseAndOurs: of('parseAndOurs'),
  };
}

const total = (side: (at: number) => number): number => {
  let sum = 0;
  for (let at = 0; at < EVENTS; at++) sum += side(at);
  return sum;
};

/** Thousands of events per second of processor time. */
function rate(side: (at: number) => number, forMs: number): number {
  const startedMs = cpuMs();
  let events = 0;
  for (let spentMs = 0; ; spentMs = cpuMs() - startedMs) {
    if (spentMs >= forMs) return events / spentMs;
    total(side);
    events += EVENTS;
  }
}

const ourRules = (): NamedPattern[] =>
  rules.map((rule) => ({ name: rule.name, pattern: eventPatternOf(rule) as NamedPattern['pattern'] }));

/** Our rules and those of other consumers of the same bus: by user, by repository, by range, by what something is not. */
function manyRules(): NamedPattern[] {
  const others = Array.from({ length: 100 - rules.length }, (_, index): NamedPattern => {
    const source = ['baton'];
    const data = [
      { userId: [`user-${index}`] },
      { repository: [{ prefix: `example/r${index}` }] },
      { priority: [{ numeric: ['>', index, '<=', index + 20] as const }] },
      { channel: [{ 'anything-but': ['api', 'slack'] }], userId: [`user-${index}`] },
      { compute: ['ec2'], taskId: [{ exists: true }], userId: [`user-${index}`] },
    ][index % 5];
    const pattern =
      index % 2 === 0
        ? { source, detail: { data } }
        : { source, 'detail-type': [TYPES[index % TYPES.length]], detail: { data } };
    return { name: `other-${index}`, pattern: pattern as NamedPattern['pattern'] };
  });
  return [...ourRules(), ...others];
}

const TYPES = [
  ...new Set(rules.flatMap((rule) => rule.on.filter(({ source }) => source === 'baton').map(({ type }) => type))),
];

function eventOf(index: number): object {
  const pick = <One>(many: readonly One[]): One | undefined => many[(index * 7) % many.length];
  const envelope = {
    version: '0',
    id: `0d5c3a1e-0000-4000-8000-${String(index).padStart(12, '0')}`,
    account: '123456789012',
    time: '2026-11-21T12:00:00Z',
    region: 'eu-west-1',
  };
  const taskArn = `arn:aws:ecs:eu-west-1:123456789012:task/baton/${index}`;
  if (index % 4 === 0) {
    const lastStatus = pick(['PENDING', 'RUNNING', 'STOPPED', 'DEPROVISIONING']);
    const detail = {
      clusterArn: 'arn:aws:ecs:eu-west-1:123456789012:cluster/baton',
      taskArn,
      lastStatus,
      desiredStatus: 'RUNNING',
      group: 'family:baton-agent',
      launchType: 'FARGATE',
      startedBy: index % 3 === 0 ? `baton/main/${index}` : 'ecs-svc/1',
      containers: [{ name: 'agent', exitCode: index % 5, lastStatus, runtimeId: 'x'.repeat(40) }],
      overrides: { containerOverrides: [{ name: 'agent', environment: [{ name: 'BATON_TASK', value: `t${index}` }] }] },
      version: index % 7,
    };
    return { ...envelope, source: 'aws.ecs', 'detail-type': 'ECS Task State Change', resources: [taskArn], detail };
  }
  const data = {
    taskId: `01K${index}`,
    userId: `user-${index % 97}`,
    repository: `example/r${index % 89}`,
    priority: index % 83,
    channel: pick(['api', 'slack', 'linear', 'jira']),
    compute: pick(['ecs', 'agentcore', 'ec2']),
    ...(index % 6 === 1 ? { status: pick(['COMPLETED', 'STOPPING']) } : {}),
    prompt: 'x'.repeat(200),
  };
  const metadata = {
    id: `e${index}`,
    correlationId: `c${index}`,
    causationId: `e${index - 1}`,
    occurredAt: envelope.time,
  };
  return { ...envelope, source: 'baton', 'detail-type': pick(TYPES), resources: [], detail: { metadata, data } };
}

/** What one writes first: walks the pattern anew for each event. Knows what the patterns above use, and no more. */
function naiveFits(pattern: Fields, event: Fields | undefined): boolean {
  for (const field in pattern) {
    const wanted = pattern[field];
    const value = event?.[field];
    if (field === '$or') {
      if (!(wanted as Fields[]).some((one) => naiveFits(one, event))) return false;
    } else if (Array.isArray(wanted)) {
      if (!naiveLeafFits(wanted, value)) return false;
    } else if (Array.isArray(value)) {
      if (!value.some((one) => naiveFits(wanted as Fields, one))) return false;
    } else if (!naiveFits(wanted as Fields, value as Fields | undefined)) return false;
  }
  return true;
}

function naiveLeafFits(wanted: readonly unknown[], value: unknown): boolean {
  for (const matcher of wanted) {
    if (Array.isArray(value) ? value.some((one) => naiveMatcherFits(matcher, one)) : naiveMatcherFits(matcher, value))
      return true;
  }
  return false;
}

function naiveMatcherFits(matcher: unknown, value: unknown): boolean {
  if (typeof matcher !== 'object' || matcher === null) return matcher === value;
  if ('exists' in matcher) return (value !== undefined) === matcher.exists;
  if ('prefix' in matcher) return typeof value === 'string' && value.startsWith(String(matcher.prefix));
  if ('anything-but' in matcher) {
    const excluded = matcher['anything-but'];
    return value !== undefined && (Array.isArray(excluded) ? !excluded.includes(value) : excluded !== value);
  }
  if ('numeric' in matcher && Array.isArray(matcher.numeric)) {
    const [, above, , atMost] = matcher.numeric as number[];
    return typeof value === 'number' && value > (above ?? 0) && value <= (atMost ?? 0);
  }
  throw new Error(`the naive interpreter does not know ${JSON.stringify(matcher)}`);
}

type Fields = Readonly<Record<string, unknown>>;
