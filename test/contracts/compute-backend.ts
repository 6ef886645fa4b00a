import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ComputeBackend, EcsBackend, StartEcsRun, StartRun } from '../../runtime/ports.ts';
import type { RunHandle } from '../../schemas/run-handle.ts';
import type { RunObservation } from '../../schemas/run-observation.ts';

/** One back end with runs that behave as asked. */
export interface ComputeBackendHarness {
  readonly compute: ComputeBackend;
  /** A new run that ends with this exit code by itself, or goes on until it is stopped. */
  aRun(behaviour: { exitCode: number } | 'goes on'): StartRun;
  /** A handle of the right shape for a run that never was. */
  readonly unknownHandle: RunHandle;
  /** Left out: yes. A back end that describes nothing knows that a run is gone, and not how it ended: its report tells that. */
  readonly tellsExitCodes?: false;
  close(): Promise<void>;
}

/** One that starts runs from task definitions. */
export interface EcsBackendHarness extends ComputeBackendHarness {
  readonly compute: EcsBackend;
  aRun(behaviour: { exitCode: number } | 'goes on'): StartEcsRun;
  /** ARNs of revisions that no run of the harness is started from by itself. */
  readonly definitions: { readonly active: string; readonly inactive: string; readonly unknown: string };
}

/** How long a back end may take to show what became of a run, in milliseconds. */
const OBSERVED_WITHIN_MS = 15_000;

/** What every compute back end promises to handlers. */
export function computeBackendContract(name: string, open: () => Promise<ComputeBackendHarness>): void {
  describe(`the compute back end ${name}`, () => {
    let harness: ComputeBackendHarness;
    beforeAll(async () => {
      harness = await open();
    });
    afterAll(() => harness.close());

    it('gives a handle that survives a JSON round trip and finds the run', async () => {
      const run = harness.aRun({ exitCode: 0 });
      const handle = await started(run);
      expect(JSON.parse(JSON.stringify(handle))).toEqual(handle);
      const [found] = await harness.compute.ask({ startedBy: run.startedBy, handle });
      expect(found).toMatchObject({ taskId: run.taskId, attempt: run.attempt, handle });
    });

    it('finds a run whose handle was lost by startedBy', async () => {
      const run = harness.aRun({ exitCode: 0 });
      const handle = await started(run);
      expect(await harness.compute.ask({ startedBy: run.startedBy })).toMatchObject([{ handle }]);
    });

    it('starts one run for one client token, however often it is asked at once', async () => {
      const run = harness.aRun({ exitCode: 0 });
      const handles = await Promise.all(Array.from({ length: 10 }, () => started(run)));
      expect(new Set(handles.map((handle) => JSON.stringify(handle))).size).toBe(1);
      expect(await harness.compute.ask({ startedBy: run.startedBy })).toHaveLength(1);
    });

    it('adopts the run of a client token that comes with other parameters', async () => {
      const run = harness.aRun({ exitCode: 0 });
      const handle = await started(run);
      expect(await started({ ...run, environment: { ...run.environment, BATON_OTHER: 'yes' } })).toEqual(handle);
      expect(await harness.compute.ask({ startedBy: run.startedBy })).toHaveLength(1);
    });

    it.each([0, 3])('shows that a run has ended, and its exit code %i if it tells any', async (exitCode) => {
      const run = harness.aRun({ exitCode });
      await started(run);
      const end = harness.tellsExitCodes === false ? { kind: 'lost' } : { kind: 'exited', exitCode };
      expect(await ended(run)).toMatchObject({ end });
    });

    it('refuses what can never start, with a reason', async () => {
      const run = { ...harness.aRun({ exitCode: 0 }), environment: { BIG: 'x'.repeat(10_000) } };
      expect(await harness.compute.start(run)).toMatchObject({ outcome: 'refused', reason: { code: 'start_refused' } });
      expect(await harness.compute.ask({ startedBy: run.startedBy })).toEqual([]);
    });

    it('stops a run, says so again while it ends, and knows afterwards that it has ended', async () => {
      const run = harness.aRun('goes on');
      const handle = await started(run);
      expect(await harness.compute.stop(handle, 'cancelled')).toBe('stopping');
      expect(['stopping', 'already_ended']).toContain(await harness.compute.stop(handle, 'cancelled'));
      expect(await ended(run)).toMatchObject({ end: { kind: 'stopped' } });
      expect(await harness.compute.stop(handle, 'cancelled')).toBe('already_ended');
    });

    it('knows nothing of runs that never were', async () => {
      const handle = harness.unknownHandle;
      expect(await harness.compute.stop(handle, 'cancelled')).toBe('not_found');
      expect(await harness.compute.ask({ startedBy: 'baton/local/tnever/1', handle })).toEqual([]);
    });

    async function started(run: StartRun): Promise<RunHandle> {
      const answer = await harness.compute.start(run);
      if (answer.outcome === 'refused') throw new Error(answer.reason.message);
      return answer.handle;
    }

    async function ended(run: StartRun): Promise<RunObservation> {
      const until = Date.now() + OBSERVED_WITHIN_MS;
      for (;;) {
        const [seen] = await harness.compute.ask({ startedBy: run.startedBy });
        if (seen?.phase === 'ended') return seen;
        if (Date.now() > until) throw new Error(`${run.startedBy} did not end: ${JSON.stringify(seen)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  });
}

/** What a back end promises besides whose runs are started from task definitions. */
export function ecsBackendContract(name: string, open: () => Promise<EcsBackendHarness>): void {
  computeBackendContract(name, open);

  describe(`the compute back end ${name}, of task definitions`, () => {
    let harness: EcsBackendHarness;
    beforeAll(async () => {
      harness = await open();
    });
    afterAll(() => harness.close());

    // T9
    it('starts a run from the definition that was named, and says so in its handle and when it is asked', async () => {
      const { active: definition } = harness.definitions;
      for (const run of [harness.aRun({ exitCode: 0 }), { ...harness.aRun({ exitCode: 0 }), definition }]) {
        const handle = { taskDefinitionArn: run.definition };
        expect(await harness.compute.start(run)).toMatchObject({ outcome: 'started', handle });
        expect(await harness.compute.ask({ startedBy: run.startedBy })).toMatchObject([{ handle }]);
      }
    });

    it.each<[string, (run: StartEcsRun) => StartEcsRun]>([
      ['definition', (run) => ({ ...run, definition: harness.definitions.active })],
      ['definition, which is gone', (run) => ({ ...run, definition: harness.definitions.inactive })],
      ['capacity', (run) => ({ ...run, capacityProvider: 'FARGATE_SPOT' })],
      ['tag', (run) => ({ ...run, tags: { ...run.tags, other: 'yes' } })],
    ])('adopts the run of a client token that comes with another %s', async (_, changed) => {
      const run = harness.aRun({ exitCode: 0 });
      const first = await harness.compute.start(run);
      expect(first).toMatchObject({ outcome: 'started' });
      expect(await harness.compute.start(changed(run))).toEqual(first);
      expect(await harness.compute.ask({ startedBy: run.startedBy })).toHaveLength(1);
    });

    it.each(['inactive', 'unknown'] as const)('refuses a definition that is %s, and starts nothing', async (which) => {
      const run = { ...harness.aRun({ exitCode: 0 }), definition: harness.definitions[which] };
      const refused = { outcome: 'refused', reason: { code: 'start_refused' } };
      expect(await harness.compute.start(run)).toMatchObject(refused);
      expect(await harness.compute.ask({ startedBy: run.startedBy })).toEqual([]);
    });
  });
}
