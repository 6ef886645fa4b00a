import { taskFailed } from '../events/task-failed.ts';
import { capacityProviderOf } from '../lifecycle/capacity.ts';
import { runTagsOf, startedByOf } from '../lifecycle/ecs-task.ts';
import { ignore, mark, step } from '../lifecycle/move.ts';
import { askedAgainAt } from '../lifecycle/timings.ts';
import { startRunOnEcs as rule } from '../rules/start-run-on-ecs.ts';
import { type Outcome, refused } from '../runtime/outcome.ts';
import type { Definitions, Repositories, RunDefinition, Tasks } from '../runtime/ports.ts';
import type { PortsOf } from '../runtime/react.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { refusedStart, stopLate } from '../runtime/run-steps.ts';
import type { BatonEvent } from '../schemas/envelope.ts';
import { shortText } from '../schemas/json.ts';
import { because, type Reason } from '../schemas/reason.ts';
import { type RepositoryEntry, userTermsIn } from '../schemas/repository-config.ts';
import type { Task, TaskIn } from '../schemas/task.ts';

/** What the image runs instead of its own command, which waits for requests that nobody sends. */
const BATCH_COMMAND = ['run'];

/**
 * Looks up the task definition, moves the task to STARTING with it, then starts the run. Twice is harmless: the client token starts one
 * run, a start is repeated only while nothing answered the first, and every start of an attempt names the definition that the first did.
 */
export const startRunOnEcs = react(rule, async (event, ports, { mayRepeat }) => {
  const { taskId, version } = subject(event);
  const cause = causeOf(event);
  const known = await ports.tasks.get(taskId);
  const found =
    known?.status === 'HYDRATED' && known.version === version ? await definitionFor(known, ports) : undefined;
  if (found?.outcome === 'later') return putOff(event, ports.tasks, found);
  if (found?.outcome === 'refused') return failed(event, ports.tasks, found.reason);
  const outcome = await ports.tasks.decide(taskId, cause, (task, _record, { at }) => {
    if (task.status !== 'HYDRATED' || task.version !== version || !found) return ignore('task_has_moved_on');
    const { attempt } = task;
    const startedBy = startedByOf(ports.settings.stage, taskId, attempt);
    return step('start', { run: { attempt, startedBy, dispatchedAt: at, definition: found.arn } }, []);
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

/** The definition of this attempt, as of now. Terms of users are read at each use: what was taken from somebody is not handed out. */
async function definitionFor(
  { taskId, attempt, userId, isolation, configuration }: Task,
  { definitions, repositories }: { readonly definitions: Definitions; readonly repositories: Repositories },
): Promise<RunDefinition> {
  if (isolation !== 'per-user') return definitions.base();
  const entry = (await repositories.list()).find(({ name }) => name === configuration);
  const terms = entry && userTermsIn(entry.config, userId);
  if (terms) return definitions.ofUser({ userId, configuration: entry.name, terms, by: `${taskId}/${attempt}` });
  const told = whyNone(configuration, entry, userId);
  return { outcome: 'refused', reason: because('definition_refused', told) };
}

function whyNone(configuration: string | undefined, entry: RepositoryEntry | undefined, userId: string): string {
  const named = `the configuration "${configuration}"`;
  if (!entry)
    return `The task was accepted under ${named}, which is gone, and with it what "${userId}" gets. Set it again.`;
  if (entry.unreadable !== undefined)
    return `This version of Baton cannot read ${named}: ${entry.unreadable}. Set it again.`;
  return `The task was accepted for an isolated user, and ${named} says nothing of "${userId}" any more. Name them under "users".`;
}

/**
 * Puts the start off and says why. Under a cause of its own: it does not prove that the event was taken up, so that the task's alarm says
 * the event again.
 */
async function putOff(
  event: BatonEvent,
  tasks: Tasks,
  { message }: Extract<RunDefinition, { outcome: 'later' }>,
): Promise<Outcome | readonly Outcome[]> {
  const { taskId, version } = subject(event);
  const cause = { id: `${causeOf(event).id}#delayed`, type: 'StartDelayed' };
  const outcome = await tasks.decide(taskId, cause, (now, _record, { at, timings }) => {
    if (now.version !== version) return ignore('task_has_moved_on');
    const since = now.history.at(-1)?.at ?? at;
    return mark({
      due: { step: askedAgainAt({ taskId, since }, at, timings) },
      delay: { at, message: shortText(message) },
    });
  });
  return outcome.kind === 'moved' ? [outcome, refused(shortText(`definition_is_not_ready: ${message}`))] : outcome;
}

const failed = (event: BatonEvent, tasks: Tasks, reason: Reason): Promise<Outcome> =>
  tasks.decide(subject(event).taskId, causeOf(event), (now) =>
    now.version === subject(event).version
      ? step('fail', { reason, detectedBy: 'event' }, [taskFailed.of({ reason })])
      : ignore('task_has_moved_on'),
  );

type Needs = PortsOf<'tasks' | 'runs' | 'ecs' | 'settings'>;

async function launch(
  task: TaskIn<'STARTING'>,
  event: BatonEvent,
  { tasks, runs, ecs, settings }: Needs,
  repeats = false,
): Promise<Outcome[]> {
  const { taskId, attempt } = task;
  // Moved by a version that named a family: the due date of the start asks what became of it.
  if (task.run.definition === undefined) return [];
  const cause = causeOf(event);
  const started = await ecs.start({
    taskId,
    attempt,
    startedBy: task.run.startedBy,
    clientToken: `${taskId}-${attempt}`,
    environment: { BATON_TASK_ID: taskId, BATON_ATTEMPT: String(attempt), BATON_PAYLOAD: task.input },
    command: BATCH_COMMAND,
    definition: task.run.definition,
    capacityProvider: capacityProviderOf(task),
    tags: runTagsOf(settings.stage, taskId, attempt),
    ...(repeats ? { repeats } : {}),
  });
  if (started.outcome === 'refused') return [await refusedStart(event, { tasks }, attempt, started)];
  const { handle } = started;
  const attached = await tasks.decide(taskId, { id: `${cause.id}#handle`, type: 'HandleArrived' }, (now) => {
    const works = now.status === 'STARTING' || now.status === 'RUNNING' || now.status === 'FINALIZING';
    if (!works || now.attempt !== attempt) return ignore('handle_came_late');
    return now.run.handle ? ignore('handle_is_known') : mark({ run: { ...now.run, handle } });
  });
  if (attached.kind !== 'refused' || attached.reason !== 'handle_came_late') return [];
  // The task moved on while the start was under way: nobody waits for this run, so it is stopped on arrival.
  await runs.noteStray(taskId, attempt, handle);
  return [attached, await stopLate(event, ecs, handle)];
}
