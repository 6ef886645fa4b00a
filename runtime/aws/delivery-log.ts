import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics } from '@aws-lambda-powertools/metrics';
import { screeningBlocked } from '../../events/screening-blocked.ts';
import type { Rule } from '../../rules/rule.ts';
import type { BatonEvent, Envelope, Metadata } from '../../schemas/envelope.ts';
import { BatonError, retryOf } from '../errors.ts';
import { causeOf, subjectOf } from '../react.ts';
import type { DeliveryOutcome, LogJournal } from './log-journal.ts';

/** Namespace of the metrics, unless the deployment names another in `POWERTOOLS_METRICS_NAMESPACE`. */
const NAMESPACE = 'Baton';

/** The metric of each outcome, in deliveries. */
const METRICS = {
  moved: 'Moved',
  already: 'Already',
  refused: 'Refused',
  duplicate: 'Duplicate',
  ignored: 'Ignored',
} as const satisfies Record<DeliveryOutcome, string>;

/** Facts that somebody is to look at: each has a metric of its own name, on which an alarm can stand. */
const LOUD: ReadonlySet<string> = new Set([
  'RunOrphaned',
  'WorkerQuarantined',
  'IdempotencyKeyReused',
  'ScreeningBlocked',
]);

/** Counted besides where a text was blocked because nobody could look: then nothing runs any more, and nobody attacked. */
const SCREENING_FAILED = 'ScreeningFailed';

/** Counted where a start was put off: no event says so, and the task waits until its time is over. What such a reason begins with. */
const START_DELAYED = 'StartDelayed';
const IS_DELAYED = /^(definition_is_not_ready|start_is_put_off):/;

/** Counted where AWS said a status that this version does not know, which changes nothing. */
const UNKNOWN_STATUS = 'UnknownStatus';
const IS_UNKNOWN = /^unknown status /;

/** Errors below errors that are told. */
const CAUSES_MAX = 4;

export interface DeliveryLog {
  /** For the middleware that sets them up and flushes them. */
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** What the lines of this delivery say besides: ids only, never what an event carries. */
  about(event: Envelope, tries: number): void;
  /** The one line of a delivery that went well, and its metrics. */
  handled(journal: LogJournal, published: readonly BatonEvent[]): void;
  /** The line of one that failed; of an event that could not be parsed it says at least which. Gives back the error to throw. */
  failed(error: unknown, delivered?: unknown): Error;
}

/** What a function says about its deliveries: a line and metrics for each. `rule` is the only dimension of the metrics; ids are in the lines. */
export function deliveryLog(rule: Rule): DeliveryLog {
  const logger = new Logger({ serviceName: 'baton', persistentKeys: { rule: rule.name } });
  const metrics = new Metrics({ namespace: process.env['POWERTOOLS_METRICS_NAMESPACE'] ?? NAMESPACE, logger });
  // Powertools counts by service besides; that would be a second set of the same figures.
  metrics.clearDefaultDimensions();
  metrics.setDefaultDimensions({ rule: rule.name });
  return {
    logger,
    metrics,

    about(event, tries) {
      const { metadata } = event.detail as { metadata?: Partial<Metadata> };
      logger.appendKeys({
        taskId: subjectOf(event),
        attempt: metadata?.attempt,
        correlationId: metadata?.correlationId,
        traceparent: metadata?.traceparent,
        event: event['detail-type'],
        eventId: event.id,
        causeId: causeOf(event).id,
        tries,
      });
    },

    handled(journal, published) {
      const outcome = journal.outcome(published.length);
      const reasons = journal.reasons();
      // A request speaks of no task yet; what it became does.
      const taskId = published[0]?.detail.metadata.taskId;
      logger.info('handled', {
        outcome,
        ...(taskId === undefined ? {} : { taskId }),
        ...(reasons.length > 0 ? { reasons } : {}),
        ...(published.length > 0 ? { published: published.map(({ id }) => id) } : {}),
      });
      count(METRICS[outcome]);
      if (reasons.some((reason) => IS_DELAYED.test(reason))) count(START_DELAYED);
      if (reasons.some((reason) => IS_UNKNOWN.test(reason))) count(UNKNOWN_STATUS);
      if (published.length > 0) count('Published', published.length);
      for (const { 'detail-type': type, detail } of published) {
        if (LOUD.has(type)) count(type);
        if (type === screeningBlocked.type && screeningBlocked.schema.safeParse(detail.data).data?.outcome === 'failed')
          count(SCREENING_FAILED);
      }
    },

    failed(error, delivered) {
      const told = tellable(error);
      logger.error('failed', {
        outcome: 'failed',
        ...idsIn(delivered),
        error: { ...shapeOf(told), stack: told.stack, causes: causesOf(told) },
      });
      count('Errors');
      return told;
    },
  };

  function count(name: string, value = 1): void {
    metrics.addMetric(name, 'Count', value);
  }
}

/** What names an event, where it has the envelope of one. Nothing of its detail. */
function idsIn(delivered: unknown): { event?: string; eventId?: string } {
  const { id, 'detail-type': type } = (delivered ?? {}) as { id?: unknown; 'detail-type'?: unknown };
  return typeof id === 'string' && typeof type === 'string' ? { event: type, eventId: id } : {};
}

/**
 * An error that may be thrown out of the function: Lambda writes every property of what it is given into the log, and those of a
 * foreign error may hold a stored record.
 */
function tellable(error: unknown): Error {
  if (error instanceof BatonError) return error;
  if (isParseError(error)) return new BatonError('malformed_event', complaintsOf(error.cause));
  if (!(error instanceof Error)) return new Error(String(error));
  const told = new Error(error.message, { cause: error.cause });
  told.name = error.name;
  if (error.stack !== undefined) told.stack = error.stack;
  return told;
}

const shapeOf = (error: Error): object => ({
  name: error.name,
  message: error.message,
  retry: retryOf(error),
  ...(error instanceof BatonError ? { code: error.code, remedy: error.remedy } : { code: 'unexpected' }),
});

function causesOf(error: Error): { name: string; message: string }[] {
  const causes: { name: string; message: string }[] = [];
  for (let at = error.cause; at instanceof Error && causes.length < CAUSES_MAX; at = at.cause) {
    causes.push({ name: at.name, message: at.message });
  }
  return causes;
}

/** What the parser middleware throws: the issues of a schema are its cause. */
const isParseError = (error: unknown): error is Error & { cause: unknown } =>
  error instanceof Error && error.name === 'ParseError';

const complaintsOf = (issues: unknown): string =>
  Array.isArray(issues)
    ? issues
        .map(({ path = [], message }) => [path.map(String).join('.'), message].filter(Boolean).join(': '))
        .join('; ')
    : 'the event does not fit its schema';
