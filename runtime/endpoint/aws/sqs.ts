import { createHash } from 'node:crypto';
import * as z from 'zod';
import { refused } from './aws-error.ts';
import { type AwsService, type Operation, parsedInput } from './aws-service.ts';
import { jsonProtocol } from './json-protocol.ts';

/** Longest delay of a message in seconds (SQS developer guide, delay queues). */
export const DELAY_MAX_S = 900;
/** Largest message in bytes: 1 MiB since August 2025 (SQS developer guide, message quotas). */
export const MESSAGE_MAX_BYTES = 1024 * 1024;

/** A message as a producer sends it. */
export interface SentMessage {
  readonly body: string;
  readonly delaySeconds: number;
  /** As they came, for a consumer that wants them. */
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** A queue that takes messages. */
export interface TakingQueue {
  readonly name: string;
  readonly arn: string;
  readonly url: string;
  /** Keeps the message; answers its id. */
  send(message: SentMessage): Promise<string>;
  /** Attributes by AWS's names; all values are texts. */
  attributes(): Readonly<Record<string, string>>;
  /** Where messages can be taken out by clients, too. */
  readonly reader?: QueueReader;
}

/** A message as its receiver sees it. */
export interface ReceivedMessage {
  readonly messageId: string;
  readonly receipt: string;
  readonly body: string;
  readonly sentAtMs: number;
  /** Deliveries so far, this one included. */
  readonly receives: number;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface QueueReader {
  /** Hides what it gives, for the time-out of the queue unless another is given. */
  receive(max: number, hiddenSeconds?: number): readonly ReceivedMessage[];
  delete(receipt: string): void;
  /** Shows a message again after this time. */
  release(receipt: string, afterSeconds: number): void;
}

export interface SqsParts {
  readonly queues: readonly TakingQueue[];
}

const sendMessage = z.looseObject({
  QueueUrl: z.string(),
  MessageBody: z.string().min(1),
  DelaySeconds: z.int().optional(),
  MessageAttributes: z.record(z.string(), z.unknown()).optional(),
});
const receiveMessage = z.looseObject({
  QueueUrl: z.string(),
  MaxNumberOfMessages: z.int().min(1).max(10).default(1),
  VisibilityTimeout: z.int().min(0).max(43_200).optional(),
});
const deleteMessage = z.looseObject({ QueueUrl: z.string(), ReceiptHandle: z.string() });
const changeVisibility = z.looseObject({
  QueueUrl: z.string(),
  Entries: z
    .array(z.looseObject({ Id: z.string(), ReceiptHandle: z.string(), VisibilityTimeout: z.int().min(0) }))
    .min(1)
    .max(10),
});
const getAttributes = z.looseObject({ QueueUrl: z.string(), AttributeNames: z.array(z.string()).optional() });

/** SQS as far as producers need it, and whoever looks after dead letters; any other reader of a queue is inside the world. */
export function sqsService({ queues }: SqsParts): AwsService {
  const reading: Readonly<Record<string, Operation>> = {
    /** Answers at once, whatever it is told to wait. */
    async ReceiveMessage(input) {
      const { QueueUrl, MaxNumberOfMessages, VisibilityTimeout } = parsedInput(receiveMessage, input);
      const messages = readerAt(QueueUrl).receive(MaxNumberOfMessages, VisibilityTimeout);
      return messages.length === 0 ? {} : { Messages: messages.map(wireMessage) };
    },
    async DeleteMessage(input) {
      const { QueueUrl, ReceiptHandle } = parsedInput(deleteMessage, input);
      readerAt(QueueUrl).delete(ReceiptHandle);
      return {};
    },
    async ChangeMessageVisibilityBatch(input) {
      const { QueueUrl, Entries } = parsedInput(changeVisibility, input);
      const reader = readerAt(QueueUrl);
      for (const { ReceiptHandle, VisibilityTimeout } of Entries) reader.release(ReceiptHandle, VisibilityTimeout);
      return { Successful: Entries.map(({ Id }) => ({ Id })), Failed: [] };
    },
  };
  return {
    signingName: 'sqs',
    targetPrefix: 'AmazonSQS',
    protocol: jsonProtocol('1.0'),
    operations: {
      async SendMessage(input) {
        const { QueueUrl, MessageBody, DelaySeconds = 0, MessageAttributes } = parsedInput(sendMessage, input);
        const queue = queueAt(QueueUrl);
        if (DelaySeconds < 0 || DelaySeconds > DELAY_MAX_S) {
          throw invalid(
            `Value ${DelaySeconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= ${DELAY_MAX_S}.`,
          );
        }
        if (Buffer.byteLength(MessageBody) > MESSAGE_MAX_BYTES) {
          throw invalid(
            `One or more parameters are invalid. Reason: Message must be shorter than ${MESSAGE_MAX_BYTES} bytes.`,
          );
        }
        const attributes = MessageAttributes ? { attributes: MessageAttributes } : {};
        const MessageId = await queue.send({ body: MessageBody, delaySeconds: DelaySeconds, ...attributes });
        // Clients compare it with what they sent.
        return { MessageId, MD5OfMessageBody: createHash('md5').update(MessageBody).digest('hex') };
      },
      async GetQueueUrl(input) {
        const { QueueName } = parsedInput(z.looseObject({ QueueName: z.string() }), input);
        const found = queues.find(({ name }) => name === QueueName);
        if (!found) throw noSuchQueue();
        return { QueueUrl: found.url };
      },
      async GetQueueAttributes(input) {
        const { QueueUrl, AttributeNames: wanted = [] } = parsedInput(getAttributes, input);
        const queue = queueAt(QueueUrl);
        const all = Object.entries({ QueueArn: queue.arn, ...queue.attributes() });
        return {
          Attributes: Object.fromEntries(all.filter(([name]) => wanted.includes('All') || wanted.includes(name))),
        };
      },
      ...(queues.some(({ reader }) => reader) ? reading : {}),
    },
  };

  function readerAt(url: string): QueueReader {
    const { reader, name } = queueAt(url);
    if (reader) return reader;
    throw refused('UnsupportedOperation', `The messages of ${name} are taken by this world itself.`);
  }

  /** By the path alone: clients come by different names of this machine. */
  function queueAt(url: string): TakingQueue {
    const path = pathOf(url);
    const found = queues.find((queue) => pathOf(queue.url) === path);
    if (!found) throw noSuchQueue();
    return found;
  }
}

const wireMessage = ({ messageId, receipt, body, sentAtMs, receives, attributes }: ReceivedMessage) => ({
  MessageId: messageId,
  ReceiptHandle: receipt,
  Body: body,
  MD5OfBody: createHash('md5').update(body).digest('hex'),
  Attributes: { SentTimestamp: String(sentAtMs), ApproximateReceiveCount: String(receives) },
  MessageAttributes: Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
  ),
});

const invalid = (message: string) => refused('InvalidParameterValue', message);
const noSuchQueue = () => refused('QueueDoesNotExist', 'The specified queue does not exist.');
const pathOf = (url: string): string => (URL.canParse(url) ? new URL(url).pathname : url);
