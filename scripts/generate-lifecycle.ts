import { code, codes, GENERATED, mermaid, page, table } from './markdown.ts';

/** The shape of `lifecycle/states.ts`. */
export type States = Readonly<
  Record<
    string,
    {
      readonly summary: string;
      readonly terminal: boolean;
      readonly computes: boolean;
      readonly due: readonly string[];
    }
  >
>;

/** The shape of `lifecycle/transitions.ts`. */
export type Transitions = Readonly<
  Record<
    string,
    {
      readonly from: readonly string[];
      readonly to: string;
      readonly emits: readonly string[];
      readonly summary: string;
    }
  >
>;

/** The shape of `lifecycle/timings.ts`: one set of waits per kind of world, in seconds. */
export type TimingSets = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** `docs/lifecycle.md`: the state diagram and the tables that it is drawn from. */
export function lifecyclePage(states: States, transitions: Transitions, timings: TimingSets): string {
  const names = [...new Set(Object.values(timings).flatMap((set) => Object.keys(set)))];
  return page(
    GENERATED,
    '# Life cycle',
    'Drawn from `lifecycle/transitions.ts` and `lifecycle/states.ts`. Only one function (`follow` in `lifecycle/evolve.ts`) writes a status; only transitions raise `version`.',
    '## To work, and round again',
    mermaid(['stateDiagram-v2', ...workLines(states, transitions)]),
    '## To the end',
    'States from which the same ends can be reached share a box.',
    mermaid(['flowchart LR', ...endLines(states, transitions)]),
    '## States',
    'A *due date* wakes the task if nothing else happens before. `docs/concepts.md` says what each does.',
    table(
      ['state', 'meaning', 'terminal', 'has a run', 'due dates'],
      Object.entries(states).map(([name, { summary, terminal, computes, due }]) => [
        code(name),
        summary,
        terminal ? 'yes' : 'no',
        computes ? 'yes' : 'no',
        codes(due),
      ]),
    ),
    '## Transitions',
    'Facts in the order of publishing: the one that drives comes last. A transition stores those of its facts that apply.',
    table(
      ['transition', 'from', 'to', 'facts', 'meaning'],
      Object.entries(transitions).map(([name, { from, to, emits, summary }]) => [
        code(name),
        from.length > 0 ? codes(from) : '(new)',
        code(to),
        codes(emits),
        summary,
      ]),
    ),
    '## Waits',
    'In seconds. `lifecycle/timings.ts` says why each is as long as it is.',
    table(
      ['wait', ...Object.keys(timings)],
      names.map((name) => [code(name), ...Object.values(timings).map((set) => String(set[name] ?? '–'))]),
    ),
  );
}

/** Transitions to states that are no end. */
function workLines(states: States, transitions: Transitions): string[] {
  return Object.entries(transitions)
    .filter(([, { to }]) => states[to]?.terminal === false)
    .flatMap(([name, { from, to }]) =>
      from.length > 0 ? from.map((one) => `  ${one} --> ${to}: ${name}`) : [`  [*] --> ${to}: ${name}`],
    );
}

/** Transitions to ends, with all states that have the same ones in one box. */
function endLines(states: States, transitions: Transitions): string[] {
  const ends = Object.entries(transitions).filter(([, { to }]) => states[to]?.terminal);
  const groups = new Map<string, string[]>();
  for (const state of Object.keys(states)) {
    const leaving = ends.filter(([, { from }]) => from.includes(state)).map(([name]) => name);
    if (leaving.length === 0) continue;
    const key = leaving.join(' ');
    groups.set(key, [...(groups.get(key) ?? []), state]);
  }
  const lines: string[] = [];
  for (const [key, members] of groups) {
    const id = members.join('_');
    lines.push(`  ${id}["${members.join('<br/>')}"]`);
    for (const name of key.split(' ')) lines.push(`  ${id} -->|${name}| ${transitions[name]?.to ?? ''}`);
  }
  return lines;
}
