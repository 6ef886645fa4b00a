import type { EventPattern } from 'aws-cdk-lib/aws-events';
import { taskRequested } from '../events/task-requested.ts';

/**
 * What the archive keeps: every fact, but no request for a task, which holds the prompt, and nothing that was published during a
 * replay, so that a replay of a replay stays as small as the first.
 */
export const archivePattern = {
  detailType: [{ 'anything-but': [taskRequested.type] }] as unknown as string[],
  detail: { metadata: { replayOf: [{ exists: false }] } },
} satisfies EventPattern;
