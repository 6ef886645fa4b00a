import { runStopAnswered } from '../events/run-stop-answered.ts';
import { startedByOf } from '../lifecycle/ecs-task.ts';
import { judgeRefusedStart } from '../lifecycle/judge.ts';
import { ignore, mark, step } from '../lifecycle/move.ts';
import { startRunOnEcs as rule } from '../rules/start-run-on-ecs.ts';
import { type Outcome, said } from '../runtime/outcome.ts';
import { looseEvent } from '../runtime/published.ts';
import type { PortsOf } from '../runtime/react.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import type { BatonEvent } from '../schemas/envelope.ts';
import { nativeIdOf } from '../schemas/run-handle.ts';
import type { TaskIn } from '../schemas/task.ts';

/** What the image runs instead of its own command, which waits for requests that nobody sends. */
const BATCH_COMMAND = ['run'];

/**
 * Moves the task to STARTING, then starts its run. Twice is harmless: the client token starts one run, and a start is repeated
 * only while nothing answered the first.
 */
export const startRunOnEcs = react(rule, async (event, ports, { mayRepeat }) => {
  const { taskId, version } = subject(event);
  const cause = causeOf(event);
  const outcome = await ports.tasks.decide(taskId, cause, (task, _record, { at }) => {
    if (task.status !== 'HYDRATED' || task.version !== version) return ignore('task_has_moved_on');
    const startedBy = startedByOf(ports.settings.stage, taskId, task.attempt);
    return step('start', { run: { attempt: task.attempt, startedBy, dispatchedAt: at } }, []);
  });
  switch (outcome.kind) {
    case 'moved':
      return outcome.task.status === 'STARTING' ? [...(await launch(outcome.task, event, ports)), outcome] : outcome;
    case 'already': {
      const { task } = outcome;
      const unanswered = task.status === 'STARTING' && !task.run.handle && mayRepeat(outcome);
      return unanswered ? [...(await launch(task, event, ports, true)), outcome] : outcome;
    }
    case 'refused':
    case 'said':
      return outcome;
  }
});

type Needs = PortsOf<'tasks' | 'runs' | 'ecs' | 'settings'>;

async function launch(
  task: TaskIn<'STARTING'>,
  event: BatonEvent,
  { tasks, runs, ecs }: Needs,
  repeats = false,
): Promise<Outcome[]> {
  const { taskId, attempt, compute } = task;
  const cause = causeOf(event);
  const started = await ecs.start({
    taskId,
    attempt,
    startedBy: task.run.startedBy,
    clientToken: `${taskId}-${attempt}`,
    environment: { BATON_TASK_ID: taskId, BATON_ATTEMPT: String(attempt), BATON_PAYLOAD: task.input },
    command: BATCH_COMMAND,
    ...(repeats ? { repeats } : {}),
  });
  if (started.outcome === 'refused') {
    const refusal = { id: `${cause.id}#refused`, type: 'StartRefused' };
    return [
      await tasks.decide(taskId, refusal, (now, record, { at }) =>
        judgeRefusedStart(now, record, { attempt, at, reason: started.reason }),
      ),
    ];
  }
  const { handle } = started;
  const attached = await tasks.decide(taskId, { id: `${cause.id}#handle`, type: 'HandleArrived' }, (now) => {
    const works = now.status === 'STARTING' || now.status === 'RUNNING' || now.status === 'FINALIZING';
    if (!works || now.attempt !== attempt) return ignore('handle_came_late');
    return now.run.handle ? ignore('handle_is_known') : mark({ run: { ...now.run, handle } });
  });
  if (attached.kind !== 'refused' || attached.reason !== 'handle_came_late') return [];
  // The task moved on while the start was under way: nobody waits for this run, so it is stopped on arrival.
  await runs.noteStray(taskId, attempt, handle);
  const nativeId = nativeIdOf(handle);
  const answer = await ecs.stop(handle, `Baton: task ${taskId} moved on before its run ${nativeId} was known`);
  const fact = runStopAnswered.of({ compute, outcome: answer, nativeId });
  const { correlationId } = subject(event);
  const id = `${cause.id}#${nativeId}#RunStopAnswered`;
  return [attached, said([looseEvent(fact, { id, taskId, cause, correlationId, at: event.time })])];
}
