import { judge, judgeMissing } from '../lifecycle/judge.ts';
import { runOf } from '../lifecycle/states.ts';
import { checkRunOnEcs as rule } from '../rules/check-run-on-ecs.ts';
import { type Outcome, refused } from '../runtime/outcome.ts';
import { causeOf, react, subject } from '../runtime/react.ts';

/** Asks ECS about an overdue run and judges each answer. Twice is harmless: judging the same again changes nothing. */
export const checkRunOnEcs = react(rule, async (event, { tasks, ecs }) => {
  const { taskId, attempt } = subject(event);
  const cause = causeOf(event);
  const task = await tasks.get(taskId);
  const run = task && runOf(task);
  if (!run || run.attempt !== attempt) return refused('no_run_is_expected');
  const found = await ecs.ask({ startedBy: run.startedBy, ...(run.handle ? { handle: run.handle } : {}) });
  const outcomes: Outcome[] = [];
  for (const one of found) {
    const seen = { id: `${cause.id}#${one.nativeId}#${one.phase}`, type: 'RunAsked' };
    outcomes.push(await tasks.decide(taskId, seen, (now, record, { at }) => judge(now, record, one, at)));
  }
  if (found.length > 0) return outcomes;
  const missing = { id: `${cause.id}#missing`, type: 'RunAsked' };
  return tasks.decide(taskId, missing, (now, record, { at, timings }) =>
    judgeMissing(now, record, { attempt, at, startMissingSeconds: timings.START_MISSING_S }),
  );
});
