import { Refused } from './control-plane.ts';
import type { Tried } from './until-answered.ts';

/**
 * Refusals (HTTP status 4xx) that pass by themselves: asked too fast, answered too slowly, or asked with credentials that the SDK
 * renews before the next try (API references of DynamoDB, S3 and EventBridge, common errors).
 */
const PASSING: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'ProvisionedThroughputExceededException',
  'ReplicatedWriteConflictException',
  'RequestLimitExceeded',
  'RequestTimeout',
  'RequestTimeoutException',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TransactionConflictException',
]);

/** The lowest and the highest status of a refusal. */
const REFUSALS = [400, 499] as const;
const TOO_MANY_REQUESTS = 429;

/**
 * A failed call of an AWS SDK client that may be tried again: throttled, a fault of the service, or no answer at all, which is
 * also what missing credentials look like while the container's credential endpoint does not answer. Throws `Refused` for the rest.
 */
export function tryAgainAfter(call: string, error: unknown): Tried<never> {
  const { name, message, status } = sdkError(error);
  const sentence = `${call}: ${name}: ${message}`;
  const refused = status !== undefined && status >= REFUSALS[0] && status <= REFUSALS[1];
  if (refused && status !== TOO_MANY_REQUESTS && !PASSING.has(name)) throw new Refused(sentence);
  return { tryAgain: sentence };
}

/** How often the SDK itself had sent a request when it gave up. */
export const sendsOf = (error: unknown): number => sdkError(error).sends;

/** Name, message and metadata that every error of an SDK client carries; no status when nothing answered. */
function sdkError(error: unknown): { name: string; message: string; status: number | undefined; sends: number } {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), status: undefined, sends: 1 };
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number; attempts?: number } };
  return {
    name: error.name,
    message: error.message,
    status: $metadata?.httpStatusCode,
    sends: $metadata?.attempts ?? 1,
  };
}
