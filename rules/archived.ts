import { alarmRang } from '../events/alarm-rang.ts';
import { repositoryConfigRequested } from '../events/repository-config-requested.ts';
import { taskRequested } from '../events/task-requested.ts';
import type { EventPattern } from './event-pattern.ts';

/** Detail-types that no archive keeps: requests that hold prompts or configurations, and wake-ups, which mean nothing later. */
const NEVER_ARCHIVED: readonly string[] = [taskRequested.type, repositoryConfigRequested.type, alarmRang.type];

/**
 * What the archive of the own bus keeps, in every world: every fact, and nothing that was published during a replay, so that a replay
 * of a replay stays as small as the first. What is replayed itself (`replay-name`) EventBridge leaves out by its own rule.
 */
export const archivedPattern = {
  'detail-type': [{ 'anything-but': [...NEVER_ARCHIVED] }],
  detail: { metadata: { replayOf: [{ exists: false }] } },
} satisfies EventPattern;
