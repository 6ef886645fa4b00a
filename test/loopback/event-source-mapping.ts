import { createHash } from 'node:crypto';
import type { DeployedMapping } from './deployment.ts';
import type { FunctionHost } from './function-host.ts';
import type { InvocationEnd } from './function-process.ts';
import type { Message, Queue } from './queues.ts';
import { REGION } from './template.ts';

export interface MappingOptions {
  readonly mapping: DeployedMapping;
  readonly queue: Queue;
  readonly functions: Pick<FunctionHost, 'invoke'>;
  /** A message that was not handled comes again after the queue's visibility time-out times this: 1 as on AWS. */
  readonly waitScale: number;
  readonly copies?: () => number;
}

/**
 * Lambda's poller of one queue: takes batches while the mapping's concurrency allows, deletes what was handled, and leaves the rest to
 * come again (Lambda guide, "Using Lambda with Amazon SQS"). Answers how to stop it.
 */
export function eventSourceMapping(options: MappingOptions): () => void {
  const { mapping, queue, functions, waitScale } = options;
  let atWork = 0;
  let stopped = false;
  queue.onVisible(poll);
  return () => {
    stopped = true;
  };

  function poll(): void {
    while (!stopped && atWork < mapping.concurrency) {
      const batch = queue.receive(mapping.batchSize);
      if (batch.length === 0) return;
      atWork += 1;
      void handle(batch).finally(() => {
        atWork -= 1;
        poll();
      });
    }
  }

  async function handle(batch: readonly Message[]): Promise<void> {
    const event = { Records: batch.map((message) => recordOf(queue, message)) };
    const copies = Array.from({ length: options.copies?.() ?? 1 }, () => functions.invoke(mapping.function, event));
    const [first] = await Promise.all(copies);
    const failed = first ? failedIn(first, batch, mapping.reportsItemFailures) : new Set<string>();
    for (const { messageId, receipt } of batch) {
      if (failed.has(messageId)) queue.release(receipt, queue.visibilitySeconds * waitScale);
      else queue.delete(receipt);
    }
  }
}

/** Ids of the messages that come again. An answer that names a message nobody sent fails the whole batch, as Lambda has it. */
function failedIn(end: InvocationEnd, batch: readonly Message[], reportsItemFailures: boolean): Set<string> {
  const all = new Set(batch.map(({ messageId }) => messageId));
  if (end.outcome === 'failed') return all;
  if (!reportsItemFailures) return new Set();
  const { batchItemFailures = [] } = (end.payload ?? {}) as { batchItemFailures?: { itemIdentifier: string }[] };
  const named = batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  return named.every((id) => all.has(id)) ? new Set(named) : all;
}

const recordOf = (queue: Queue, { messageId, receipt, body, receives, sentAtMs }: Message) => ({
  messageId,
  receiptHandle: receipt,
  body,
  attributes: {
    ApproximateReceiveCount: String(receives),
    SentTimestamp: String(sentAtMs),
    SenderId: 'loopback',
    ApproximateFirstReceiveTimestamp: String(sentAtMs),
  },
  messageAttributes: {},
  md5OfBody: createHash('md5').update(body).digest('hex'),
  eventSource: 'aws:sqs',
  eventSourceARN: queue.arn,
  awsRegion: REGION,
});
