import type { Timings } from '../../lifecycle/timings.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { RecordStore } from '../ports.ts';
import type { FaultName } from './faults.ts';
import type { Random } from './random.ts';
import type { Trace } from './trace.ts';
import type { VirtualTime } from './virtual-time.ts';
import type { WiredPorts } from './wiring.ts';

/** What all parts of one simulated world have in common. */
export interface Scene {
  readonly time: VirtualTime;
  readonly trace: Trace;
  readonly timings: Timings;
  readonly random: Random;
  /** Is this fault in play? */
  has(fault: FaultName): boolean;
}

/** The way from outside (clients, runners, the back end) into the world that runs at the moment. */
export interface ControlPlane {
  /**
   * Asks the world and waits until what it answered is on disk. Throws `Unreachable` when the world is down, dies meanwhile, or
   * the answer is lost: then nobody knows whether it was done. `now` is the clock of whoever writes records itself.
   */
  ask<T>(what: string, question: (ports: WiredPorts) => Promise<T>, now?: () => string): Promise<T>;
  /** Gives an event to the bus until it is on disk; at least once. */
  publish(event: Envelope): Promise<void>;
}

export class Unreachable extends Error {}

/** What one handler's invocation goes through at each call of a port: others run in between, and it may die there. */
export interface Gate {
  point(what: string): Promise<void>;
  sleep(ms: number): Promise<void>;
  readonly store: RecordStore;
  /** The invocation comes from a replay. */
  readonly replay: boolean;
}
