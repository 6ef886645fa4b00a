import { BatonError, ComputeError, type ErrorCode } from '../errors.ts';

/** What an error of an SDK call means, whatever the service. */
export type Fault = 'throttled' | 'unavailable' | 'denied' | 'refused';

/**
 * Error names that say "too fast". The SDK's own list of throttling errors, and those of the services used here
 * (API references of DynamoDB, EventBridge, ECS, SQS, Scheduler, S3).
 */
const THROTTLING: ReadonlySet<string> = new Set([
  'BandwidthLimitExceeded',
  'EC2ThrottledException',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'ServiceQuotaExceededException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'TransactionInProgressException',
]);

const DENIED: ReadonlySet<string> = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'NotAuthorized',
  'SignatureDoesNotMatch',
  'UnauthorizedOperation',
  'UnrecognizedClientException',
]);

/** Names of errors that are a 4xx and pass all the same. */
const PASSING: ReadonlySet<string> = new Set([
  'RequestTimeout',
  'RequestTimeoutException',
  'TransactionConflictException',
  'ReplicatedWriteConflictException',
  'ResourceContention',
  'ResourceContentionFault',
  'ScalingActivityInProgress',
  'ScalingActivityInProgressFault',
]);

/** Sorts an error that an AWS SDK client threw. No answer at all counts as unavailable: nobody knows whether the call took effect. */
export function faultOf(error: unknown): Fault {
  const { name, status } = sdkError(error);
  if (THROTTLING.has(name) || status === 429) return 'throttled';
  if (DENIED.has(name) || status === 401 || status === 403) return 'denied';
  if (status === undefined || status >= 500 || PASSING.has(name)) return 'unavailable';
  return 'refused';
}

/** The error to throw for a failed call. `call` names service and operation, as in "DynamoDB PutItem". */
export const serviceError = (call: string, error: unknown): BatonError =>
  new BatonError(`service_${faultOf(error)}` satisfies ErrorCode, sentenceOf(call, error), {
    cause: error,
    ...remedyOf(error),
  });

/** What to do about errors that speak of the caller's own set-up. */
function remedyOf(error: unknown): { remedy?: string } {
  const { name, message } = sdkError(error);
  if (/^Region is missing/.test(message)) return { remedy: 'Say which region: set AWS_REGION.' };
  if (name === 'CredentialsProviderError')
    return { remedy: 'Give credentials: AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret.' };
  if (name === 'ResourceNotFoundException')
    return { remedy: 'Look whether the deployment has that name, in this region and stage.' };
  return {};
}

const COMPUTE_CODES = {
  throttled: 'compute_throttled',
  unavailable: 'compute_unavailable',
  denied: 'compute_denied',
  refused: 'compute_invalid',
} as const satisfies Record<Fault, ErrorCode>;

/** The same for a compute back end. */
export const computeError = (call: string, error: unknown, fault: Fault = faultOf(error)): ComputeError =>
  new ComputeError(COMPUTE_CODES[fault], sentenceOf(call, error), { cause: error });

/** Name and HTTP status of an error; no status when nothing answered. */
export function sdkError(error: unknown): { name: string; message: string; status: number | undefined } {
  if (!(error instanceof Error)) return { name: '', message: String(error), status: undefined };
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
  return { name: error.name, message: error.message, status: $metadata?.httpStatusCode };
}

function sentenceOf(call: string, error: unknown): string {
  const { name, message } = sdkError(error);
  return `${call}: ${[name, message].filter((part) => part !== '').join(': ')}`;
}
