import { taskFailed } from '../events/task-failed.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { awaitsContext, awaitsScreening } from '../lifecycle/admission.ts';
import { ignore, step } from '../lifecycle/move.ts';
import { isTerminal } from '../lifecycle/states.ts';
import { hydrateTask as rule } from '../rules/hydrate-task.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { because } from '../schemas/reason.ts';
import type { RunPayload } from '../schemas/run-payload.ts';

/** Stores all that the run needs under one reference. Twice is harmless: the same input has the same reference. */
export const hydrateTask = react(rule, async (event, { tasks, runs, payloads, settings }) => {
  const { taskId, version } = subject(event);
  const cause = causeOf(event);
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  if (task.version !== version) {
    // An earlier delivery may have stored the input and ended before the task, which has ended since, could name it.
    if (isTerminal(task)) await payloads.forget(taskId);
    return tasks.decide(taskId, cause, () => ignore('task_has_moved_on'));
  }

  if (awaitsScreening(task, 'request')) return refused('awaits_screening');
  if (awaitsContext(task) || awaitsScreening(task, 'context')) return refused('awaits_its_context');
  const prompt = await payloads.get(task.promptRef);
  const context = task.contextRef === undefined ? undefined : await payloads.get(task.contextRef);
  if (prompt === undefined || (task.contextRef !== undefined && context === undefined)) {
    const reason = because('hydration_failed', 'The prompt, or its context, is not in the payload store any more.');
    return tasks.decide(taskId, cause, (now) =>
      now.version === version
        ? step('fail', { reason, detectedBy: 'event' }, [taskFailed.of({ reason })])
        : ignore('task_has_moved_on'),
    );
  }
  const { token } = await runs.open(taskId, task.attempt);
  const payload: RunPayload = {
    schemaVersion: 1,
    taskId: task.taskId,
    attempt: task.attempt,
    runToken: token,
    repository: task.repository,
    ...(task.baseBranch === undefined ? {} : { baseBranch: task.baseBranch }),
    branch: `baton/${taskId}`,
    prompt,
    ...(context === undefined || task.context === undefined
      ? {}
      : { context: { source: task.context, text: context } }),
    agentCommand: task.agentCommand ?? settings.defaultAgentCommand,
    deadlineAt: task.deadlineAt,
    ...(task.environment ? { environment: task.environment } : {}),
    ...(task.savedWork ? { savedWork: task.savedWork } : {}),
  };
  const input = await payloads.put(taskId, JSON.stringify(payload));
  const outcome = await tasks.decide(taskId, cause, (now) =>
    now.version === version
      ? step('hydrate', { input }, [taskHydrated.of({ compute: now.compute })])
      : ignore('task_has_moved_on'),
  );
  // The task ended meanwhile, and may have settled: nobody else would delete this input.
  if ('task' in outcome && outcome.task && isTerminal(outcome.task)) await payloads.delete(input);
  return outcome;
});
