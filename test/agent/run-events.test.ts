import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { ControlPlane, RunEvent } from '../../agent/control-plane.ts';
import { runEvents } from '../../agent/run-events.ts';

const HOUR_MS = 3_600_000;
const run = { taskId: 't1', attempt: 1, nativeId: 'arn:1', runToken: 'token' };
const never = (): Promise<never> => Promise.reject(new Error('not asked here'));

/** A run's events, and what the control plane took of them; `refuses` turns the next ones away. */
function scene(intervalMs: number, refuses = 0) {
  const taken: RunEvent[] = [];
  const told: RunEvent[] = [];
  const controlPlane: ControlPlane = {
    payload: never,
    claim: never,
    confirm: never,
    heartbeat: never,
    firstWord: never,
    report: never,
    saveWork: never,
    event: async (_run, event) => {
      told.push(event);
      await sleep(20);
      if (told.length <= refuses) throw new Error('away');
      taken.push(event);
    },
  };
  return { events: runEvents(controlPlane, run, { intervalMs, patienceMs: () => 1_000 }), taken, told };
}

const wordsIn = (events: readonly RunEvent[]) =>
  events
    .filter(({ type }) => type === 'RunProgressed')
    .map(({ data: { text, by } }) => [text, by].filter(Boolean).join(' '));

async function until(isSo: () => boolean): Promise<void> {
  const endsAtMs = Date.now() + 10_000;
  while (!isSo()) {
    if (Date.now() > endsAtMs) throw new Error('waited in vain');
    await sleep(5);
  }
}

describe('the words of a run', () => {
  it("go out once per interval, but the agent's first one goes at once", async () => {
    const { events, taken } = scene(HOUR_MS);
    events.announced('cloning');
    await until(() => wordsIn(taken).length === 1);
    events.announced('continuing');
    events.progressed('hello');
    await until(() => wordsIn(taken).length === 2);
    events.progressed('one');
    events.progressed('two');
    await events.reported();
    expect(wordsIn(taken)).toEqual(['cloning runner', 'hello', 'two']);
  });

  it("never have the agent's first one replaced by one of the runner", async () => {
    const { events, taken } = scene(HOUR_MS);
    events.progressed('hello');
    events.announced('stopping');
    await events.reported();
    expect(wordsIn(taken)).toEqual(['hello']);
  });

  it("have the agent's first one told again until it is taken, or a later one of the agent", async () => {
    const { events, taken, told } = scene(5, 3);
    events.progressed('hello');
    await until(() => wordsIn(taken).length === 1);
    expect(wordsIn(taken)).toEqual(['hello']);
    expect(told).toHaveLength(4);
    expect(new Set(told.map(({ seq }) => seq)).size).toBe(4);
    await events.end();
  });

  // F12
  it('are forgotten once Baton refuses the run, which is the last that is told', async () => {
    const { events, told } = scene(HOUR_MS);
    events.claimed();
    events.progressed('hello');
    events.announced('pushing');
    await events.fenced();
    events.progressed('still here');
    await events.end();
    expect(told.map(({ type }) => type)).toEqual(['RunClaimed', 'RunFenced']);
    expect(told.map(({ seq }) => seq)).toEqual([0, 1]);
  });

  it('are forgotten at the end', async () => {
    const { events, told } = scene(5, Number.POSITIVE_INFINITY);
    events.progressed('hello');
    await until(() => told.length >= 2);
    await events.end();
    const before = told.length;
    await sleep(60);
    expect(told).toHaveLength(before);
  });
});
