import { parseStartedBy } from '../lifecycle/ecs-task.ts';
import type { EcsBackend, StartEcsRun, StopOutcome } from '../runtime/ports.ts';
import { because } from '../schemas/reason.ts';
import { type EcsHandle, ownHandle } from '../schemas/run-handle.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import { aHandle } from './builders.ts';

/** Largest sum of overrides in characters that ECS takes. */
const OVERRIDES_MAX = 8192;

interface TwinRun {
  readonly asked: StartEcsRun;
  readonly handle: EcsHandle;
  phase: RunObservation['phase'];
  end?: NonNullable<RunObservation['end']>;
}

/** A small back end in memory that keeps the promises of the contract suite, records what it was asked, and fails on request. */
export function computeTwin() {
  const runs: TwinRun[] = [];
  const calls: string[] = [];
  let failures: unknown[] = [];
  let startFailure: unknown;

  const backend: EcsBackend = {
    async start(asked) {
      record('start', asked.clientToken);
      if (startFailure !== undefined) throw startFailure;
      if (JSON.stringify(asked.environment).length > OVERRIDES_MAX) {
        return { outcome: 'refused', reason: because('start_refused', 'The overrides are too large.') };
      }
      const known = runs.find((run) => run.asked.clientToken === asked.clientToken);
      if (known) return { outcome: 'started', handle: known.handle };
      const run: TwinRun = { asked, handle: aHandle(`twin-${runs.length + 1}`), phase: 'starting' };
      runs.push(run);
      return { outcome: 'started', handle: run.handle };
    },
    async stop(given): Promise<StopOutcome> {
      const handle = ownHandle('ecs', given);
      record('stop', handle.taskArn);
      const run = byArn(handle.taskArn);
      if (!run) return 'not_found';
      if (run.phase === 'ended') return 'already_ended';
      if (stopsAtOnce) end(run, { kind: 'stopped', reason: because('stopped_outside', 'Stopped on request.') });
      return 'stopping';
    },
    async ask({ startedBy, handle: given }) {
      const handle = given && ownHandle('ecs', given);
      record('ask', startedBy);
      return runs
        .filter((run) => run.asked.startedBy === startedBy || run.handle.taskArn === handle?.taskArn)
        .map((run) => observationOf(run));
    },
  };
  let stopsAtOnce = true;

  return {
    backend,
    runs,
    /** `start <client token>`, `stop <task ARN>`, `ask <startedBy>`, in order. */
    calls,
    /** The next call throws this. */
    failNext(error: unknown) {
      failures.push(error);
    },
    /** Every start from now on throws this. */
    failStarts(error: unknown) {
      startFailure = error;
    },
    /** Stops are taken, but nothing ends. */
    ignoreStops() {
      stopsAtOnce = false;
    },
    run(run: TwinRun) {
      run.phase = 'running';
    },
    exit(run: TwinRun, exitCode: number) {
      end(run, { kind: 'exited', exitCode, reason: because('runner_failed', 'Essential container exited') });
    },
    /** A second run for a start that was already made: what a retried call without its token leaves behind. */
    duplicate(run: TwinRun): TwinRun {
      const twin: TwinRun = { asked: run.asked, handle: aHandle(`twin-${runs.length + 1}`), phase: 'running' };
      runs.push(twin);
      return twin;
    },
    /** The back end forgets everything. */
    forget() {
      runs.length = 0;
    },
  };

  function record(what: string, of: string): void {
    calls.push(`${what} ${of}`);
    const [failure, ...rest] = failures;
    failures = rest;
    if (failure !== undefined) throw failure;
  }

  function byArn(arn: string): TwinRun | undefined {
    return runs.find((run) => run.handle.taskArn === arn);
  }

  function end(run: TwinRun, how: NonNullable<RunObservation['end']>): void {
    if (run.phase === 'ended') return;
    run.phase = 'ended';
    run.end = how;
  }

  function observationOf(run: TwinRun): RunObservation {
    const who = parseStartedBy(run.asked.startedBy) ?? { taskId: run.asked.taskId, attempt: run.asked.attempt };
    return {
      ...who,
      nativeId: run.handle.taskArn,
      handle: run.handle,
      phase: run.phase,
      ...(run.end ? { end: run.end } : {}),
    };
  }
}
