import type { EventPattern, Matcher } from '../rules/event-pattern.ts';
import { type Condition, fitsConsistently } from './array-consistency.ts';
import { BatonError } from './errors.ts';
import { type Alternative, alternativesOf } from './pattern-alternatives.ts';
import { whyInvalid } from './pattern-validity.ts';
import { type Scalar, valueTest } from './value-test.ts';

/** True when a value (an event, or its `detail`) fits. Made once per rule, when it is registered. */
export type Match = (value: unknown) => boolean;

/**
 * Compiles a pattern of EventBridge's language, for whole events or for a part of them such as `detail`. What EventBridge would
 * refuse is refused here (`invalid_pattern`). Semantics: EventBridge user guide, "Event patterns"; compared with AWS's event-ruler.
 */
export function compilePattern(pattern: EventPattern): Match {
  return anyOf(compileAlternatives(pattern).map(({ matches }) => matches));
}

/** A pattern without `$or`, compiled: the conditions on its leaves, and all of them together. */
export interface CompiledAlternative {
  readonly wanted: Alternative;
  readonly conditions: readonly Condition[];
  readonly matches: Match;
}

/** The alternatives that a pattern stands for, for who looks at many rules at once. Throws like `compilePattern`. */
export function compileAlternatives(pattern: EventPattern): CompiledAlternative[] {
  const reason = whyInvalid(pattern);
  if (reason !== undefined) throw new BatonError('invalid_pattern', `event pattern is not valid: ${reason}`);
  return alternativesOf(pattern).map((wanted) => {
    const conditions = [...wanted].map(([path, matchers]) => conditionOf(path, matchers));
    return { wanted, conditions, matches: matchOf(conditions) };
  });
}

function matchOf(conditions: readonly Condition[]): Match {
  const exactly: Match = (value) => fitsConsistently(conditions, value);
  const tree = treeOf(conditions);
  if (!tree) return exactly;
  const fits = belowTest(tree);
  const isPlain = plainTest(tree);
  return isPlain ? (value) => (isPlain(value) ? fits(value) : exactly(value)) : fits;
}

function conditionOf(path: string, wanted: readonly Matcher[]): Condition {
  return {
    path,
    fits: anyOf(wanted.map(valueTest)),
    mayBeAbsent: wanted.some((one) => typeof one === 'object' && one !== null && 'exists' in one && !one.exists),
  };
}

/** An inner field of a pattern: what is wanted of the fields below it. */
interface Branch {
  readonly leaves: Map<string, Condition>;
  readonly branches: Map<string, Branch>;
}

/** The paths as a tree; undefined if a field is a leaf and an inner field at once. */
function treeOf(conditions: readonly Condition[]): Branch | undefined {
  const root: Branch = { leaves: new Map(), branches: new Map() };
  for (const condition of conditions) {
    const steps = condition.path.split('.');
    const last = steps.pop() ?? '';
    let branch = root;
    for (const step of steps) {
      const next = branch.branches.get(step) ?? { leaves: new Map(), branches: new Map() };
      if (branch.leaves.has(step)) return undefined;
      branch.branches.set(step, next);
      branch = next;
    }
    if (branch.branches.has(last)) return undefined;
    branch.leaves.set(last, condition);
  }
  return root;
}

/** Tests what is found where an object is wanted; in an array one and the same element must fit. */
function belowTest(branch: Branch): Match {
  const fits = objectTest(branch);
  const fitsNothing = conditionsBelow(branch).every(({ mayBeAbsent }) => mayBeAbsent);
  const fitsElement: Match = (element) =>
    typeof element === 'object' &&
    element !== null &&
    (Array.isArray(element) ? element.some(fitsElement) : fits(element));
  return (value) => {
    if (typeof value !== 'object' || value === null) return fitsNothing;
    return Array.isArray(value) ? value.some(fitsElement) : fits(value);
  };
}

function objectTest({ leaves, branches }: Branch): Match {
  const tests = [
    ...[...leaves].map(([field, condition]) => fieldTest(field, leafTest(condition))),
    ...[...branches].map(([field, below]) => fieldTest(field, belowTest(below))),
  ];
  const [one, two, ...more] = tests;
  if (one && !two) return one;
  if (one && two && more.length === 0) return (value) => one(value) && two(value);
  return (value) => {
    for (const test of tests) if (!test(value)) return false;
    return true;
  };
}

/** Names that every object answers to must be asked for as its own. */
function fieldTest(field: string, test: Match): Match {
  if (field in Object.prototype) {
    return (value) => test(Object.hasOwn(value as object, field) ? (value as Fields)[field] : undefined);
  }
  return (value) => test((value as Fields)[field]);
}

/** Tests what an event has at a leaf: a scalar or what an array holds of them: neither an object nor an empty array is there. */
export function leafTest({ fits, mayBeAbsent }: Condition): Match {
  return (value) => {
    if (typeof value !== 'object' || value === null) {
      return value === undefined ? mayBeAbsent : fits(value as Scalar);
    }
    const scalars = Array.isArray(value) ? scalarsOf(value) : [];
    return scalars.length === 0 ? mayBeAbsent : scalars.some(fits);
  };
}

const scalarsOf = (array: readonly unknown[]): Scalar[] =>
  array.flat(Number.POSITIVE_INFINITY).filter((one): one is Scalar => one === null || isScalarType(typeof one));

const isScalarType = (type: string): boolean => type === 'string' || type === 'number' || type === 'boolean';

/**
 * Tests whether the tree can judge an event, or `undefined` when it always can. It cannot where a name of the event has dots (the
 * event then has the same path twice), nor where something below an array may be absent.
 */
function plainTest(branch: Branch): Match | undefined {
  const dotted = [...branch.branches].flatMap(([field, below]) => pathsBelow(below).map((path) => `${field}.${path}`));
  const isDelicate = dotted.length > 0 || conditionsBelow(branch).some(({ mayBeAbsent }) => mayBeAbsent);
  if (!isDelicate) return undefined;
  const inner = [...branch.branches].flatMap(([field, below]) => {
    const test = plainTest(below);
    return test ? [fieldTest(field, test)] : [];
  });
  return (value) => {
    if (typeof value !== 'object' || value === null) return true;
    if (Array.isArray(value)) return false;
    for (const name of dotted) if ((value as Fields)[name] !== undefined) return false;
    for (const test of inner) if (!test(value)) return false;
    return true;
  };
}

/** Every way to write a path below a branch, beginning there: "b" and "b.c" of a leaf b.c. */
function pathsBelow({ leaves, branches }: Branch): string[] {
  return [
    ...leaves.keys(),
    ...[...branches].flatMap(([field, below]) => [field, ...pathsBelow(below).map((path) => `${field}.${path}`)]),
  ];
}

function conditionsBelow({ leaves, branches }: Branch): Condition[] {
  return [...leaves.values(), ...[...branches.values()].flatMap(conditionsBelow)];
}

type Fields = Readonly<Record<string, unknown>>;

/** One of the tests must hold. Most lists have one member, and a call less counts: this is the hot path of the bus. */
function anyOf<Value>(tests: readonly ((value: Value) => boolean)[]): (value: Value) => boolean {
  const [one, two, ...more] = tests;
  if (one && !two) return one;
  if (one && two && more.length === 0) return (value) => one(value) || two(value);
  return (value) => {
    for (const test of tests) if (test(value)) return true;
    return false;
  };
}
