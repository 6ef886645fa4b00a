import { declaredSource, requesterOf } from '../../events/define.ts';
import { taskRequested } from '../../events/task-requested.ts';
import type { DeadLetterView } from '../../schemas/world-api.ts';
import { errorCodes, UNEXPECTED_REMEDY } from '../errors.ts';
import { taskIdFor, USER_DEFAULT } from '../task-id.ts';

/** Why a delivery was given up, with what to do: that of the registry, where the code is of it. */
export const shownCause = (code: string, message: string, remedy = UNEXPECTED_REMEDY): DeadLetterView['error'] => ({
  code,
  message,
  remedy: Object.hasOwn(errorCodes, code) ? errorCodes[code as keyof typeof errorCodes].remedy : remedy,
});

/** The task that an event speaks of, or asks for, whatever else is wrong with the event. */
export function taskIn(event: { readonly detail?: unknown }): { taskId?: string } {
  const { metadata, data, startedBy } = objectIn(event.detail);
  const asked = taskAskedBy({ ...event });
  if (asked !== undefined) return { taskId: asked };
  const named = [objectIn(metadata)['taskId'], objectIn(data)['taskId'], String(startedBy ?? '').split('/')[2]];
  const taskId = named.find((one): one is string => typeof one === 'string' && one !== '');
  return taskId === undefined ? {} : { taskId };
}

/** The id that a request gives its task, made as whoever accepts it makes it. */
function taskAskedBy(event: Readonly<Record<string, unknown>>): string | undefined {
  const { id, source } = event;
  if (event['detail-type'] !== taskRequested.type || typeof source !== 'string') return undefined;
  if (declaredSource(source) !== taskRequested.source) return undefined;
  const { metadata, data } = objectIn(event['detail']);
  const { userId, idempotencyKey } = objectIn(data);
  const user = requesterOf(source) ?? (typeof userId === 'string' && userId !== '' ? userId : USER_DEFAULT);
  const eventId = String(objectIn(metadata)['id'] ?? id);
  return taskIdFor(user, typeof idempotencyKey === 'string' ? { key: idempotencyKey } : { eventId });
}

const objectIn = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {};
