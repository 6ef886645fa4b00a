import { awsFleetWaits } from '../../lifecycle/worker.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { ComputeError } from '../../runtime/errors.ts';
import { fleetBackend } from '../../runtime/fleet-backend.ts';
import { payloadRef } from '../../runtime/payloads.ts';
import type { RecordStore, StartOnWorker } from '../../runtime/ports.ts';
import { workersOver } from '../../runtime/workers.ts';
import type { Ec2Handle, WorkerOwner } from '../../schemas/ssm-command.ts';
import { aTaskId, at } from '../builders.ts';
import { commandsTwin } from '../commands-twin.ts';
import { machinesTwin } from '../machines-twin.ts';

export const FLEET = 'builders';
export const workerNo = (n: number): string => `i-${String(n).padStart(8, '0')}`;
export const ownerNo = (n: number): WorkerOwner => ({ taskId: aTaskId(`n${n}x`), attempt: 1 });

/** A fleet of one worker over records in memory, Systems Manager played by a twin; time stands until a test moves it. */
export async function fleetScene(options: { readonly store?: RecordStore; readonly workers?: number } = {}) {
  let seconds = 0;
  const clock = { now: () => at(seconds) };
  const store = options.store ?? memoryStore({ recordLog: false, freezeValues: true });
  const twin = commandsTwin(clock.now);
  const workers = workersOver({ store, clock, waits: awsFleetWaits });
  const warnings: { message: string; cause?: unknown }[] = [];
  const failed: ComputeError[] = [];
  const scaling = machinesTwin();
  const backend = fleetBackend({
    workers,
    commands: twin.service,
    clock,
    waits: awsFleetWaits,
    region: 'eu-west-1',
    machines: scaling.machines,
    warn: (message, cause) => void warnings.push({ message, ...(cause === undefined ? {} : { cause }) }),
    failed: (error) => void failed.push(error),
  });
  for (let n = 0; n < (options.workers ?? 1); n++) await workers.register({ worker: workerNo(n), fleet: FLEET });

  return {
    ...{ store, twin, workers, backend, warnings, failed },
    /** What Auto Scaling was asked, and how its machines stand. */
    scaling,
    pass: (more: number) => {
      seconds += more;
    },
    /** A run whose attempt has claimed a worker. */
    async claimed(owner = ownerNo(0)): Promise<StartOnWorker> {
      const worker = await workers.claim(FLEET, owner);
      if (worker === undefined) throw new Error('no worker is idle');
      return aRunOn(backend.handleOf({ worker, fleet: FLEET, owner }));
    },
    /** A run that was started; the id of its command. */
    async running(owner = ownerNo(0)): Promise<{ run: StartOnWorker; handle: Ec2Handle; commandId: string }> {
      const run = await this.claimed(owner);
      const started = await backend.start(run);
      if (started.outcome !== 'started' || started.handle.commandId === undefined) throw new Error('not started');
      const { commandId } = started.handle;
      twin.set(commandId, 'InProgress');
      return { run, handle: started.handle, commandId };
    },
    stateOf: async (id = workerNo(0)) => (await workers.get(id))?.state,
  };
}

export const aRunOn = (worker: Ec2Handle): StartOnWorker => {
  const { taskId, attempt } = worker;
  return {
    taskId,
    attempt,
    startedBy: `baton/test/${taskId}/${attempt}`,
    clientToken: `${taskId}-${attempt}`,
    environment: {
      BATON_TASK_ID: taskId,
      BATON_ATTEMPT: String(attempt),
      BATON_PAYLOAD: payloadRef('secret', taskId, 'input'),
    },
    command: [],
    worker,
    executionSeconds: 3_600,
  };
};
