import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import { logMetrics } from '@aws-lambda-powertools/metrics/middleware';
import { parse } from '@aws-lambda-powertools/parser';
import { parser } from '@aws-lambda-powertools/parser/middleware';
import middy from '@middy/core';
import type { Context, SQSBatchResponse } from 'aws-lambda';
import type * as z from 'zod';
import { alarmRang } from '../../events/alarm-rang.ts';
import type { Timings } from '../../lifecycle/timings.ts';
import type { Rule } from '../../rules/rule.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import { BatonError, type ErrorCode, retryOf } from '../errors.ts';
import { onceOnly } from '../once.ts';
import type { Clock } from '../ports.ts';
import type { Reaction } from '../react.ts';
import type { DeadLetterSender } from './dead-letter-sender.ts';
import type { DeliveryLog } from './delivery-log.ts';
import { batchSchema, eventSchema, messageSchema } from './event-schema.ts';
import { logJournal } from './log-journal.ts';
import type { InvocationLedgers } from './powertools-effects.ts';

export interface FunctionParts {
  /** The ports that the rule `uses`. */
  readonly ports: Readonly<Record<string, unknown>>;
  readonly bus: { publish(events: readonly Envelope[]): Promise<void> };
  readonly clock: Clock;
  readonly timings: Timings;
  readonly log: DeliveryLog;
  /** Present exactly where the rule has `once`. */
  readonly effects?: InvocationLedgers;
  /** Present exactly where the rule reads a queue. */
  readonly letters?: DeadLetterSender;
}

/** A Lambda function: what it resolves with is the answer, what it rejects with is delivered again or dead-lettered. */
export type LambdaFunction = (event: unknown, context: Context) => Promise<unknown>;

/**
 * No early time-out of middy's own: it would answer while the reaction goes on, and what Lambda then freezes would wake up in a later
 * invocation, when its commit is no longer young. Lambda's own time-out ends the process, so nothing runs on after it. That
 * is why the figures stand as they do: time-out of a function 30 s < REPUBLISH_AGE_S 55 s < Lambda's first retry 60 s. A copy
 * that finds a younger commit may meet its maker still publishing; one that finds an older commit never does.
 */
const NO_EARLY_TIMEOUT = { timeoutEarlyInMillis: 0 } as const;

/**
 * A reaction as a Lambda function: parses what is delivered, lets the reaction run, and publishes what it returns before the
 * delivery counts as handled. A direct rule gets one EventBridge envelope; a queue rule an SQS batch, and names the messages that failed
 * and are to come again.
 */
export function lambdaHandler(reaction: Reaction, parts: FunctionParts): LambdaFunction {
  const { log } = parts;
  const { rule } = reaction;
  const wrapped = middy(NO_EARLY_TIMEOUT)
    .use(injectLambdaContext(log.logger, { resetKeys: true }))
    .use(logMetrics(log.metrics))
    .onError((request) => {
      request.error = namedByCode(log.failed(request.error, request.event));
    });
  return rule.delivery === 'queue'
    ? wrapped.use(parser({ schema: batchSchema })).handler(takeBatch)
    : wrapped.use(parser({ schema: eventSchema(rule.on) })).handler((event, context) => deliver(event, 1, context));

  /** One after the other: a batch is one message unless infrastructure says otherwise. */
  async function takeBatch(
    { Records: messages }: z.infer<typeof batchSchema>,
    context: Context,
  ): Promise<SQSBatchResponse> {
    const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
    const schema = messageSchema(rule.on);
    for (const { messageId, body, attributes } of messages) {
      const { ApproximateReceiveCount: tries } = attributes;
      try {
        await deliver(parse(body, undefined, schema), tries, context);
      } catch (error) {
        const told = log.failed(error, jsonIn(body));
        const isGivenUp = isInVain(told, rule, tries) && (await gaveUp(body, told, tries));
        if (!isGivenUp) batchItemFailures.push({ itemIdentifier: messageId });
      }
      log.logger.resetKeys();
    }
    return { batchItemFailures };
  }

  /** The message is a dead letter before it counts as taken; where that fails too, it comes again. */
  async function gaveUp(body: string, error: Error, tries: number): Promise<boolean> {
    try {
      await parts.letters?.give(body, error, tries);
      return parts.letters !== undefined;
    } catch (also) {
      log.failed(also, jsonIn(body));
      return false;
    }
  }

  async function deliver(event: Envelope, tries: number, context: Context): Promise<void> {
    log.about(event, tries);
    const journal = logJournal();
    const world = { now: parts.clock.now, republishAgeSeconds: () => parts.timings.REPUBLISH_AGE_S, journal };
    const one = parts.effects ? onceOnly(reaction, parts.effects(context)) : reaction;
    const facts: readonly BatonEvent[] = await one.run(event, parts.ports, world, { tries });
    if (facts.length > 0) await parts.bus.publish(facts);
    log.handled(journal, facts);
  }
}

/** Lambda keeps name and message of an error in the dead letter, and no other property. */
function namedByCode(error: Error): Error {
  if (error instanceof BatonError) error.name = error.code;
  return error;
}

/** Errors that lie in the event itself: no grant, no deployment and no time mends them. */
const IN_THE_EVENT: ReadonlySet<string> = new Set<ErrorCode>(['malformed_event', 'bad_input']);

/**
 * Whether a queue is not to bring a message again, though it would for a day. What is wrong with the event itself is a dead letter at once;
 * what only a person can mend (a grant, a name) after as many tries as any other rule makes, in case it passes. A wake-up is tried on: no
 * other event brings its task forward, and tried for a day it goes on by itself as soon as the deployment is mended.
 */
function isInVain(error: Error, { on, attempts }: Rule, tries: number): boolean {
  if (retryOf(error) !== 'never') return false;
  if (error instanceof BatonError && IN_THE_EVENT.has(error.code)) return true;
  return tries >= attempts && !on.some(({ source }) => source === alarmRang.source);
}

/** What a message holds; undefined when it is no JSON, which the failure then says. */
function jsonIn(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
