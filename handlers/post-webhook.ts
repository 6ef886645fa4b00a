import { notificationRefused } from '../events/notification-refused.ts';
import { isTerminal } from '../lifecycle/states.ts';
import { postWebhook as rule } from '../rules/post-webhook.ts';
import { refused, said } from '../runtime/outcome.ts';
import { looseEvent } from '../runtime/published.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { shortText } from '../schemas/json.ts';
import { remedyFor } from '../schemas/reason.ts';
import type { TerminalTask } from '../schemas/task.ts';
import { WEBHOOK_BODY_VERSION, type WebhookBody } from '../schemas/webhook-body.ts';

/**
 * Posts how a task ended to the address of one subscriber. Twice is harmless: what was posted is remembered under the fact's id, and
 * the receiver is given that id.
 */
export const postWebhook = react(rule, async (event, { tasks, webhooks }) => {
  const { taskId, correlationId } = subject(event);
  const { channel, subscriber } = event.detail.data;
  const cause = causeOf(event);
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  if (!isTerminal(task)) return refused('task_has_not_ended');
  const told = task.subscribers?.[subscriber];
  if (told?.channel !== channel) return refused('unknown_subscriber');
  const answer = await webhooks.post(told.target, bodyOf(task), { id: cause.id });
  switch (answer.outcome) {
    case 'delivered':
      return said([]);
    case 'refused': {
      const fact = notificationRefused.of({ channel, subscriber, message: shortText(answer.message) });
      const id = `${cause.id}#NotificationRefused`;
      // Beside the fact, which nobody may hear, the task's own story says it.
      return [
        said([looseEvent(fact, { id, taskId, cause, correlationId, at: event.time })]),
        refused(`webhook_refused: ${shortText(answer.message)}`),
      ];
    }
  }
});

function bodyOf(task: TerminalTask): WebhookBody {
  const { taskId, status, repository, userId, labels, attempt, submittedAt, endedAt, result, savedWork } = task;
  const reason = 'reason' in task ? { ...task.reason, remedy: remedyFor(task.reason.code, true) } : undefined;
  return {
    version: WEBHOOK_BODY_VERSION,
    taskId,
    status,
    ...(reason ? { reason } : {}),
    ...(result ? { result } : {}),
    ...(savedWork ? { savedWork } : {}),
    repository,
    userId,
    ...(labels ? { labels } : {}),
    attempt,
    submittedAt,
    endedAt,
  };
}
