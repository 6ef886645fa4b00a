import { readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { reactions } from '../../handlers/index.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import { rules } from '../../rules/index.ts';

const about = new Set(['index.ts', 'rule.ts', 'event-pattern.ts', 'archived.ts']);
const files = readdirSync(new URL('../../rules/', import.meta.url)).filter((name) => !about.has(name));

/** Ports behind which something happens, or is asked, that is not Baton's. */
const OUTSIDE = ['ecs', 'screening', 'contexts', 'webhooks'];

describe('the rules', () => {
  it('are all listed, each in a file of its name', () => {
    expect(rules.map(({ name }) => `${name}.ts`).sort()).toEqual(files.sort());
  });

  it('have a reaction each, and no reaction is without its rule', () => {
    expect(reactions.map(({ rule }) => rule.name)).toEqual(rules.map(({ name }) => name));
  });

  it.each(rules.map((rule) => [rule.name, rule] as const))('%s says in one sentence what it does', (_, rule) => {
    expect(rule.summary).toMatch(/^[A-Z].*\.$/);
    expect(rule.attempts).toBeGreaterThan(0);
    expect(new Set(rule.uses).size).toBe(rule.uses.length);
    expect(new Set(rule.emits).size).toBe(rule.emits.length);
  });

  it.each(
    rules.filter(({ uses }) => OUTSIDE.some((port) => uses.includes(port))).map((rule) => [rule.name, rule] as const),
  )('%s reaches outside, so a replay does not reach it', (_, rule) => {
    expect(rule.kind).toBe('effect');
  });

  it.each(rules.filter(({ once }) => once).map((rule) => [rule.name, rule] as const))(
    '%s, which runs once per fact, reaches outside and waits in a queue',
    (_, rule) => {
      expect(rule).toMatchObject({ kind: 'effect', delivery: 'queue' });
    },
  );

  it('emit together every fact of every transition', () => {
    const emitted = new Set(rules.flatMap((rule) => rule.emits.map(({ type }) => type)));
    const stored = Object.values(transitions).flatMap((row): readonly string[] => row.emits);
    expect(stored.filter((type) => !emitted.has(type))).toEqual([]);
  });
});
