import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { LETTER_ATTRIBUTES } from '../../schemas/queue-names.ts';
import { BatonError } from '../errors.ts';
import { serviceError } from './sdk-errors.ts';

/** Characters of an error that go with its letter; the log of the function has all of it. */
const MESSAGE_MAX_CHARS = 1_000;
/** What SQS takes no attribute with: control characters but tab and line ends, and halves of pairs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNSENDABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ud800-\udfff\ufffe\uffff]/g;

/** Puts what can never be handled among the dead letters of a rule. */
export interface DeadLetterSender {
  /** Keeps a message as it came, with why. Throws BatonError; the message is then still where it was. */
  give(body: string, error: Error, tries: number): Promise<void>;
}

export const deadLetterSender = ({ client, queueUrl }: { client: SQSClient; queueUrl: string }): DeadLetterSender => ({
  async give(body, error, tries) {
    const said = error.message.slice(0, MESSAGE_MAX_CHARS).replace(UNSENDABLE, '?');
    const attributes = {
      [LETTER_ATTRIBUTES.code]: error instanceof BatonError ? error.code : 'unexpected',
      [LETTER_ATTRIBUTES.message]: said === '' ? error.name : said,
      [LETTER_ATTRIBUTES.retries]: String(tries - 1),
    };
    const MessageAttributes = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
    );
    try {
      await client.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body, MessageAttributes }));
    } catch (error) {
      throw serviceError('SQS SendMessage', error);
    }
  },
});
