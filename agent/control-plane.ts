import type { AgentReport } from '../schemas/agent-report.ts';
import type { RunPayload } from '../schemas/run-payload.ts';
import type { SavedWork } from '../schemas/task-result.ts';

/** Which run speaks: the attempt, who it natively is, and the token that proves it. */
export interface RunIdentity {
  readonly taskId: string;
  readonly attempt: number;
  readonly nativeId: string;
  readonly runToken: string;
}

export interface RunEvent {
  readonly type: 'RunClaimed' | 'RunProgressed' | 'RunReported' | 'RunFenced';
  /** Grows by one with every event of this run, from 0. */
  readonly seq: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** How long a call may keep trying, in milliseconds, asked anew before every try: a stop shortens it while it runs. */
export type Patience = () => number;

/**
 * All that a runner may ask of Baton. Every call throws `Fenced` when the attempt belongs to another run or is closed,
 * `Refused` when trying again is pointless, and `Unavailable` when the patience ended first.
 */
export interface ControlPlane {
  payload(reference: string, patience: Patience): Promise<RunPayload>;
  claim(run: RunIdentity, patience: Patience): Promise<'claimed' | 'already'>;
  /** Leave to push, asked immediately before each push. */
  confirm(run: RunIdentity, patience: Patience): Promise<void>;
  heartbeat(run: RunIdentity, patience: Patience): Promise<void>;
  /** The agent has said something; told again, the first time stands. */
  firstWord(run: RunIdentity, patience: Patience): Promise<void>;
  report(run: RunIdentity, report: AgentReport, patience: Patience): Promise<'stored' | 'already'>;
  saveWork(run: RunIdentity, savedWork: SavedWork, patience: Patience): Promise<void>;
  event(run: RunIdentity, event: RunEvent, patience: Patience): Promise<void>;
}

/** Another run holds the attempt, or the attempt is closed. */
export class Fenced extends Error {
  override readonly name = 'Fenced';
}

/** The control plane answered, and will answer the same again. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** The control plane did not answer for as long as the caller could wait. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
