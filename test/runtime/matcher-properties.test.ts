import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { EventPattern, Matcher } from '../../rules/event-pattern.ts';
import { compilePattern } from '../../runtime/matcher.ts';
import { whyInvalid } from '../../runtime/pattern-validity.ts';
import { ruleIndex } from '../../runtime/rule-index.ts';
import type { Scalar } from '../../runtime/value-test.ts';
import { anEvent, aPattern, aPatternOrNot } from '../../scripts/parity/event-ruler/corpus.ts';
import { referenceFits } from './reference-matcher.ts';

/** Runs of a property: new ones each time, a few seconds in all. The parity lane runs tens of thousands. */
const RUNS = 400;

/** The generator may reach numbers and combinations that only we refuse. */
const aValidPattern = aPattern.filter((pattern) => whyInvalid(pattern) === undefined);

/** Asks for what the event has, so that patterns fit more often than by chance. */
const aFittingPair = fc.tuple(anEvent, fc.nat()).map(([event, salt]) => ({ event, pattern: wantedOf(event, salt) }));

function wantedOf(value: object, salt: number): EventPattern | undefined {
  const wanted: Record<string, EventPattern | readonly Matcher[]> = {};
  for (const [index, [name, below]] of Object.entries(value as Record<string, unknown>).entries()) {
    const first: unknown = Array.isArray(below) ? below.flat(3)[salt % 3] : below;
    if (typeof first === 'object' && first !== null) {
      const inner = wantedOf(first, salt);
      if (inner) wanted[name] = inner;
    } else {
      const isThere = first !== undefined && (salt + index) % 4 !== 0;
      wanted[name] = isThere ? [first as Scalar] : [{ exists: false }, null];
    }
  }
  return Object.keys(wanted).length > 0 ? wanted : undefined;
}

describe('any pattern and any event', () => {
  it('meet as the reference says', () => {
    let fitting = 0;
    fc.assert(
      fc.property(aValidPattern, anEvent, (pattern, event) => {
        const expected = referenceFits(pattern, event);
        if (expected) fitting++;
        expect(compilePattern(pattern)(event)).toBe(expected);
      }),
      { numRuns: RUNS },
    );
    expect(fitting).toBeGreaterThan(0);
  });

  it('meet as the reference says when the pattern asks for what the event has', () => {
    let fitting = 0;
    fc.assert(
      fc.property(aFittingPair, ({ pattern, event }) => {
        if (!pattern || whyInvalid(pattern) !== undefined) return;
        const expected = referenceFits(pattern, event);
        if (expected) fitting++;
        expect(compilePattern(pattern)(event)).toBe(expected);
      }),
      { numRuns: RUNS },
    );
    expect(fitting).toBeGreaterThan(RUNS / 10);
  });

  it('meet in an index of many rules as they do alone', () => {
    const named = fc.array(aValidPattern, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(named, fc.array(anEvent, { minLength: 1, maxLength: 4 }), (patterns, events) => {
        const index = ruleIndex(patterns.map((pattern, at) => ({ name: `rule ${at}`, pattern })));
        for (const event of events) {
          const alone = patterns.flatMap((pattern, at) => (compilePattern(pattern)(event) ? [`rule ${at}`] : []));
          expect(index(event)).toEqual(alone);
        }
      }),
      { numRuns: RUNS / 4 },
    );
  });
});

describe('anything of the shape of a pattern', () => {
  it('is either said to be wrong or compiled, and nothing breaks', () => {
    fc.assert(
      fc.property(aPatternOrNot, anEvent, (pattern, event) => {
        const reason = whyInvalid(pattern);
        if (reason !== undefined) {
          expect(() => compilePattern(pattern as EventPattern)).toThrow(reason);
          return;
        }
        expect(compilePattern(pattern as EventPattern)(event)).toBe(
          referenceFits(pattern as Record<string, unknown>, event),
        );
      }),
      { numRuns: RUNS },
    );
  });

  it('has the same mistake as an object and as text', () => {
    fc.assert(
      fc.property(aPatternOrNot, (pattern) => {
        if (typeof pattern !== 'string') expect(whyInvalid(JSON.stringify(pattern))).toBe(whyInvalid(pattern));
      }),
      { numRuns: RUNS },
    );
  });
});
