import * as z from 'zod';
import type { Envelope } from '../../schemas/envelope.ts';
import { LETTER_ATTRIBUTES } from '../../schemas/queue-names.ts';
import type { DeadLetterView } from '../../schemas/world-api.ts';
import { shownEvent } from '../endpoint/shown-event.ts';
import { shownCause, taskIn } from '../endpoint/shown-letter.ts';

/** A message of a dead-letter queue. */
export interface DeadMessage {
  readonly messageId: string;
  readonly body: string;
  readonly sentAtMs: number;
  /** Message attributes whose value is a text. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A dead letter of a deployment, whoever gave it up. */
export interface FoundLetter {
  readonly view: DeadLetterView;
  /** What is delivered again, as JSON text: the event as it was. Undefined where the letter holds none. */
  readonly event: string | undefined;
}

/** What Lambda sends to an on-failure destination (Lambda guide, "Capturing records of Lambda asynchronous invocations"). */
const lambdaRecord = z.looseObject({
  timestamp: z.iso.datetime({ offset: true }).optional(),
  requestContext: z.looseObject({
    condition: z.string().optional(),
    approximateInvokeCount: z.number().int().min(0).optional(),
  }),
  requestPayload: z.unknown(),
  responsePayload: z
    .looseObject({ errorType: z.string().optional(), errorMessage: z.string().optional() })
    .nullish()
    .catch(null),
});

const envelope = z.looseObject({ id: z.string(), 'detail-type': z.string(), detail: z.unknown() });

const HAND_OVER = 'Mend what the message names (a permission, a target that is gone), then redrive.';
const GAVE_UP = 'The log of the function says why each try failed; mend that, then redrive.';
const NO_EVENT = 'It holds no event that could be delivered; read it with the AWS tools, and delete it.';

/**
 * Reads a dead letter. It came from Lambda, whose function failed at each try; from EventBridge or Scheduler, which could not hand it over; from
 * a queue, which brought it for a day; or from a function itself, which cannot handle it.
 */
export function foundLetter(message: DeadMessage, rule: string): FoundLetter {
  const { messageId, body, attributes } = message;
  const given = jsonIn(body);
  const record = lambdaRecord.safeParse(given).data;
  const held = record && 'requestPayload' in record ? record.requestPayload : messageOf(given);
  const event = envelope.safeParse(held).data;
  const retries = Number(attributes[LETTER_ATTRIBUTES.retries] ?? Number.NaN);
  const tries = record ? record.requestContext.approximateInvokeCount : retries + 1;
  return {
    event: event === undefined ? undefined : held === given ? body : JSON.stringify(held),
    view: {
      id: messageId,
      event: event ? shown(event) : { id: messageId, 'detail-type': '(no event)' },
      rule,
      ...(event ? taskIn(event) : {}),
      ...(tries !== undefined && tries >= 1 ? { tries } : {}),
      at: record?.timestamp === undefined ? new Date(message.sentAtMs).toISOString() : instantOf(record.timestamp),
      error: event ? causeOf(attributes, record) : shownCause('no_event', 'The message is not an event.', NO_EVENT),
    },
  };
}

function causeOf(
  attributes: DeadMessage['attributes'],
  record: z.infer<typeof lambdaRecord> | undefined,
): DeadLetterView['error'] {
  if (record) {
    const { errorType, errorMessage } = record.responsePayload ?? {};
    const { condition = 'given up' } = record.requestContext;
    return shownCause(errorType ?? condition, errorMessage ?? `Lambda gave it up: ${condition}`, GAVE_UP);
  }
  const code = attributes[LETTER_ATTRIBUTES.code];
  if (code !== undefined) return shownCause(code, attributes[LETTER_ATTRIBUTES.message] ?? code, HAND_OVER);
  return shownCause('tries_exhausted', 'Its queue brought it for a day, and no try handled it.', GAVE_UP);
}

/** Scheduler keeps the call that it could not make: for a queue, `{ QueueUrl, MessageBody }`. */
function messageOf(given: unknown): unknown {
  const call = z.looseObject({ MessageBody: z.string() }).safeParse(given).data;
  return call && !envelope.safeParse(given).success ? jsonIn(call.MessageBody) : given;
}

/** Without prompts and payload references, as everywhere. */
const shown = (event: z.infer<typeof envelope>): DeadLetterView['event'] => ({
  ...shownEvent({ ...EMPTY, ...event } as Envelope),
});

const EMPTY = { version: '0', source: '', account: '', time: '', region: '', resources: [] };

const instantOf = (time: string): string => new Date(time).toISOString();

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
