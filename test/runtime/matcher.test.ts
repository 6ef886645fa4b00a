import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { type EventPattern, eventPatternOf } from '../../rules/event-pattern.ts';
import { rules } from '../../rules/index.ts';
import { compilePattern } from '../../runtime/matcher.ts';
import { whyInvalid } from '../../runtime/pattern-validity.ts';
import { ruleIndex } from '../../runtime/rule-index.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { anEcsEvent } from '../builders.ts';

/** What AWS's event-ruler was seen to answer; renewed by scripts/parity/event-ruler. */
interface PinnedCase {
  readonly about?: string;
  readonly pattern: EventPattern;
  readonly event: Record<string, unknown>;
  readonly eventRuler: 'fits' | 'does not fit' | 'refused';
}

const pinned = (file: string): PinnedCase[] =>
  JSON.parse(readFileSync(new URL(`../fixtures/patterns/${file}.json`, import.meta.url), 'utf8')) as PinnedCase[];

const ourAnswer = ({ pattern, event }: PinnedCase): PinnedCase['eventRuler'] => {
  if (whyInvalid(pattern) !== undefined) return 'refused';
  return compilePattern(pattern)(event) ? 'fits' : 'does not fit';
};

describe("AWS's event-ruler and this matcher", () => {
  it.each(pinned('named').map((one) => [one.about, one.eventRuler, one] as const))(
    '%s: both say "%s"',
    (_, said, one) => {
      expect(ourAnswer(one)).toBe(said);
    },
  );

  it('say the same of generated patterns and events', () => {
    const cases = pinned('generated');
    expect(cases.filter((one) => ourAnswer(one) !== one.eventRuler)).toEqual([]);
    expect(new Set(cases.map(({ eventRuler }) => eventRuler))).toEqual(new Set(['fits', 'does not fit', 'refused']));
  });
});

describe('a pattern that EventBridge would refuse', () => {
  it('is refused when it is compiled, with the place and the reason', () => {
    const compile = () => compilePattern({ data: { status: [] } });
    expect(compile).toThrow(expect.objectContaining({ code: 'invalid_pattern' }));
    expect(compile).toThrow('data.status: an empty list');
  });
});

describe('a pattern for a part of an event', () => {
  const matches = compilePattern({ data: { status: [{ exists: false }, 'x'] } });

  it.each<[string, unknown, boolean]>([
    ['a part that fits', { data: { status: 'x' } }, true],
    ['a part that does not', { data: { status: 'y' } }, false],
    ['an empty part', {}, true],
    ['a part whose field is undefined', { data: { status: undefined } }, true],
    ['a part that is null', null, true],
    ['no part at all', undefined, true],
    ['a list with a fitting element', [{ data: { status: 'x' } }], true],
  ])('is asked of %s', (_, part, fits) => {
    expect(matches(part)).toBe(fits);
  });

  it('fits nothing where something is wanted of nothing', () => {
    expect([null, undefined, 'x', 1].map(compilePattern({ a: ['x'] }))).toEqual([false, false, false, false]);
  });
});

describe('an event made to be slow', () => {
  const many = (field: string) => Array.from({ length: 2_000 }, () => ({ [field]: 'x' }));

  it('with arrays side by side is judged without trying every pair of elements', () => {
    // The dots send it the careful way, where three arrays of 2,000 would be 8,000 million combinations.
    const pattern = { a: { x: ['x'] }, b: { x: ['x'] }, c: { x: ['x'] }, d: { x: ['y'] } };
    const event = { 'd.x': 'x', a: many('x'), b: many('x'), c: many('x') };
    expect(compilePattern(pattern)(event)).toBe(false);
  });

  it('with a text of one letter is judged by many wildcards at once', () => {
    const wildcard = `${'*a'.repeat(40)}*b`;
    expect(compilePattern({ a: [{ wildcard }] })({ a: 'a'.repeat(100_000) })).toBe(false);
  });
});

describe('every rule', () => {
  const folder = new URL('../fixtures/events/', import.meta.url);
  const published = readdirSync(folder).map(
    (file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Envelope,
  );
  const native = [anEcsEvent(), anEcsEvent({ lastStatus: 'STOPPED' })];
  const patterns = rules.map((rule) => ({ name: rule.name, pattern: { ...eventPatternOf(rule) } as EventPattern }));

  it.each(patterns.map(({ name, pattern }) => [name, pattern] as const))(
    '%s has a pattern that EventBridge takes',
    (_, pattern) => {
      expect(whyInvalid(JSON.stringify(pattern))).toBeUndefined();
    },
  );

  it('matches each event that it is on, but the one that another rule takes', () => {
    const deaf = rules.flatMap((rule) => {
      const matches = compilePattern({ ...eventPatternOf(rule) });
      const heard = [...published, ...native].filter((event) =>
        rule.on.some(({ type }) => type === event['detail-type']),
      );
      return heard.filter((event) => !matches(event)).map((event) => [rule.name, event['detail-type']]);
    });
    expect(deaf.sort()).toEqual([
      // What must pass screening, or be fetched, goes there first; everything else does not.
      ['admit-task', 'TaskSubmitted'],
      // The fixtures are of runs on ECS.
      ['check-run-on-agentcore', 'RunCheckRequested'],
      ['check-run-on-ec2', 'RunCheckRequested'],
      ['fetch-context', 'TaskAdmitted'],
      ['hydrate-task', 'ContextFetched'],
      ['hydrate-task', 'TaskAdmitted'],
      // The fixture is of the request, and then the task waits for its slot.
      ['hydrate-task', 'TaskScreened'],
      ['return-worker', 'RunEnded'],
      // Of this event there are two fixtures.
      ['return-worker', 'RunOrphaned'],
      ['return-worker', 'RunOrphaned'],
      ['screen-task', 'TaskSubmitted'],
      // The fixture says STOPPING, and then the stop is closed first.
      ['settle-task', 'RunEnded'],
      ['start-run-on-agentcore', 'TaskHydrated'],
      ['start-run-on-ec2', 'TaskHydrated'],
      ['stop-run-on-agentcore', 'RunStopRequested'],
      ['stop-run-on-ec2', 'RunStopRequested'],
    ]);
  });

  it.each(['TaskHydrated', 'RunStopRequested', 'RunCheckRequested'])(
    'of a back end matches %s of its own runs, and of no other',
    (type) => {
      const index = ruleIndex(patterns);
      const event = published.find((one) => one['detail-type'] === type) as { detail: { data: object } };
      const of = (compute: string) =>
        index({ ...event, detail: { ...event.detail, data: { ...event.detail.data, compute } } }).filter((name) =>
          /-run-on-/.test(name),
        );
      expect([of('ecs'), of('agentcore'), of('ec2')]).toEqual([
        [expect.stringMatching(/-on-ecs$/)],
        [expect.stringMatching(/-on-agentcore$/)],
        [expect.stringMatching(/-on-ec2$/)],
      ]);
    },
  );

  it('is found by the index when its pattern fits, and only then', () => {
    const index = ruleIndex(patterns);
    const strange = { ...published[0], source: 'elsewhere' };
    for (const event of [...published, ...native, strange, {}, null]) {
      const fitting = patterns.filter(({ pattern }) => event !== null && compilePattern(pattern)(event));
      expect(index(event)).toEqual(fitting.map(({ name }) => name));
    }
    expect(index(native[0])).toEqual(['observe-ecs-task']);
  });
});
