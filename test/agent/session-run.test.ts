import { describe, expect, it } from '@jest/globals';
import { type SessionRun, sessionRun } from '../../agent/session-run.ts';
import { until } from './scene.ts';
import { anInvocation, SHELL } from './session-scene.ts';

/** A run with real processes and a clock that stands until it is set, in seconds. */
function aRun(): { run: SessionRun; setClock(seconds: number): void } {
  let seconds = 1_000.9;
  const run = sessionRun({
    runner: SHELL,
    environment: { PATH: process.env['PATH'] },
    stopTimeoutMs: 5_000,
    say: () => undefined,
    now: () => seconds * 1_000,
  });
  return {
    run,
    setClock: (next) => {
      seconds = next;
    },
  };
}

// A time that moved with every ping would keep an idle session, and its cost, until its maximum lifetime.
describe('the time of the last update of a session', () => {
  it('is in whole seconds, and moves when the session becomes busy or idle, and never else', async () => {
    const { run, setClock } = aRun();
    const idle = { status: 'Healthy', time_of_last_update: 1_000 };
    expect(run.health()).toEqual(idle);
    setClock(2_000.5);
    expect(run.health()).toEqual(idle);

    await run.take(anInvocation('sleep 300'));
    const busy = { status: 'HealthyBusy', time_of_last_update: 2_000 };
    expect(run.health()).toEqual(busy);
    setClock(3_000);
    await run.take(anInvocation('sleep 300'));
    await run.take(anInvocation('sleep 300', { attempt: 2 }));
    expect(run.health()).toEqual(busy);

    setClock(4_000);
    await run.stop();
    await until('it is idle', () => run.health().status === 'Healthy');
    expect(run.health()).toEqual({ status: 'Healthy', time_of_last_update: 4_000 });
    setClock(5_000);
    await run.take(anInvocation('sleep 300'));
    expect(run.health()).toEqual({ status: 'Healthy', time_of_last_update: 4_000 });
  });

  it('does not move for a run that could not be started', async () => {
    const run = sessionRun({
      runner: ['/nowhere/runner'],
      environment: {},
      stopTimeoutMs: 0,
      say: () => undefined,
      now: Date.now,
    });
    const before = run.health();
    expect(await run.take(anInvocation())).toMatchObject({ outcome: 'failed' });
    expect(run.health()).toBe(before);
  });
});

describe('a session that is being stopped', () => {
  it('begins no run any more', async () => {
    const { run } = aRun();
    expect(await run.stop()).toBe(0);
    expect(await run.take(anInvocation('true'))).toMatchObject({ outcome: 'refused' });
    expect(run.health().status).toBe('Healthy');
  });
});
