import type { DeadLetter } from '../../runtime/engine/event-bus.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { Deployment } from './deployment.ts';
import type { FunctionHost, GivenUp } from './function-host.ts';
import type { FunctionLog } from './function-log.ts';
import type { Queue, Queues } from './queues.ts';

/** What was given up, as an operator finds it. */
export interface GivenUpDeliveries {
  /** Takes what Lambda gave up to its destination. */
  take(destination: string | undefined, record: GivenUp): void;
  /** Every delivery that Lambda ever gave up, with what the function said about it. */
  letters(): DeadLetter[];
  /** The events that lie in dead-letter queues now. */
  kept(): Envelope[];
  /** Delivers again what lies there; answers how much it was. */
  redrive(functions: Pick<FunctionHost, 'invokeLater'>): number;
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
    letters: () => records.map((record) => letterOf(record, log)),
    kept: () => unread.flatMap((queue) => queue.peek().map((body) => eventIn(JSON.parse(body)))),
    redrive: (functions) =>
      unread.reduce((count, deadLetters) => {
        const source = queues.all.find((queue) => queue.redrive?.arn === deadLetters.arn);
        const bodies = deadLetters.drain();
        for (const body of bodies) redriven(body, source, functions);
        return count + bodies.length;
      }, 0),
  };
}

/** A record of Lambda goes back to its function, a message to the queue that it came from. */
function redriven(body: string, source: Queue | undefined, functions: Pick<FunctionHost, 'invokeLater'>): void {
  const letter = JSON.parse(body) as Envelope | GivenUp;
  if ('requestPayload' in letter) functions.invokeLater(letter.requestContext.functionArn, letter.requestPayload);
  else source?.send(body);
}

/** Lambda wraps the event into a record of its own; EventBridge and SQS do not. */
const eventIn = (letter: Envelope | GivenUp): Envelope =>
  'requestPayload' in letter ? (letter.requestPayload as Envelope) : letter;

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
