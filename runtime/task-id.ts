import { createHash } from 'node:crypto';
import { type TaskId, taskId as taskIdSchema } from '../schemas/task-id.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const LENGTH = 24;
/** Who asks when nobody says so: the person at this machine. */
export const USER_DEFAULT = 'local';

/** The id of a task: derived from its user and idempotency key (or the request's envelope id), so that a submit cannot race. */
export function taskIdFor(userId: string, by: { key: string } | { eventId: string }): TaskId {
  const origin = 'key' in by ? `key\0${by.key}` : `event\0${by.eventId}`;
  const digest = createHash('sha256').update(`${userId}\0${origin}`).digest();
  let id = 't';
  for (let at = 0; at < LENGTH; at++) id += ALPHABET[(digest[at] ?? 0) & 31];
  return taskIdSchema.parse(id);
}

/** Fingerprint of a request's content: tells a repetition from a reused key. */
export const requestHash = (content: object): string =>
  createHash('sha256')
    .update(JSON.stringify(sorted(content)))
    .digest('base64url');

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => [key, sorted(field)]),
  );
}
