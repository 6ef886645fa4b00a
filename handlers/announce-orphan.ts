import { startedByOf } from '../lifecycle/ecs-task.ts';
import { isOrphanKnown, outlivedFact } from '../lifecycle/orphan.ts';
import { announceOrphan as rule } from '../rules/announce-orphan.ts';
import { refused, said } from '../runtime/outcome.ts';
import { looseEvent } from '../runtime/published.ts';
import { causeOf, react } from '../runtime/react.ts';

/**
 * Tells people, once per attempt, of a run that its back end said had ended and that lived on: it was refused, and says so. That cannot be
 * late. The claimant of an attempt is refused only when the attempt is closed; it is closed only after the end of its claimant was
 * known; and whoever says that it was refused lived after that. Words that were under way when a run ended are no refusals. A second
 * run of the attempt, or one that came too late to claim, is refused as well: it is no claimant, has done nothing, and leaves. A lie
 * of somebody with the rights of a runner moves no task, it only calls a person. Twice is harmless: the fact has the same id each time.
 */
export const announceOrphan = react(rule, async (event, { tasks, runs, settings }, { mayRepeat }) => {
  const { taskId, attempt, nativeId } = event.detail.data;
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  if (isOrphanKnown(task, attempt)) return refused('orphan_is_known', task);
  const noted = await runs.noteOutlived({ taskId, attempt, nativeId });
  if (!noted) return refused('not_the_claimant_of_a_closed_attempt', task);
  if (noted.before && !mayRepeat({ committedAt: noted.at })) return refused('orphan_is_announced', task);
  const startedBy = startedByOf(settings.stage, taskId, attempt);
  const fact = outlivedFact(task, { startedBy, nativeId, attempt });
  const id = `${taskId}#attempt-${attempt}#RunOrphaned`;
  return said([
    looseEvent(fact, { id, taskId, cause: causeOf(event), correlationId: task.correlationId, at: noted.at }),
  ]);
});
