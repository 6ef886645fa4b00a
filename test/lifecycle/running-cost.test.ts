import { describe, expect, it } from '@jest/globals';
import { runOrphaned } from '../../events/run-orphaned.ts';
import { later } from '../../lifecycle/evolve.ts';
import { orphanFact } from '../../lifecycle/judge.ts';
import { outlivedFact } from '../../lifecycle/orphan.ts';
import { rates, runningCostOf } from '../../lifecycle/running-cost.ts';
import { SESSION_LIFETIME_S } from '../../schemas/agentcore-session.ts';
import { type Compute, compute } from '../../schemas/compute.ts';
import { aKnownRun, aTask, at } from '../builders.ts';

const run = aKnownRun({ stopRequests: 3, dispatchedAt: at(5) });

const givenUp = (on: Compute) => orphanFact(aTask({ status: 'STOPPING', compute: on, run }), run, undefined).data;

const livedOn = (on: Compute, attempt = 1) =>
  outlivedFact(aTask({ status: 'BACKOFF', compute: on }), { startedBy: 'baton/test/t0/1', nativeId: 'run-1', attempt })
    .data;

// F13
describe('a run that nobody could stop', () => {
  it.each(compute.options)('on %s comes with what it costs an hour, in the fact and for people', (on) => {
    const { usdPerHour } = runningCostOf(on, undefined);
    expect(usdPerHour).toBeGreaterThan(0);
    for (const { runningCost, message } of [givenUp(on), livedOn(on)]) {
      expect(runningCost?.usdPerHour).toBe(usdPerHour);
      expect(message).toContain(`up to $${usdPerHour.toFixed(2)} an hour`);
      expect(message).toContain(`${rates[on].vcpu} vCPU, ${rates[on].memoryGb} GB`);
    }
  });

  it('costs since its attempt was started, whichever way it is found', () => {
    expect(givenUp('ecs').runningCost?.since).toBe(at(5));
    const task = aTask({ status: 'BACKOFF' });
    const started = task.history.find(({ to }) => to === 'STARTING')?.at;
    expect(started).toBeDefined();
    expect(livedOn('ecs').runningCost?.since).toBe(started);
  });

  it('has no beginning that is guessed, where the history does not tell it', () => {
    expect(livedOn('agentcore', 7).runningCost).toEqual({ usdPerHour: 0.39 });
  });

  it('ends by itself on AgentCore, and says when', () => {
    const { runningCost, message } = givenUp('agentcore');
    expect(runningCost?.endsBy).toBe(later(at(5), SESSION_LIFETIME_S));
    expect(message).toContain(`8 hours after its start, by ${runningCost?.endsBy}`);
  });

  it('never ends by itself on ECS, and says so', () => {
    const { runningCost, message } = givenUp('ecs');
    expect(runningCost).not.toHaveProperty('endsBy');
    expect(message).toContain('for as long as nobody stops it');
  });
});

describe('the list prices', () => {
  // 2 vCPU x 0.1276 + 8 GB x 0.0169, and 2 vCPU x 0.03238 + 4 GB x 0.00356.
  it.each([
    ['agentcore', 0.39],
    ['ecs', 0.079],
  ] as const)('of %s make %d dollars an hour', (on, usd) => {
    expect(runningCostOf(on, undefined)).toEqual({ usdPerHour: usd });
  });
});

describe('a consumer that knows nothing of running costs', () => {
  it('reads the fact, and one without costs is still a fact', () => {
    const { runningCost: _unknown, ...before } = givenUp('ecs');
    expect(runOrphaned.schema.parse(before)).toEqual(before);
  });
});
