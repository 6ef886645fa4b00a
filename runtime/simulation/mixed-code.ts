import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { Random } from './random.ts';

/** What newer code writes beside what this code knows. */
export const NEWER_FIELD = 'fromNewerCode';

/** Fields of facts that came after their first version: older code publishes without them. They are hints; the record has them. */
const ADDED_LATER: Readonly<Record<string, readonly string[]>> = {
  RunLost: ['paused', 'savedWork'],
  RunProgressed: ['by'],
  TaskAdmitted: ['context'],
  TaskSubmitted: ['screening'],
};

/** Records as newer code writes them now and then: with fields that this code does not know, in every part. */
export function olderFields(key: string, value: unknown, random: Random): unknown {
  if (!/^(TASK|RUN|SLOT|TASKDEF)#/.test(key) || !random.chance(0.2)) return value;
  const record = value as { run?: object };
  const told = { since: key };
  return {
    ...record,
    [NEWER_FIELD]: told,
    ...(record.run ? { run: { ...record.run, [NEWER_FIELD]: told } } : {}),
  };
}

/** Did a write drop what newer code had written? */
export function droppedNewer(before: unknown, after: unknown): boolean {
  const [was, is] = [before, after] as Record<string, unknown>[];
  return was?.[NEWER_FIELD] !== undefined && is !== undefined && is[NEWER_FIELD] === undefined;
}

/** A delivery as code of another version publishes it: with unknown fields, or without those that were added later. */
export function ofOtherCode(event: Envelope, random: Random): Envelope {
  if (event.source === 'baton.request' || event.source.startsWith('baton.request.') || !random.chance(0.3))
    return event;
  if (event.source.startsWith('aws.')) return { ...event, detail: { ...(event.detail as object), [NEWER_FIELD]: 1 } };
  const { metadata, data } = (event as BatonEvent).detail;
  const told: Record<string, unknown> = { ...(data as object) };
  if (random.chance(0.5)) told[NEWER_FIELD] = { any: ['thing'] };
  else for (const name of ADDED_LATER[event['detail-type']] ?? []) delete told[name];
  return { ...event, detail: { metadata: { ...metadata, [NEWER_FIELD]: 1 }, data: told } };
}
