import type { DeadLetter } from '../../runtime/engine/event-bus.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { Deployment } from './deployment.ts';
import type { GivenUp } from './function-host.ts';
import type { FunctionLog } from './function-log.ts';
import type { Queue, Queues } from './queues.ts';

/** What was given up, as an operator finds it. */
export interface GivenUpDeliveries {
  /** Takes what Lambda gave up to its destination. */
  take(destination: string | undefined, record: GivenUp): void;
  /** Every delivery that Lambda ever gave up, with what the function said about it; and those that a function itself gave up and are there now. */
  letters(): DeadLetter[];
  /** The events that lie in dead-letter queues now. */
  kept(): Envelope[];
}

export function givenUpDeliveries(
  { mappings }: Pick<Deployment, 'mappings'>,
  queues: Queues,
  log: Pick<FunctionLog, 'failure'>,
): GivenUpDeliveries {
  const records: GivenUp[] = [];
  // What lies in a queue that no function reads waits for an operator.
  const unread = queues.all.filter(({ arn }) => !mappings.some(({ queueArn }) => queueArn === arn));
  return {
    take(destination, record) {
      records.push(record);
      if (destination !== undefined) queues.byArn(destination)?.send(JSON.stringify(record));
    },
    letters: () => [
      ...records.map((record) => letterOf(record, log)),
      ...unread.flatMap((queue) => queue.messages().flatMap((message) => ownLetter(queue.name, message))),
    ],
    kept: () => unread.flatMap((queue) => queue.peek().map((body) => eventIn(JSON.parse(body)))),
  };
}

/** Lambda wraps the event into a record of its own; EventBridge and SQS do not. */
const eventIn = (letter: Envelope | GivenUp): Envelope =>
  'requestPayload' in letter ? (letter.requestPayload as Envelope) : letter;

/** One that a function of a queue put there itself (`runtime/aws/dead-letter-sender.ts`); whoever else does names its rule. */
function ownLetter(
  queueName: string,
  { body, sentAtMs, attributes }: ReturnType<Queue['messages']>[number],
): DeadLetter[] {
  const { ERROR_CODE: code, ERROR_MESSAGE: message = '', RETRY_ATTEMPTS: retries, RULE_ARN: ruleArn } = attributes;
  if (code === undefined || ruleArn !== undefined) return [];
  return [
    {
      event: JSON.parse(body) as Envelope,
      rule: queueName,
      tries: Number(retries) + 1,
      at: new Date(sentAtMs).toISOString(),
      error: { code, message },
    },
  ];
}

function letterOf(record: GivenUp, log: Pick<FunctionLog, 'failure'>): DeadLetter {
  const { requestContext, responsePayload, timestamp } = record;
  const said = log.failure(requestContext.requestId);
  const { errorType, errorMessage } = responsePayload as { errorType: string; errorMessage: string };
  return {
    event: eventIn(record),
    rule: said?.rule ?? requestContext.functionArn,
    tries: requestContext.approximateInvokeCount,
    at: timestamp,
    error: { code: said?.code ?? errorType, message: errorMessage },
  };
}
