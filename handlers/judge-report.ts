import { judgeReport } from '../lifecycle/judge.ts';
import { ignore } from '../lifecycle/move.ts';
import { judgeReport as rule } from '../rules/judge-report.ts';
import { causeOf, react } from '../runtime/react.ts';

/** Ends the task as its stored report says; the event is only the hint to look. Twice is harmless: a task ends once. */
export const judgeReportOfRun = react(rule, async (event, { tasks }) => {
  const { taskId, attempt } = event.detail.data;
  return tasks.decide(taskId, causeOf(event), (task, record, { at }) =>
    task.attempt === attempt ? judgeReport(task, record, at, 'report') : ignore('of_another_attempt'),
  );
});
