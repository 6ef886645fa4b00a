import * as z from 'zod';
import { defineNativeEvent } from '../define.ts';

/**
 * `detail` of the status change of a command on one worker. It has neither exit code nor comment nor parameters. The invocation, not the
 * command as a whole, is what counts for a command of one worker: an undeliverable one leaves its command pending or incomplete.
 */
export const ssmCommandInvocationDetail = z.looseObject({
  'command-id': z.string().min(1),
  'document-name': z.string().min(1),
  'instance-id': z.string().min(1),
  /** With or without spaces, and maybe one that is new: `ssmStatusOf` reads it. */
  status: z.string().min(1),
  'requested-date-time': z.string().optional(),
});

export type SsmCommandInvocationDetail = z.infer<typeof ssmCommandInvocationDetail>;

/** Best effort: it may not come at all, come twice, or out of order. */
export const ssmCommandInvocation = defineNativeEvent({
  type: 'EC2 Command Invocation Status-change Notification',
  source: 'aws.ssm',
  summary: 'Systems Manager says that a command changed its status on one worker.',
  schema: ssmCommandInvocationDetail,
});
