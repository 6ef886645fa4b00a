import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The declarations of the product, or a made-up set of them. */
export interface Declarations {
  readonly events: readonly {
    readonly type: string;
    readonly drives: boolean;
    readonly edge?: 'in' | 'out';
  }[];
  readonly rules: readonly {
    readonly name: string;
    readonly on: readonly { readonly type: string }[];
    readonly emits: readonly { readonly type: string }[];
  }[];
  readonly handled: readonly string[];
  readonly states: Readonly<Record<string, { readonly terminal: boolean; readonly due: readonly string[] }>>;
  readonly transitions: Readonly<
    Record<string, { readonly from: readonly string[]; readonly to: string; readonly emits: readonly string[] }>
  >;
  readonly duePurposes: readonly string[];
  readonly timings: readonly string[];
  readonly reasons: readonly string[];
  readonly errorCodes: readonly string[];
  readonly runbook: string;
  /** Path in the repository → source text, of all rooms of the product. */
  readonly sources: Readonly<Record<string, string>>;
}

/** Everything about the declarations that does not fit together, one sentence each. */
export const problemsOf = (declared: Declarations): string[] => [
  ...eventProblems(declared),
  ...ruleProblems(declared),
  ...lifecycleProblems(declared),
  ...registryProblems(declared),
  ...nameProblems(declared),
  ...repeatProblems(declared),
];

function eventProblems({ events, rules }: Declarations): string[] {
  const emitted = new Set(rules.flatMap((rule) => rule.emits.map(({ type }) => type)));
  const consumed = new Set(rules.flatMap((rule) => rule.on.map(({ type }) => type)));
  return events.flatMap(({ type, drives, edge }) => [
    ...(!emitted.has(type) && edge !== 'in' ? [`event ${type} is emitted by no rule`] : []),
    ...(!consumed.has(type) && edge !== 'out' ? [`event ${type} is consumed by no rule`] : []),
    ...(consumed.has(type) && edge === 'out' ? [`event ${type} says that nobody consumes it, but a rule does`] : []),
    ...(drives && !consumed.has(type) ? [`event ${type} drives, but no rule reacts to it`] : []),
  ]);
}

function ruleProblems({ rules, handled, events }: Declarations): string[] {
  const declared = new Set(events.map(({ type }) => type));
  return [
    ...rules.filter(({ name }) => !handled.includes(name)).map(({ name }) => `rule ${name} has no handler`),
    ...handled
      .filter((name) => !rules.some((rule) => rule.name === name))
      .map((name) => `handler ${name} is of no listed rule`),
    ...rules.flatMap(({ name, emits }) =>
      emits
        .filter(({ type }) => !declared.has(type))
        .map(({ type }) => `rule ${name} emits ${type}, which no list of events has`),
    ),
  ];
}

function lifecycleProblems({ states, transitions, events, duePurposes, sources }: Declarations): string[] {
  const known = new Set(events.map(({ type }) => type));
  const moves = within(sources, ['lifecycle/', 'handlers/']);
  const used = (name: string) => moves.includes(`step('${name}'`) || moves.includes(`transition: '${name}'`);
  const due = new Set(Object.values(states).flatMap((state) => state.due));
  return [
    ...Object.entries(states).flatMap(([name, state]) =>
      state.due.length === 0 ? [`state ${name} has no due date`] : [],
    ),
    ...duePurposes.filter((purpose) => !due.has(purpose)).map((purpose) => `due date ${purpose} belongs to no state`),
    ...Object.entries(transitions).flatMap(([name, { from, to, emits }]) => [
      ...from.filter((state) => states[state]?.terminal).map((state) => `transition ${name} leaves the end ${state}`),
      ...[...from, to].filter((state) => !states[state]).map((state) => `transition ${name} names no state: ${state}`),
      ...emits.filter((type) => !known.has(type)).map((type) => `transition ${name} emits ${type}, which is no event`),
      ...(used(name) ? [] : [`transition ${name} is used by nothing`]),
    ]),
    ...Object.keys(states)
      .filter((state) => !Object.values(transitions).some(({ to }) => to === state))
      .map((state) => `state ${state} is reached by no transition`),
  ];
}

function registryProblems({ timings, reasons, errorCodes, runbook, sources }: Declarations): string[] {
  const readers = within(sources, ['lifecycle/', 'handlers/', 'runtime/'], ['lifecycle/timings.ts']);
  const waits = `${readers}\n${/export const backoffSeconds[\s\S]*/.exec(sources['lifecycle/timings.ts'] ?? '')?.[0] ?? ''}`;
  const concluders = within(sources, ['lifecycle/', 'handlers/', 'runtime/', 'agent/'], []);
  const sections = new Set([...runbook.matchAll(/^#+ `?([A-Za-z0-9_]+)`?$/gm)].map((match) => match[1]));
  return [
    ...timings.filter((name) => !waits.includes(`timings.${name}`)).map((name) => `timing ${name} is read by nothing`),
    ...reasons.filter((code) => !concluders.includes(`'${code}'`)).map((code) => `reason ${code} is given by nothing`),
    ...errorCodes.filter((code) => !sections.has(code)).map((code) => `error ${code} has no section in the runbook`),
  ];
}

/** One name, one slice: the file says which name its declaration must have. */
function nameProblems({ events, rules, sources }: Declarations): string[] {
  const types = new Set(events.map(({ type }) => type));
  const names = new Set(rules.map(({ name }) => name));
  return Object.entries(sources).flatMap(([path, source]) => {
    const name = basename(path, '.ts');
    if (/^events\/[a-z-]+\.ts$/.test(path) && source.includes('defineEvent({')) {
      return [
        ...(source.includes(`type: '${pascal(name)}'`) ? [] : [`${path} does not declare ${pascal(name)}`]),
        ...(types.has(pascal(name)) ? [] : [`${path} is not in events/index.ts`]),
      ];
    }
    if (/^rules\/[a-z-]+\.ts$/.test(path) && source.includes('defineRule({')) {
      return [
        ...(source.includes(`name: '${name}'`) ? [] : [`${path} does not declare ${name}`]),
        ...(names.has(name) ? [] : [`${path} is not in rules/index.ts`]),
      ];
    }
    if (/^handlers\/[a-z-]+\.ts$/.test(path) && path !== 'handlers/index.ts' && !names.has(name)) {
      return [`${path} has no rule of its name`];
    }
    return [];
  });
}

const pascal = (name: string): string =>
  name
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

/** Rules that say again whatever the history of a task holds without proof. */
const SAY_AGAIN = ['wake-task', 'settle-task'];

/** They must declare every fact that a transition may store, or saying it again fails at run time. */
const repeatProblems = ({ rules, transitions }: Declarations): string[] =>
  rules
    .filter(({ name }) => SAY_AGAIN.includes(name))
    .flatMap(({ name, emits }) =>
      [...new Set(Object.values(transitions).flatMap((row) => row.emits))]
        .filter((type) => !emits.some((event) => event.type === type))
        .map((type) => `rule ${name} says facts again, but does not declare ${type}`),
    );

const within = (sources: Declarations['sources'], rooms: readonly string[], without: readonly string[] = []): string =>
  Object.entries(sources)
    .filter(([path]) => rooms.some((room) => path.startsWith(room)) && !without.includes(path))
    .map(([, source]) => source)
    .join('\n');

/** The TypeScript sources of some rooms. */
export function sourcesOf(rooms: readonly string[]): Record<string, string> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const found: Record<string, string> = {};
  const read = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) read(path);
      else if (entry.name.endsWith('.ts')) found[path] = readFileSync(join(root, path), 'utf8');
    }
  };
  rooms.forEach(read);
  return found;
}
