import { describe, expect, it } from '@jest/globals';
import { eventOf } from '../../events/index.ts';
import { assertTask, follow, ImpossibleMove } from '../../lifecycle/evolve.ts';
import type { MoveName, Step } from '../../lifecycle/move.ts';
import { states } from '../../lifecycle/states.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import { because } from '../../schemas/reason.ts';
import { type Status, statuses } from '../../schemas/task.ts';
import { aContext, aKnownRun, aResult, aTask } from '../builders.ts';

/** The life of a task as the design draws it, written down a second time on purpose. */
const life: Record<MoveName, { from: Status[]; to: Status }> = {
  screenRequest: { from: ['SUBMITTED'], to: 'SUBMITTED' },
  queue: { from: ['SUBMITTED', 'BACKOFF'], to: 'QUEUED' },
  admit: { from: ['SUBMITTED', 'QUEUED', 'BACKOFF'], to: 'ADMITTED' },
  fetchContext: { from: ['ADMITTED'], to: 'ADMITTED' },
  screenContext: { from: ['ADMITTED'], to: 'ADMITTED' },
  hydrate: { from: ['ADMITTED'], to: 'HYDRATED' },
  start: { from: ['HYDRATED'], to: 'STARTING' },
  run: { from: ['STARTING'], to: 'RUNNING' },
  finalize: { from: ['STARTING', 'RUNNING'], to: 'FINALIZING' },
  complete: { from: ['STARTING', 'RUNNING', 'FINALIZING', 'STOPPING'], to: 'COMPLETED' },
  fail: {
    from: ['SUBMITTED', 'QUEUED', 'ADMITTED', 'HYDRATED', 'BACKOFF', 'STARTING', 'RUNNING', 'FINALIZING', 'STOPPING'],
    to: 'FAILED',
  },
  stop: { from: ['STARTING', 'RUNNING', 'FINALIZING'], to: 'STOPPING' },
  redirect: { from: ['STOPPING'], to: 'STOPPING' },
  cancel: { from: ['SUBMITTED', 'QUEUED', 'ADMITTED', 'HYDRATED', 'BACKOFF', 'STOPPING'], to: 'CANCELLED' },
  expire: { from: ['SUBMITTED', 'QUEUED', 'ADMITTED', 'HYDRATED', 'BACKOFF', 'STOPPING'], to: 'TIMED_OUT' },
  backOff: { from: ['STOPPING'], to: 'BACKOFF' },
};

const names = Object.keys(life) as MoveName[];
const everyPair = names.flatMap((name) => statuses.map((status) => [name, status] as const));
const isAllowed = (name: MoveName, status: Status) => life[name].from.includes(status);

describe('the transition table', () => {
  it('has the rows of the design and "accept", and no other', () => {
    expect(Object.keys(transitions).sort()).toEqual(['accept', ...names].sort());
  });

  it.each(everyPair.filter((pair) => isAllowed(...pair)))('lets "%s" lead out of %s', (name, status) => {
    const next = follow(aTask({ status }), moveOf(name), aContext());
    expect(next.status).toBe(life[name].to);
    expect(assertTask(next)).toBeTruthy();
  });

  it.each(everyPair.filter((pair) => !isAllowed(...pair)))('does not let "%s" lead out of %s', (name, status) => {
    expect(() => follow(aTask({ status }), moveOf(name), aContext())).toThrow(ImpossibleMove);
  });

  it('leaves no terminal state', () => {
    const left = names.flatMap((name) => life[name].from).filter((status) => states[status].terminal);
    expect(left).toEqual([]);
  });

  it.each(statuses)('can reach %s, and an end from it', (status) => {
    expect(reachable('SUBMITTED')).toContain(status);
    expect([...reachable(status)].some((one) => states[one].terminal)).toBe(true);
  });

  it('names only facts that are declared', () => {
    for (const { emits } of Object.values(transitions)) {
      const definitions = emits.map((type) => eventOf(type));
      expect(definitions).not.toContain(undefined);
    }
  });
});

function moveOf(name: MoveName): Step {
  const run = aKnownRun();
  const reason = because('cancelled', 'Because.');
  const bring = {
    screenRequest: { screened: ['request'] },
    queue: {},
    admit: {},
    fetchContext: { contextRef: 'context' },
    screenContext: { screened: ['request', 'context'] },
    hydrate: { input: 'payload' },
    start: { run },
    run: { run },
    finalize: { run, exitCode: 0 },
    complete: { run, result: aResult(), detectedBy: 'report' },
    fail: { reason, detectedBy: 'event' },
    stop: { run, intent: 'lost', reason },
    redirect: { intent: 'cancelled', reason },
    cancel: { reason, detectedBy: 'request' },
    expire: { reason, detectedBy: 'alarm' },
    backOff: { reason },
  }[name];
  return { kind: 'step', name, bring, facts: [] } as unknown as Step;
}

function reachable(from: Status): Set<Status> {
  const seen = new Set<Status>([from]);
  for (const status of seen) for (const row of Object.values(life)) if (row.from.includes(status)) seen.add(row.to);
  return seen;
}
