/** Milliseconds for a connection: within one region a healthy service takes it in a few. */
const CONNECTION_MS = 1_000;
/** Milliseconds for an answer: the slowest healthy call, `RunTask`, takes one or two seconds. */
const ANSWER_MS = 5_000;
/** Tries of one call; three times the wait for an answer, with the pauses between, ends within the function's 30 seconds. */
const TRIES = 3;

const silent = (): void => undefined;
/**
 * For its logger the SDK copies what it sends and gets, without what is sensitive, at every call, and so it does for its own, which says nothing.
 * Only where a logger has neither `info` nor `error` it does not (loggerMiddleware of @aws-sdk/core). The other words it calls without a look.
 */
export const QUIET_LOGGER = {
  warn: (...words: unknown[]) => console.warn(...words),
  debug: silent,
  trace: silent,
} as Console;

/**
 * How every client in a function is made. Calls are bounded: the SDK itself would wait for an answer for ever. What the SDK reads from
 * the environment, or else looks for in files that a function does not have, is given from the environment; credentials and endpoints
 * it finds itself.
 */
export const clientConfig = () => ({
  maxAttempts: TRIES,
  retryMode: 'standard',
  defaultsMode: 'standard' as const,
  logger: QUIET_LOGGER,
  requestHandler: { connectionTimeout: CONNECTION_MS, requestTimeout: ANSWER_MS, throwOnRequestTimeout: true },
  useFipsEndpoint: process.env['AWS_USE_FIPS_ENDPOINT'] === 'true',
  useDualstackEndpoint: process.env['AWS_USE_DUALSTACK_ENDPOINT'] === 'true',
  ...given('region', 'AWS_REGION'),
  ...given('userAgentAppId', 'AWS_SDK_UA_APP_ID'),
});

function given<Name extends string>(name: Name, variable: string): { [One in Name]?: string } {
  const value = process.env[variable];
  return value === undefined ? {} : ({ [name]: value } as { [One in Name]: string });
}
