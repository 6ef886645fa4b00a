import * as z from 'zod';
import { type AnyEventDefinition, declaredSource, requesterOf } from '../events/define.ts';
import type { BatonEvent, Envelope } from '../schemas/envelope.ts';
import { BatonError } from './errors.ts';

/** Longest text in the metadata of an event from outside, in characters: each rides on every fact of its task. */
const METADATA_MAX_CHARS = 256;
/** Longest correlation id: a thousand waiters keep theirs in one item of at most 400 KB. */
const CORRELATION_ID_MAX_CHARS = 128;
const text = z.string().min(1).max(METADATA_MAX_CHARS).optional().catch(undefined);

/** What an event from outside may say about itself. What does not fit counts as not said; the bus and the reaction fill it in. */
const outsideMetadata = z
  .object({
    id: text,
    taskId: text,
    attempt: z.int().min(0).optional().catch(undefined),
    correlationId: z.string().min(1).max(CORRELATION_ID_MAX_CHARS).optional().catch(undefined),
    causationId: text,
    occurredAt: text,
    schemaVersion: z.int().min(1).optional().catch(undefined),
    traceparent: z
      .string()
      .regex(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
      .optional()
      .catch(undefined),
    replayOf: text,
  })
  .catch({});

/** Who asks in one name only may not choose the id of its wish either: by that, what others caused would be known. */
function boundedMetadata(event: Envelope): Envelope {
  const { metadata, ...detail } = event.detail as { metadata?: unknown };
  if (metadata === undefined) return event;
  const { id, ...rest } = outsideMetadata.parse(metadata);
  const own = requesterOf(event.source) === undefined && id !== undefined ? { id } : {};
  return { ...event, detail: { ...detail, metadata: JSON.parse(JSON.stringify({ ...own, ...rest })) as object } };
}

/** Our own handlers' facts are trusted; everything that came from outside is checked against its event's schema. Throws `malformed_event`. */
export function parsedEvent(told: Envelope, on: readonly AnyEventDefinition[]): Envelope {
  if (told.source === 'baton') return told;
  const definition = on.find((one) => one.type === told['detail-type'] && one.source === declaredSource(told.source));
  const event = definition && 'native' in definition ? told : boundedMetadata(told);
  if (!definition || 'lenient' in definition) return event;
  const detail = event.detail as { data?: unknown } | undefined;
  const result =
    'native' in definition ? definition.schema.safeParse(detail) : definition.schema.safeParse(detail?.data);
  if (!result.success) {
    const said = result.error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; ');
    throw new BatonError('malformed_event', `${event['detail-type']} ${event.id} from ${event.source}: ${said}`);
  }
  if ('native' in definition) return { ...event, detail: result.data };
  return named({ ...event, detail: { ...detail, data: result.data } });
}

/**
 * A runner's word is called by who speaks and its number, a machine's by the machine, which boots once; whatever they call themselves: it must
 * not pass for a fact, or for an alarm.
 */
function named(event: Envelope): Envelope {
  if (event.source !== 'baton.agent') return event;
  const { metadata, data } = event.detail as BatonEvent<string, Speaker>['detail'];
  const id =
    'worker' in data ? `${data.worker}#${event['detail-type']}` : `${data.nativeId}#${data.attempt}#${data.seq}`;
  return { ...event, detail: { metadata: { ...metadata, id }, data } };
}

type Speaker =
  | { readonly worker: string }
  | { readonly nativeId: string; readonly attempt: number; readonly seq: number };
