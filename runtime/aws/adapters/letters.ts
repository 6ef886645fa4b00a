import { sqs } from '../clients/sqs.ts';
import { type DeadLetterSender, deadLetterSender } from '../dead-letter-sender.ts';
import type { EnvironmentOf } from '../environment.ts';

/** The dead letters of the function's rule, for what no try can handle. */
export const open = (environment: EnvironmentOf<'letters'>): DeadLetterSender =>
  deadLetterSender({ client: sqs(), queueUrl: environment.BATON_DEAD_LETTERS_URL });
