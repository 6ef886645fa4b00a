import { contextFetched } from '../events/context-fetched.ts';
import { taskFailed } from '../events/task-failed.ts';
import { awaitsContext } from '../lifecycle/admission.ts';
import { ignore, step } from '../lifecycle/move.ts';
import { isTerminal } from '../lifecycle/states.ts';
import { fetchContext as rule } from '../rules/fetch-context.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { boundedContext, bytesOf } from '../schemas/context-text.ts';
import { because } from '../schemas/reason.ts';
import type { Task } from '../schemas/task.ts';

/**
 * Fetches the text that the task names and stores it for all of its attempts. Twice is harmless: only the version that asked moves,
 * and a text that no task names is deleted again.
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
  const fetched = await contexts.fetch(source);
  if (fetched.outcome === 'unavailable') {
    const reason = because('context_unavailable', fetched.message);
    return tasks.decide(taskId, cause, (now) =>
      now.version === version
        ? step('fail', { reason, detectedBy: 'event' }, [taskFailed.of({ reason })])
        : ignore('task_has_moved_on'),
    );
  }
  const text = boundedContext(fetched.text);
  const contextRef = await payloads.put(taskId, text);
  const fact = contextFetched.of({ source, bytes: bytesOf(text), ...(screening ? { screening } : {}) });
  const outcome = await tasks.decide(taskId, cause, (now) =>
    now.version === version ? step('fetchContext', { contextRef }, [fact]) : ignore('task_has_moved_on'),
  );
  // Another delivery was faster and found other words there, or the task ended meanwhile and may have settled.
  if ('task' in outcome && outcome.task && !needs(outcome.task, contextRef)) await payloads.delete(contextRef);
  return outcome;
});

const needs = (task: Task, ref: string): boolean =>
  !isTerminal(task) && (task.contextRef === ref || task.promptRef === ref);
