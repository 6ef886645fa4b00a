import * as z from 'zod';
import { instant } from './json.ts';

/** Names as EventBridge takes them (API reference, StartReplay). */
export const REPLAY_NAME_MAX = 64;
export const replayName = z
  .string()
  .min(1)
  .max(REPLAY_NAME_MAX)
  .regex(/^[.\-_A-Za-z0-9]+$/, 'only letters, digits, ".", "-" and "_"');

/** As EventBridge names them. The last three are for ever. */
export const replayState = z.enum(['STARTING', 'RUNNING', 'CANCELLING', 'COMPLETED', 'CANCELLED', 'FAILED']);
export type ReplayState = z.infer<typeof replayState>;

/** `POST /replays`: what was kept from one time (inclusive) to another (exclusive), once more, to all rules or to those named. */
export const replayRequest = z.strictObject({
  name: replayName,
  from: instant,
  to: instant,
  /** Names of rules as the catalog gives them; without it, every rule that matches. */
  rules: z.array(z.string().min(1)).min(1).max(100).optional(),
});
export type ReplayRequest = z.infer<typeof replayRequest>;

/** A replay, as people and programs see it. */
export const replayView = z.object({
  ...replayRequest.shape,
  state: replayState,
  /** Why it failed, or why the last of its deliveries did. */
  reason: z.string().optional(),
  startedAt: instant,
  endedAt: instant.optional(),
  /** Time of the latest event that was delivered again. */
  lastReplayedAt: instant.optional(),
  /** How many events were delivered again, where the world counts them; some of them twice if it was restarted meanwhile. */
  events: z.int().min(0).optional(),
  /** How many deliveries failed for good, where the world counts them. No dead letter is made of them: the archive has the event. */
  failed: z.int().min(0).optional(),
});
export type ReplayView = z.infer<typeof replayView>;

const OVER: readonly ReplayState[] = ['COMPLETED', 'CANCELLED', 'FAILED'];

/** Nothing more comes of it. */
export const isReplayOver = ({ state }: Pick<ReplayView, 'state'>): boolean => OVER.includes(state);
