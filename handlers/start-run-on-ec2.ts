import { startedByOf } from '../lifecycle/ecs-task.ts';
import { ignore, mark, step } from '../lifecycle/move.ts';
import { startRunOnEc2 as rule } from '../rules/start-run-on-ec2.ts';
import type { Outcome } from '../runtime/outcome.ts';
import { causeOf, type PortsOf, react, subject } from '../runtime/react.ts';
import { putOff, refusedStart, stopLate } from '../runtime/run-steps.ts';
import type { BatonEvent } from '../schemas/envelope.ts';
import { ownHandle } from '../schemas/run-handle.ts';
import type { Task, TaskIn } from '../schemas/task.ts';
import { FLEET_DEFAULT } from '../schemas/worker.ts';

/** How much longer than its task a command may go on, in seconds: the task's own deadline comes first, with a stop that saves work. */
const EXECUTION_MARGIN_S = 900;

/**
 * Claims a worker, moves the task to STARTING with it, then sends the run. Twice is harmless: an attempt claims one worker, a worker is sent
 * an attempt once, and a repeated start names the worker that the first did. What is claimed in vain goes back, or lapses.
 */
export const startRunOnEc2 = react(rule, async (event, ports, { mayRepeat }) => {
  const { taskId, version } = subject(event);
  const { tasks, ec2, settings } = ports;
  const known = await tasks.get(taskId);
  const waits = known?.status === 'HYDRATED' && known.version === version ? known : undefined;
  const worker = waits && (await ec2.claim(fleetOf(waits), ownerOf(waits)));
  if (waits && worker === undefined) {
    return putOff(event, tasks, `No worker of fleet "${fleetOf(waits)}" is free.`);
  }
  const outcome = await tasks.decide(taskId, causeOf(event), (task, _record, { at }) => {
    if (task.status !== 'HYDRATED' || task.version !== version || worker === undefined) {
      return ignore('task_has_moved_on');
    }
    const handle = ec2.handleOf({ worker, fleet: fleetOf(task), owner: ownerOf(task) });
    const startedBy = startedByOf(settings.stage, taskId, task.attempt);
    return step('start', { run: { attempt: task.attempt, startedBy, dispatchedAt: at, handle } }, []);
  });
  // Another delivery may have moved the task, with another worker, or with this one.
  if (waits && worker !== undefined && workerOf(outcome) !== worker) await ec2.giveBack(worker, ownerOf(waits));
  switch (outcome.kind) {
    case 'moved':
      return outcome.task.status === 'STARTING' ? [...(await launch(outcome.task, event, ports)), outcome] : outcome;
    case 'already': {
      const { task } = outcome;
      const repeats = task.status === 'STARTING' && mayRepeat(outcome);
      return repeats ? [...(await launch(task, event, ports)), outcome] : outcome;
    }
    case 'refused':
    case 'said':
      return outcome;
  }
});

const fleetOf = ({ fleet = FLEET_DEFAULT }: Task): string => fleet;
const ownerOf = ({ taskId, attempt }: Task) => ({ taskId, attempt });

/** The worker with which a task is being started. */
function workerOf(outcome: Outcome): string | undefined {
  const task = outcome.kind === 'moved' || outcome.kind === 'already' ? outcome.task : undefined;
  const handle = task?.status === 'STARTING' ? task.run.handle : undefined;
  return handle?.backend === 'ec2' ? handle.instanceId : undefined;
}

async function launch(
  task: TaskIn<'STARTING'>,
  event: BatonEvent,
  { tasks, workers, ec2 }: PortsOf<'tasks' | 'workers' | 'ec2'>,
): Promise<Outcome[]> {
  const { taskId, attempt, run, input, deadlineAt, correlationId } = task;
  if (!run.handle) return [];
  const worker = ownHandle('ec2', run.handle);
  const cause = causeOf(event);
  const started = await ec2.start({
    taskId,
    attempt,
    startedBy: run.startedBy,
    clientToken: `${taskId}-${attempt}`,
    environment: { BATON_TASK_ID: taskId, BATON_ATTEMPT: String(attempt), BATON_PAYLOAD: input },
    command: [],
    worker,
    // From what is stored, so that every try asks for the same.
    executionSeconds: (Date.parse(deadlineAt) - Date.parse(run.dispatchedAt)) / 1000 + EXECUTION_MARGIN_S,
  });
  if (started.outcome === 'refused') {
    const told = await workers.told(worker.instanceId, { cause, correlationId });
    return [await refusedStart(event, { tasks }, attempt, started), told];
  }
  const { handle } = started;
  // One without a command is on a worker that is out, of which an earlier delivery may not have come to say so.
  const told = handle.commandId === undefined ? [await workers.told(worker.instanceId, { cause, correlationId })] : [];
  const attached = await tasks.decide(taskId, { id: `${cause.id}#handle`, type: 'HandleArrived' }, (now) => {
    const works = now.status === 'STARTING' || now.status === 'RUNNING' || now.status === 'FINALIZING';
    if (!works || now.attempt !== attempt) return ignore('handle_came_late');
    const isKnown = now.run.handle?.backend === 'ec2' && now.run.handle.commandId !== undefined;
    return isKnown ? ignore('handle_is_known') : mark({ run: { ...now.run, handle } });
  });
  if (attached.kind !== 'refused' || attached.reason !== 'handle_came_late') return told;
  return [...told, attached, await stopLate(event, ec2, handle)];
}
