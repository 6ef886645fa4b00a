import * as z from 'zod';
import { type AnyEventDefinition, declaredSource } from '../../events/define.ts';
import { type Envelope, envelope } from '../../schemas/envelope.ts';
import { BatonError } from '../errors.ts';
import { parsedEvent } from '../parsed-event.ts';

/** What a function takes: an EventBridge envelope of one of these events, its detail checked as the in-process bus checks it. */
export const eventSchema = (on: readonly AnyEventDefinition[]) =>
  envelope.transform((given, context) => {
    const event = given as Envelope;
    if (!on.some(({ type, source }) => type === event['detail-type'] && source === declaredSource(event.source))) {
      context.addIssue(`no rule brings ${event['detail-type']} from ${event.source} here`);
      return z.NEVER;
    }
    try {
      return parsedEvent(event, on);
    } catch (error) {
      if (!(error instanceof BatonError)) throw error;
      context.addIssue(error.message);
      return z.NEVER;
    }
  });

/** The same as JSON text, the body of a queue's message. */
export const messageSchema = (on: readonly AnyEventDefinition[]) =>
  z
    .string()
    .transform((body, context): unknown => {
      try {
        return JSON.parse(body);
      } catch {
        // The parser's own message quotes the text, which may hold a prompt.
        context.addIssue('is not JSON');
        return z.NEVER;
      }
    })
    .pipe(eventSchema(on));

/** What Lambda gives of an SQS batch, as far as it is used here. */
export const batchSchema = z.object({
  Records: z.array(
    z.looseObject({
      messageId: z.string(),
      body: z.string(),
      attributes: z.looseObject({ ApproximateReceiveCount: z.coerce.number().int().min(1) }),
    }),
  ),
});
