/** Milliseconds for a connection: within one region a healthy service takes it in a few. */
const CONNECTION_MS = 1_000;
/** Milliseconds for an answer: the slowest healthy call, `RunTask`, takes one or two seconds. */
const ANSWER_MS = 5_000;
/** Tries of one call; three times the wait for an answer, with the pauses between, ends within the function's 30 seconds. */
const TRIES = 3;

/** Bounds of every call to AWS. The SDK itself would wait for an answer for ever. */
export const callBounds = {
  maxAttempts: TRIES,
  requestHandler: { connectionTimeout: CONNECTION_MS, requestTimeout: ANSWER_MS, throwOnRequestTimeout: true },
} as const;
