import { type AnyEventDefinition, declaredSource } from '../events/define.ts';
import type { Envelope } from '../schemas/envelope.ts';
import { BatonError } from './errors.ts';

/** Our own handlers' facts are trusted; everything that came from outside is checked against its event's schema. Throws `malformed_event`. */
export function parsedEvent(event: Envelope, on: readonly AnyEventDefinition[]): Envelope {
  if (event.source === 'baton') return event;
  const definition = on.find((one) => one.type === event['detail-type'] && one.source === declaredSource(event.source));
  if (!definition || 'lenient' in definition) return event;
  const detail = event.detail as { data?: unknown } | undefined;
  const result =
    'native' in definition ? definition.schema.safeParse(detail) : definition.schema.safeParse(detail?.data);
  if (!result.success) {
    const said = result.error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; ');
    throw new BatonError('malformed_event', `${event['detail-type']} ${event.id} from ${event.source}: ${said}`);
  }
  return 'native' in definition
    ? { ...event, detail: result.data }
    : { ...event, detail: { ...detail, data: result.data } };
}
