import type { EventPattern, Matcher } from '../rules/event-pattern.ts';
import { BatonError } from './errors.ts';

/** True when a value (an event's `detail`) fits. Made once per rule, when it is registered. */
export type Match = (value: unknown) => boolean;

const KNOWN = 'exact values, prefix, suffix, exists, anything-but (values), $or';

/**
 * Compiles the part of EventBridge's pattern language that the rules use. Anything else is refused here, loudly, rather than
 * matched wrongly later (`unsupported_pattern`). Semantics: EventBridge user guide, "Comparison operators".
 */
export function compilePattern(pattern: EventPattern, path = 'detail'): Match {
  const fields = Object.entries(pattern);
  if (fields.length === 0) throw unsupported(path, 'an empty object');
  const checks: Match[] = [];
  for (const [field, wanted] of fields) {
    const at = `${path}.${field}`;
    if (field === '$or') checks.push(compileOr(wanted, pattern, at));
    else if (Array.isArray(wanted)) checks.push(leaf(field, compileLeaf(wanted as readonly Matcher[], at)));
    else if (typeof wanted === 'object' && wanted !== null) checks.push(branch(field, wanted as EventPattern, at));
    else throw unsupported(at, 'a leaf that is no list');
  }
  return (value) => checks.every((check) => check(value));
}

function compileOr(wanted: unknown, outer: EventPattern, at: string): Match {
  if (!Array.isArray(wanted) || wanted.length < 2) throw unsupported(at, '$or with fewer than two alternatives');
  const alternatives = (wanted as readonly EventPattern[]).map((one, index) => {
    const both = Object.keys(one).find((field) => field in outer);
    // EventBridge lets the alternative override the outer field; nobody means that.
    if (both !== undefined) throw unsupported(at, `field "${both}" both outside and inside $or`);
    return compilePattern(one, `${at}[${index}]`);
  });
  return (value) => alternatives.some((one) => one(value));
}

/** A nested object; below an array one and the same element must fit. */
function branch(field: string, wanted: EventPattern, at: string): Match {
  const inner = compilePattern(wanted, at);
  return (value) => {
    const below = fieldOf(value, field);
    return Array.isArray(below) ? below.some(inner) : inner(below);
  };
}

const leaf =
  (field: string, fits: Match): Match =>
  (value) =>
    fits(fieldOf(value, field));

function compileLeaf(wanted: readonly Matcher[], at: string): Match {
  if (wanted.length === 0) throw unsupported(at, 'an empty list');
  const tests = wanted.map((one) => compileMatcher(one, at));
  return (value) => tests.some((test) => test(value));
}

function compileMatcher(wanted: Matcher, at: string): Match {
  if (wanted === null || typeof wanted !== 'object') return anyElement((value) => value === wanted);
  const [operator, ...more] = Object.keys(wanted);
  if (operator === undefined || more.length > 0)
    throw unsupported(at, 'a matcher that does not have exactly one operator');
  if ('exists' in wanted && typeof wanted.exists === 'boolean') {
    return (value) => isLeaf(value) === wanted.exists;
  }
  if ('prefix' in wanted && typeof wanted.prefix === 'string') {
    return anyElement((value) => typeof value === 'string' && value.startsWith(wanted.prefix));
  }
  if ('suffix' in wanted && typeof wanted.suffix === 'string') {
    return anyElement((value) => typeof value === 'string' && value.endsWith(wanted.suffix));
  }
  if ('anything-but' in wanted) {
    const excluded = [wanted['anything-but']].flat();
    if (excluded.length === 0 || !excluded.every((one) => typeof one === 'string' || typeof one === 'number')) {
      throw unsupported(at, 'anything-but with something other than strings and numbers');
    }
    return anyElement((value) => value !== undefined && !excluded.includes(value as string | number));
  }
  throw unsupported(at, `operator "${operator}"`);
}

/** An array matches when one of its elements does. */
const anyElement =
  (test: Match): Match =>
  (value) =>
    Array.isArray(value) ? value.some(test) : typeof value !== 'object' || value === null ? test(value) : false;

/** `exists` looks at leaves only: an object or an empty array does not count as existing. */
const isLeaf = (value: unknown): boolean =>
  value !== undefined && (Array.isArray(value) ? value.some(isLeaf) : typeof value !== 'object' || value === null);

const fieldOf = (value: unknown, field: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined;

const unsupported = (at: string, what: string): BatonError =>
  new BatonError(
    'unsupported_pattern',
    `event pattern at ${at}: ${what} is not supported here; supported are ${KNOWN}`,
  );
