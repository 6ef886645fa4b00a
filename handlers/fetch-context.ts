import { contextFetched } from '../events/context-fetched.ts';
import { taskFailed } from '../events/task-failed.ts';
import { awaitsContext } from '../lifecycle/admission.ts';
import { ignore, mark, step } from '../lifecycle/move.ts';
import { isTerminal } from '../lifecycle/states.ts';
import { askedAgainAt } from '../lifecycle/timings.ts';
import { fetchContext as rule } from '../rules/fetch-context.ts';
import { BatonError, type ErrorCode } from '../runtime/errors.ts';
import { type Outcome, refused } from '../runtime/outcome.ts';
import type { Contexts, FetchedContext, Tasks } from '../runtime/ports.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { boundedContext, bytesOf } from '../schemas/context-text.ts';
import type { BatonEvent } from '../schemas/envelope.ts';
import { shortText } from '../schemas/json.ts';
import { because } from '../schemas/reason.ts';
import type { Task } from '../schemas/task.ts';

/**
 * Fetches the text that the task names and stores it for all of its attempts. Where it cannot be had for now, the task's own alarm brings
 * it back: that alone tries again. Twice is harmless: only the version that asked moves, and a text that no task names is deleted again.
 */
export const fetchContext = react(rule, async (event, { tasks, payloads, contexts }) => {
  const { taskId, version } = subject(event);
  const cause = causeOf(event);
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  if (task.version !== version) {
    // An earlier delivery may have stored the text and ended before the task, which has ended since, could name it.
    if (isTerminal(task)) await payloads.forget(taskId);
    return tasks.decide(taskId, cause, () => ignore('task_has_moved_on'));
  }

  const { context: source, screening } = task;
  if (source === undefined || !awaitsContext(task)) return refused('needs_no_context');
  const fetched = await fetchedOrNot(contexts, source);
  if (fetched instanceof BatonError) return putOff(event, tasks, fetched);
  if (fetched.outcome === 'unavailable') {
    const reason = because('context_unavailable', fetched.message);
    return tasks.decide(taskId, cause, (now) =>
      now.version === version
        ? step('fail', { reason, detectedBy: 'event' }, [taskFailed.of({ reason })])
        : ignore('task_has_moved_on'),
    );
  }
  const text = boundedContext(fetched.text, { screened: screening !== undefined });
  const contextRef = await payloads.put(taskId, text);
  const fact = contextFetched.of({ source, bytes: bytesOf(text), ...(screening ? { screening } : {}) });
  const outcome = await tasks.decide(taskId, cause, (now) =>
    now.version === version ? step('fetchContext', { contextRef }, [fact]) : ignore('task_has_moved_on'),
  );
  // Another delivery was faster and found other words there, or the task ended meanwhile and may have settled.
  if ('task' in outcome && outcome.task && !needs(outcome.task, contextRef)) await payloads.delete(contextRef);
  return outcome;
});

/** What passes by itself. Anything else is a defect, or the world's end, and is tried again as such. */
const PASSING: ReadonlySet<string> = new Set<ErrorCode>(['service_throttled', 'service_unavailable']);

/** What was fetched, or the trouble for which it could not be, which will pass. */
async function fetchedOrNot(contexts: Contexts, source: string): Promise<FetchedContext | BatonError> {
  try {
    return await contexts.fetch(source);
  } catch (error) {
    if (error instanceof BatonError && PASSING.has(error.code)) return error;
    throw error;
  }
}

/**
 * Puts the step off and says why. Under a cause of its own: it does not prove that the event was taken up, so that the alarm says the event
 * again.
 */
async function putOff(
  event: BatonEvent,
  tasks: Tasks,
  { message, notBefore }: BatonError,
): Promise<Outcome | readonly Outcome[]> {
  const { taskId, version } = subject(event);
  const cause = { id: `${causeOf(event).id}#delayed`, type: 'ContextDelayed' };
  const outcome = await tasks.decide(taskId, cause, (now, _record, { at, timings }) => {
    if (now.version !== version) return ignore('task_has_moved_on');
    const since = now.history.at(-1)?.at ?? at;
    return mark({
      due: { step: askedAgainAt({ taskId, since, notBefore }, at, timings) },
      delay: { at, message: shortText(message) },
    });
  });
  return outcome.kind === 'moved' ? [outcome, refused(shortText(`context_unreachable: ${message}`))] : outcome;
}

const needs = (task: Task, ref: string): boolean =>
  !isTerminal(task) && (task.contextRef === ref || task.promptRef === ref);
