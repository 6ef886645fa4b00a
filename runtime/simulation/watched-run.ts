import type { RunRecord } from '../../schemas/run-record.ts';

/** A run on a simulated back end, as far as promises look at it: one body, be it an ECS task or one container of a session. */
export interface WatchedRun {
  /** What its claim shows. Containers of one session show the same. */
  readonly nativeId: string;
  readonly spec: { readonly taskId: string; readonly attempt: number };
  /** Its back end takes it for gone: nothing of it works any more, unless it lives on. */
  readonly stopped: boolean;
  /** Its process went on when its back end took it for gone. */
  readonly livesOn: boolean;
  /** Of bodies that share a native id: whether this one made the claim. */
  readonly claims?: boolean;
}

/** Is this body the one that claimed the attempt? */
export const isClaimant = ({ nativeId, claims }: WatchedRun, record: RunRecord | undefined): boolean =>
  record?.claim?.nativeId === nativeId && claims !== false;
