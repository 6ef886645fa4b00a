import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageCommand,
  GetQueueUrlCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { alarmRang } from '../../events/alarm-rang.ts';
import { rules } from '../../rules/index.ts';
import type { Rule } from '../../rules/rule.ts';
import { queueNamesOf } from '../../schemas/queue-names.ts';
import { prefixOf } from '../../schemas/stage.ts';
import type { DeadLetterView, Redriven } from '../../schemas/world-api.ts';
import { BatonError } from '../errors.ts';
import { type DeadMessage, type FoundLetter, foundLetter } from './found-letter.ts';
import { sdkError, serviceError } from './sdk-errors.ts';

/** Seconds that a letter is hidden from others while it is looked at; it is shown again at once afterwards. */
const LOOK_S = 30;
/** Seconds that it is hidden while it is redriven: a thousand of them take about a minute. */
const REDRIVE_S = 120;
/** Letters of one queue that are read. */
const LETTERS_MAX = 1_000;
/** Messages of one call: the most that SQS allows. */
const BATCH = 10;
/** Seconds that a call waits for messages: with a wait, SQS asks all of its servers, and no answer means no message. */
const WAIT_S = 1;

/** The dead letters of a deployment, asked with the credentials of this shell. Throws BatonError `service_…`. */
export interface AwsDeadLetters {
  /** Of one rule where it is named; newest first. Nothing is taken away: what is looked at is hidden for a moment. */
  list(rule?: string): Promise<DeadLetterView[]>;
  /** Hands each to its rule's queue or function again, as it was, and only then deletes it. */
  redrive(letters: readonly Pick<DeadLetterView, 'id' | 'rule'>[]): Promise<Redriven[]>;
}

/** Where the letters of a rule lie, and how they come back to it. */
interface Place {
  readonly rule: string;
  readonly url: string;
  deliver(event: string): Promise<void>;
}

/** Clients other than those of the SDK's environment. */
interface Clients {
  readonly sqs?: SQSClient;
  readonly lambda?: LambdaClient;
}

export function awsDeadLetters(
  stage: string,
  { sqs = new SQSClient({ useQueueUrlAsEndpoint: false }), lambda = new LambdaClient({}) }: Clients = {},
): AwsDeadLetters {
  const prefix = prefixOf(stage);
  const names = queueNamesOf(prefix);
  const urls = new Map<string, string>();
  return {
    async list(only) {
      const places = await placesOf(rules.filter(({ name }) => only === undefined || name === only));
      const found = await Promise.all(places.map(peek));
      return found.flat().sort((one, other) => (one.at < other.at ? 1 : -1));
    },
    async redrive(letters) {
      const wanted = new Set(letters.map(({ id }) => id));
      const places = await placesOf(rules.filter(({ name }) => letters.some(({ rule }) => rule === name)));
      const told = (await Promise.all(places.map((place) => redriveFrom(place, wanted)))).flat();
      const known = new Set(told.map(({ id }) => id));
      const gone = letters.filter(({ id }) => !known.has(id));
      return [...told, ...gone.map(({ id, rule }) => ({ id, rule, outcome: 'unknown_letter' as const }))];
    },
  };

  /** Rules that this deployment does not have have no queue. */
  async function placesOf(of: readonly Rule[]): Promise<Place[]> {
    const places = (await Promise.all(of.map(placeOf))).filter((place) => place !== undefined);
    if (places.length > 0 || of.length === 0) return places;
    throw new BatonError('service_refused', `There is no dead-letter queue of ${prefix} here.`, {
      remedy: 'Deploy this stage, or name another stage or region.',
    });
  }

  async function placeOf({ name, on, delivery }: Rule): Promise<Place | undefined> {
    const rings = on.some(({ source }) => source === alarmRang.source);
    const url = await urlOf(rings ? names.alarmDeadLetters : names.deadLettersOf(name));
    if (url === undefined) return undefined;
    const deliver =
      delivery === 'queue'
        ? (event: string) => send(rings ? names.alarms : names.ofRule(name), event)
        : (event: string) => invoke(names.ofRule(name), event);
    return { rule: name, url, deliver };
  }

  async function urlOf(queueName: string): Promise<string | undefined> {
    const known = urls.get(queueName);
    if (known !== undefined) return known;
    try {
      const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queueName }));
      if (QueueUrl !== undefined) urls.set(queueName, QueueUrl);
      return QueueUrl;
    } catch (error) {
      if (/QueueDoesNotExist|NonExistentQueue/.test(sdkError(error).name)) return undefined;
      throw serviceError('SQS GetQueueUrl', error);
    }
  }

  async function send(queueName: string, event: string): Promise<void> {
    const url = await urlOf(queueName);
    if (url === undefined) throw new BatonError('service_refused', `There is no queue ${queueName}.`);
    await called('SQS SendMessage', sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: event })));
  }

  /** Asynchronous, as EventBridge invokes it: tried again and dead-lettered in the same way. */
  async function invoke(functionName: string, event: string): Promise<void> {
    const asked = { FunctionName: functionName, InvocationType: 'Event' as const, Payload: Buffer.from(event) };
    await called('Lambda Invoke', lambda.send(new InvokeCommand(asked)));
  }

  async function peek({ rule, url }: Place): Promise<DeadLetterView[]> {
    const seen: DeadLetterView[] = [];
    await eachOf(url, LOOK_S, async (message) => {
      seen.push(foundLetter(message, rule).view);
      return 'keep';
    });
    return seen;
  }

  async function redriveFrom(place: Place, wanted: ReadonlySet<string>): Promise<Redriven[]> {
    const told: Redriven[] = [];
    await eachOf(place.url, REDRIVE_S, async (message) => {
      if (!wanted.has(message.messageId)) return 'keep';
      const became = await redriven(place, foundLetter(message, place.rule));
      told.push(became);
      return became.outcome === 'sent' ? 'delete' : 'keep';
    });
    return told;
  }

  async function redriven({ rule, deliver }: Place, { event, view: { id } }: FoundLetter): Promise<Redriven> {
    if (event === undefined) return { id, rule, outcome: 'not_an_event' };
    try {
      await deliver(event);
      return { id, rule, outcome: 'sent' };
    } catch (error) {
      if (!(error instanceof BatonError)) throw error;
      const { code, message, remedy } = error;
      return { id, rule, outcome: 'failed', error: { code, message, remedy } };
    }
  }

  /** Every message that can be seen, each once. What is kept is shown again at the end, also when something fails. */
  async function eachOf(
    url: string,
    hiddenS: number,
    take: (message: DeadMessage) => Promise<'keep' | 'delete'>,
  ): Promise<void> {
    const seen = new Set<string>();
    const kept = new Set<string>();
    try {
      while (seen.size < LETTERS_MAX) {
        const batch = await received(url, hiddenS);
        const fresh = batch.filter(({ MessageId = '' }) => !seen.has(MessageId));
        if (fresh.length === 0) return;
        await Promise.all(
          fresh.map(async (message) => {
            seen.add(message.MessageId ?? '');
            const { ReceiptHandle: receipt = '' } = message;
            kept.add(receipt);
            if ((await take(deadMessage(message))) === 'keep') return;
            await remove(url, receipt);
            kept.delete(receipt);
          }),
        );
      }
    } finally {
      await shownAgain(url, [...kept]);
    }
  }

  async function received(url: string, hiddenS: number): Promise<readonly Message[]> {
    const asked = new ReceiveMessageCommand({
      QueueUrl: url,
      MaxNumberOfMessages: BATCH,
      VisibilityTimeout: hiddenS,
      WaitTimeSeconds: WAIT_S,
      MessageAttributeNames: ['All'],
      MessageSystemAttributeNames: ['SentTimestamp'],
    });
    return (await called('SQS ReceiveMessage', sqs.send(asked))).Messages ?? [];
  }

  async function remove(url: string, ReceiptHandle: string): Promise<void> {
    await called('SQS DeleteMessage', sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle })));
  }

  /** A favour to whoever looks next: without it, they are seen again after the time. */
  async function shownAgain(url: string, receipts: readonly string[]): Promise<void> {
    for (let from = 0; from < receipts.length; from += BATCH) {
      const Entries = receipts.slice(from, from + BATCH).map((ReceiptHandle, place) => ({
        Id: String(place),
        ReceiptHandle,
        VisibilityTimeout: 0,
      }));
      await sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries })).catch(() => undefined);
    }
  }
}

async function called<Answer>(name: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    throw serviceError(name, error);
  }
}

const deadMessage = ({ MessageId = '', Body = '', Attributes = {}, MessageAttributes = {} }: Message): DeadMessage => ({
  messageId: MessageId,
  body: Body,
  sentAtMs: Number(Attributes.SentTimestamp ?? 0),
  attributes: Object.fromEntries(
    Object.entries(MessageAttributes).flatMap(([name, { StringValue }]) =>
      StringValue === undefined ? [] : [[name, StringValue]],
    ),
  ),
});
