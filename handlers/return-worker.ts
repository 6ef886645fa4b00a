import { returnWorker as rule } from '../rules/return-worker.ts';
import { refused } from '../runtime/outcome.ts';
import type { Ports } from '../runtime/ports.ts';
import { causeOf, react } from '../runtime/react.ts';
import { releaseWorker, workerOf } from '../runtime/worker-steps.ts';
import { because } from '../schemas/reason.ts';
import { parseWorkerRunId, type WorkerOwner } from '../schemas/ssm-command.ts';
import type { Task } from '../schemas/task.ts';
import { FLEET_DEFAULT } from '../schemas/worker.ts';

/**
 * Gives the worker of a run back that never began, and takes out one whose run was given up. Where the host has proven an end, whoever saw
 * the proof has given it back already. Twice is harmless: only the attempt's own worker is touched, and what is said of it is the same.
 */
export const returnWorker = react(rule, async (event, { tasks, workers, machines }) => {
  const { metadata, data } = event.detail;
  const { taskId = '', attempt = 0, correlationId } = metadata;
  // Who outlived its end says itself where it runs.
  const outlived = 'nativeId' in data ? parseWorkerRunId(data.nativeId) : undefined;
  const task = await tasks.get(taskId);
  const owner = outlived?.owner ?? { taskId, attempt };
  const worker = outlived?.instanceId ?? (task && (workerOf(task, attempt) ?? (await heldBy(owner, task, workers))));
  if (worker === undefined) return refused('no_worker_was_given');
  if ('proof' in data && data.proof === 'never_started') {
    await workers.free(worker, owner);
  } else {
    const told = `The end of attempt ${owner.attempt} of task ${taskId} was never proven.`;
    await workers.quarantine(worker, because('end_unproven', told), owner);
  }
  await releaseWorker({ workers, machines }, worker);
  return workers.told(worker, { cause: causeOf(event), correlationId });
});

/** A task that went on before this was heard names its worker no more. Where that could not be given back, it has it still. */
const heldBy = (owner: WorkerOwner, { fleet = FLEET_DEFAULT }: Task, workers: Pick<Ports['workers'], 'held'>) =>
  workers.held(fleet, owner);
