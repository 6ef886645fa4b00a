import type { EventPattern, Matcher } from '../rules/event-pattern.ts';

/** A pattern without `$or`: what each leaf must fulfil, by its path with dots. EventBridge knows leaves by nothing else. */
export type Alternative = ReadonlyMap<string, readonly Matcher[]>;

/**
 * The alternatives that a valid pattern stands for; an event matches when it matches one of them. As in EventBridge a field that
 * is named twice (outside and inside `$or`, or once with dots) counts as written last, so the branch of an `$or` overrides what
 * is before it, and what comes after overrides the branch.
 */
export function alternativesOf(pattern: EventPattern): Alternative[] {
  return extended([new Map()], [], pattern);
}

type Written = Map<string, readonly Matcher[]>;

function extended(all: Written[], steps: readonly string[], pattern: EventPattern): Written[] {
  let found = all;
  for (const [field, wanted] of Object.entries(pattern)) {
    if (field === '$or') {
      const before = found;
      found = (wanted as readonly EventPattern[]).flatMap((branch) =>
        extended(
          before.map((one) => new Map(one)),
          steps,
          branch,
        ),
      );
    } else if (isLeaf(wanted)) {
      for (const one of found) one.set([...steps, field].join('.'), wanted);
    } else {
      found = extended(found, [...steps, field], wanted as EventPattern);
    }
  }
  return found;
}

const isLeaf = (wanted: EventPattern[string]): wanted is readonly Matcher[] => Array.isArray(wanted);
