import { excludeWorker as rule } from '../rules/exclude-worker.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react } from '../runtime/react.ts';
import { because } from '../schemas/reason.ts';

/**
 * Keeps a machine that could not be made ready out of its fleet. Like its opposite it is believed only of a machine that its group has. Twice
 * is harmless: it is out once, and the same fact says so.
 */
export const excludeWorker = react(rule, async (event, { workers, machines }) => {
  const { fleet, worker, message } = event.detail.data;
  if ((await machines.isThere(worker, fleet)) === false) return refused('machine_is_not_of_the_fleet');
  const cause = causeOf(event);
  const { answer } = await workers.bootFailed({ worker, fleet }, because('boot_failed', message));
  return answer === 'refused' ? refused('worker_is_ready') : workers.told(worker, { cause, correlationId: cause.id });
});
