import type { DeadLetterView } from '../../schemas/world-api.ts';
import { errorCodes, UNEXPECTED_REMEDY } from '../errors.ts';

/** Why a delivery was given up, with what to do: that of the registry, where the code is of it. */
export const shownCause = (code: string, message: string, remedy = UNEXPECTED_REMEDY): DeadLetterView['error'] => ({
  code,
  message,
  remedy: Object.hasOwn(errorCodes, code) ? errorCodes[code as keyof typeof errorCodes].remedy : remedy,
});

/** The task that an event speaks of, whatever else is wrong with the event. */
export function taskIn({ detail }: { readonly detail?: unknown }): { taskId?: string } {
  const { metadata, data, startedBy } = objectIn(detail);
  const named = [objectIn(metadata)['taskId'], objectIn(data)['taskId'], String(startedBy ?? '').split('/')[2]];
  const taskId = named.find((one): one is string => typeof one === 'string' && one !== '');
  return taskId === undefined ? {} : { taskId };
}

const objectIn = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {};
