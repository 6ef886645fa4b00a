import type { Scalar } from './value-test.ts';

/** What a path of a pattern asks: a test of one value, and whether it may also be absent. */
export interface Condition {
  readonly path: string;
  readonly fits: (value: Scalar) => boolean;
  readonly mayBeAbsent: boolean;
}

/**
 * EventBridge's rule to the letter, for the events that need it (arrays where something must be absent, names with dots): each
 * path is met by one value, or by none that could be chosen, and no two chosen values lie in different elements of the same
 * array. Paths are taken in the order of their names, which decides what "could be chosen" means.
 */
export function fitsConsistently(conditions: readonly Condition[], event: unknown): boolean {
  const ordered = [...conditions].sort((a, b) => (a.path < b.path ? -1 : 1));
  const places = placesIn(event, new Set(ordered.map(({ path }) => path)));
  const asked = ordered.map((condition) => ({ ...condition, places: places.get(condition.path) ?? [] }));
  const later = arraysFrom(asked);
  /** Choices that led nowhere: without them, arrays side by side would multiply. */
  const failed = new Set<string>();
  return fitsFrom(0, new Map());

  function fitsFrom(index: number, chosen: Elements): boolean {
    const condition = asked[index];
    if (!condition) return true;
    // Only arrays that come again can still contradict.
    const bound = new Map([...chosen].filter(([array]) => later[index]?.has(array)));
    const key = `${index}:${[...bound].sort(([a], [b]) => a - b).join(';')}`;
    if (failed.has(key)) return false;
    const fits = meets(condition, index, bound);
    if (!fits) failed.add(key);
    return fits;
  }

  function meets({ fits, mayBeAbsent, places }: Asked, index: number, chosen: Elements): boolean {
    const open = places.filter((place) => agree(chosen, place.elements));
    if (mayBeAbsent && open.length === 0 && fitsFrom(index + 1, chosen)) return true;
    return open.some(({ value, elements }) => fits(value) && fitsFrom(index + 1, new Map([...chosen, ...elements])));
  }
}

/** Which element of which array a value lies in; arrays are numbered as they are met. */
type Elements = ReadonlyMap<number, number>;

interface Place {
  readonly value: Scalar;
  readonly elements: Elements;
}

interface Asked extends Condition {
  readonly places: readonly Place[];
}

const agree = (chosen: Elements, elements: Elements): boolean =>
  [...elements].every(([array, element]) => (chosen.get(array) ?? element) === element);

/** By position: the arrays in which values of that path or a later one lie. */
function arraysFrom(asked: readonly Asked[]): ReadonlySet<number>[] {
  let found: ReadonlySet<number> = new Set();
  const sets = asked.toReversed().map(({ places }) => {
    found = new Set([...found, ...places.flatMap(({ elements }) => [...elements.keys()])]);
    return found;
  });
  return sets.reverse();
}

/** Every scalar under one of the paths. Arrays leave no trace in a path; a value lies in an element if that is an object or array. */
function placesIn(event: unknown, paths: ReadonlySet<string>): Map<string, Place[]> {
  const found = new Map<string, Place[]>();
  let arrays = 0;
  visit(event, undefined, new Map());
  return found;

  function visit(value: unknown, path: string | undefined, elements: Elements): void {
    if (Array.isArray(value)) visitArray(value, path, elements);
    else if (typeof value === 'object' && value !== null) {
      for (const [field, below] of Object.entries(value)) {
        visit(below, path === undefined ? field : `${path}.${field}`, elements);
      }
    } else if (value !== undefined && path !== undefined && paths.has(path)) {
      const places = found.get(path);
      const place = { value: value as Scalar, elements };
      if (places) places.push(place);
      else found.set(path, [place]);
    }
  }

  function visitArray(array: readonly unknown[], path: string | undefined, elements: Elements): void {
    const id = arrays++;
    for (const [index, element] of array.entries()) {
      const isScalar = typeof element !== 'object' || element === null;
      visit(element, path, isScalar ? elements : new Map([...elements, [id, index]]));
    }
  }
}
