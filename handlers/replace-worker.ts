import { replaceWorker as rule } from '../rules/replace-worker.ts';
import { causeOf, react } from '../runtime/react.ts';
import { fleetSlotKey } from '../schemas/worker.ts';

/**
 * Has the machine of a worker that nobody can prove clean replaced; its end, when EC2 tells of it, ends what is left of its run. Twice is
 * harmless: a machine is taken away once.
 */
export const replaceWorker = react(rule, async (event, { machines, slots }) => {
  const { worker, fleet } = event.detail.data;
  await machines.replace({ worker, fleet });
  return slots.check(fleetSlotKey(fleet), causeOf(event));
});
