import { fleetOfSlotKey } from '../schemas/worker.ts';
import { shown } from './paint.ts';

/** One place of a slot key, as a person says it: on a fleet it is a worker. */
export function placeText(slot: string): string {
  const fleet = fleetOfSlotKey(slot);
  return fleet === undefined ? `a place of ${shown(slot)}` : `a worker of the fleet ${shown(fleet)}`;
}

/** How many places there are. A fleet that has no worker at all keeps everybody waiting. */
export function placesText(slot: string, limit: number): string {
  if (fleetOfSlotKey(slot) === undefined) return `${limit} at once`;
  return limit === 0 ? 'it has none: see `baton workers`' : `it has ${limit}`;
}

/** The native identity of a run without what is known anyhow: on a worker it names task and attempt, too. */
export function runNameText(nativeId: string): string {
  const [, worker] = /^(m?i-[0-9a-f]+)\/t\w+\/\d+$/.exec(nativeId) ?? [];
  return worker === undefined ? nativeId : `worker ${worker}`;
}
