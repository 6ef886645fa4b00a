import { registerWorker as rule } from '../rules/register-worker.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react } from '../runtime/react.ts';
import { fleetSlotKey } from '../schemas/worker.ts';

/**
 * Takes a machine that is ready into its fleet, and lets the line move up. What it says of itself is believed only where its group has it:
 * any machine may put this event. Twice is harmless: a machine has one place, and a place is given once.
 */
export const registerWorker = react(rule, async (event, { workers, machines, slots }) => {
  const machine = event.detail.data;
  if ((await machines.isThere(machine.worker, machine.fleet)) === false) return refused('machine_is_not_of_the_fleet');
  const { answer } = await workers.register(machine);
  if (answer === 'refused') return refused('worker_is_out_of_its_fleet');
  await machines.proceed(machine, 'launch');
  return slots.check(fleetSlotKey(machine.fleet), causeOf(event));
});
