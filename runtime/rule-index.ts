import type { EventPattern, Matcher } from '../rules/event-pattern.ts';
import { compileAlternatives, leafTest, type Match } from './matcher.ts';
import { pathReader, SEVERAL } from './path-reader.ts';
import { isExactText } from './value-test.ts';

export interface NamedPattern {
  readonly name: string;
  readonly pattern: EventPattern;
}

/**
 * Which of many rules an event matches, by name and in the order given. A rule is tried only when the event has one of the exact
 * texts that it wants at its most telling path, and each path is read at most once per event. Throws `invalid_pattern`.
 */
export function ruleIndex(patterns: readonly NamedPattern[]): (event: unknown) => string[] {
  const compiled = patterns.flatMap(({ name, pattern }, order) =>
    compileAlternatives(pattern).map((alternative) => ({ ...alternative, name, order })),
  );
  const paths = [...new Set(compiled.flatMap(({ wanted }) => [...wanted.keys()]))];
  const values = valuesAt(paths);
  const keyOf = mostTelling(compiled.map(({ wanted }) => wanted));
  const candidates = compiled.map(({ wanted, conditions, ...rest }): Candidate => {
    const key = keyOf(wanted);
    const tests = conditions
      .filter(({ path }) => path !== key)
      .map((condition) => ({ at: paths.indexOf(condition.path), test: leafTest(condition) }));
    return { ...rest, tests, key, texts: key === undefined ? [] : ((wanted.get(key) ?? []) as readonly string[]) };
  });
  const keyed = paths.flatMap((path, at) => {
    const here = candidates.filter(({ key }) => key === path);
    return here.length === 0 ? [] : [{ at, here, byText: byText(here) }];
  });
  const unkeyed = candidates.filter(({ key }) => key === undefined);

  return (event) => {
    values.of(event);
    const found: Candidate[] = [];
    for (const { at, here, byText } of keyed) {
      const text = values.at(at);
      if (typeof text === 'string') collect(byText.get(text) ?? NONE, event, found);
      // Of several texts any may be the one: then the whole pattern decides.
      else if (text === SEVERAL || Array.isArray(text)) found.push(...here.filter(({ matches }) => matches(event)));
    }
    collect(unkeyed, event, found);
    return named(found);
  };

  function collect(tried: readonly Candidate[], event: unknown, found: Candidate[]): void {
    for (const candidate of tried) if (fits(candidate, event)) found.push(candidate);
  }

  function fits({ tests, matches }: Candidate, event: unknown): boolean {
    let isCertain = true;
    for (const { at, test } of tests) {
      const found = values.at(at);
      if (found === SEVERAL) isCertain = false;
      else if (!test(found)) return false;
    }
    return isCertain || matches(event);
  }
}

/** One alternative of a rule. */
interface Candidate {
  readonly name: string;
  readonly order: number;
  readonly matches: Match;
  /** The path by whose value the candidate is looked up, and the texts that it wants there. */
  readonly key: string | undefined;
  readonly texts: readonly string[];
  /** What else must hold, each for one of the values read. */
  readonly tests: readonly { readonly at: number; readonly test: Match }[];
}

const NONE: readonly Candidate[] = [];

/** What the event in hand has at each path, read when it is first asked for. */
function valuesAt(paths: readonly string[]): { of(event: unknown): void; at(path: number): unknown } {
  const readers = paths.map(pathReader);
  const values: unknown[] = paths.map(() => undefined);
  const readIn: number[] = paths.map(() => 0);
  let round = 0;
  let inHand: unknown;
  return {
    of(event) {
      round++;
      inHand = event;
    },
    at(path) {
      if (readIn[path] !== round) {
        readIn[path] = round;
        values[path] = readers[path]?.(inHand);
      }
      return values[path];
    },
  };
}

type Wanted = ReadonlyMap<string, readonly Matcher[]>;

/** Chooses, of the paths at which a rule wants exact texts, the one that divides the rules most finely. */
function mostTelling(all: readonly Wanted[]): (wanted: Wanted) => string | undefined {
  const texts = new Map<string, Set<Matcher>>();
  for (const wanted of all) {
    for (const [path, matchers] of wanted) {
      texts.set(path, new Set([...(texts.get(path) ?? []), ...matchers.filter(isExactText)]));
    }
  }
  const kinds = (path: string): number => texts.get(path)?.size ?? 0;
  return (wanted) =>
    [...wanted]
      .flatMap(([path, matchers]) => (matchers.every(isExactText) ? [path] : []))
      .sort((a, b) => kinds(b) - kinds(a))
      .at(0);
}

function byText(candidates: readonly Candidate[]): ReadonlyMap<string, readonly Candidate[]> {
  const texts = new Set(candidates.flatMap((candidate) => candidate.texts));
  return new Map([...texts].map((text) => [text, candidates.filter((candidate) => candidate.texts.includes(text))]));
}

/** A rule of which two alternatives fit is named once. */
function named(found: Candidate[]): string[] {
  const [only] = found;
  if (!only) return [];
  if (found.length === 1) return [only.name];
  found.sort((a, b) => a.order - b.order);
  return found.filter(({ order }, index) => found[index - 1]?.order !== order).map(({ name }) => name);
}
