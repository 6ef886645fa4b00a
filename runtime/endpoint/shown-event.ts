import type { Envelope } from '../../schemas/envelope.ts';

/** What stands where something was left out. */
export const LEFT_OUT = '(left out)';
/** A payload reference is, or ends with, SHA-256 as base64url. No id or hash that an event may show looks like that. */
const REFERENCE = /^(?:\S*[^\sA-Za-z0-9_-])?[A-Za-z0-9_-]{43}$/;
/** The variable that brings a run its reference; native events echo it. */
const REFERENCE_NAME = 'BATON_PAYLOAD';

/**
 * An event as it may leave the world: without prompts, which are for runs alone, without the references that lead to them, and without
 * the addresses of subscribers, which may hold a secret.
 */
export function shownEvent(event: Envelope): Envelope {
  return { ...event, detail: shownDetail(event.detail) };
}

function shownDetail(detail: unknown): unknown {
  const shown = withoutReferences(detail);
  if (!isObject(shown) || !isObject(shown['data']) || !('prompt' in shown['data'])) return shown;
  const { prompt: _prompt, ...data } = shown['data'];
  return { ...shown, data };
}

function withoutReferences(value: unknown): unknown {
  if (typeof value === 'string') return REFERENCE.test(value) ? LEFT_OUT : value;
  if (Array.isArray(value)) return value.map(withoutReferences);
  if (!isObject(value)) return value;
  const shown = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutReferences(one)]));
  if (value['name'] === REFERENCE_NAME && 'value' in value) return { ...shown, value: LEFT_OUT };
  return 'channel' in value && 'target' in value ? { ...shown, target: LEFT_OUT } : shown;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
