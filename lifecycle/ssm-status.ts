import { RUNNER_EXIT } from '../schemas/exit-codes.ts';
import { because, type ReasonCode } from '../schemas/reason.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import { HOST_EXIT, NO_RESPONSE } from '../schemas/ssm-command.ts';

/**
 * What a status of a command says. `ended`: the host's script has ended by itself, and what it exited with tells the rest. `lost`: SSM has
 * given up on it, and nobody knows whether it runs: stop, fence, then try again.
 */
type Meaning = 'starting' | 'running' | 'ended' | 'lost';

export interface SsmStatus {
  /** Order of the states of one command: a lower one that comes later is old news. Those of one rank exclude each other. */
  readonly rank: number;
  readonly means: Meaning;
  /** Of `lost`. */
  readonly code?: ReasonCode;
  /** What the host's script exited with, where the status tells that: then nobody needs to ask. */
  readonly exitCode?: number;
}

const OVER = 5;

/**
 * Every status there is, of a command, of its invocation on one worker, and their details, in small letters and without spaces: SSM writes
 * both `DeliveryTimedOut` and `Delivery Timed Out`, and does not say which an event has (Systems Manager API reference, Command and
 * CommandInvocation; user guide, "Understanding command statuses").
 */
export const SSM_STATUSES: Readonly<Record<string, SsmStatus>> = {
  pending: { rank: 1, means: 'starting' },
  // The worker has not been reached yet, and is tried again.
  delayed: { rank: 2, means: 'starting' },
  // Also said while the agent on the worker is away.
  inprogress: { rank: 3, means: 'running' },
  // Asked to end. Nothing is ended by that.
  cancelling: { rank: 4, means: 'running' },
  success: { rank: OVER, means: 'ended', exitCode: RUNNER_EXIT.ok },
  failed: { rank: OVER, means: 'ended' },
  // The process may live on.
  cancelled: { rank: OVER, means: 'lost', code: 'stopped_outside' },
  // Of a run that was delivered, too: when its last word never arrives.
  timedout: { rank: OVER, means: 'lost', code: 'worker_unreachable' },
  deliverytimedout: { rank: OVER, means: 'lost', code: 'worker_unreachable' },
  executiontimedout: { rank: OVER, means: 'lost', code: 'ran_too_long' },
  undeliverable: { rank: OVER, means: 'lost', code: 'worker_unreachable' },
  terminated: { rank: OVER, means: 'lost', code: 'stopped_outside' },
  accessdenied: { rank: OVER, means: 'lost', code: 'command_refused' },
  invalidplatform: { rank: OVER, means: 'lost', code: 'command_refused' },
  // Of commands alone, which ours are not judged by; here for the day that an invocation has them.
  incomplete: { rank: OVER, means: 'lost', code: 'worker_unreachable' },
  rateexceeded: { rank: OVER, means: 'lost', code: 'start_throttled' },
  noinstancesintag: { rank: OVER, means: 'lost', code: 'worker_unreachable' },
};

/** What a status says, in either spelling; undefined for one that is not known, which means nothing. */
export function ssmStatusOf(status: string): SsmStatus | undefined {
  const name = status.replaceAll(/[\s_-]/g, '').toLowerCase();
  return Object.hasOwn(SSM_STATUSES, name) ? SSM_STATUSES[name] : undefined;
}

/** What each rank says of a command, for people. */
const RANK_WORDS: Readonly<Record<number, string>> = {
  1: 'waits for its worker',
  2: 'could not be delivered yet',
  3: 'is in progress',
  4: 'is being cancelled',
  [OVER]: 'is over',
};

/** What the highest rank that was heard of says of a command; one of a later version says that there is one. */
export const rankText = (rank: number): string => RANK_WORDS[rank] ?? 'is there';

/** Whether nothing follows. */
export const isOver = ({ rank }: SsmStatus): boolean => rank === OVER;

/**
 * What became of a run, by what the host's script exited with and, where that failed, said. `proven`: nothing of it is left. `unfit`: nothing is, and no other run would
 * begin there either. `unproven`: something is left, and the worker must not be used any more. `unknown`: the host has not answered.
 */
export interface HostEnd {
  readonly proof: 'proven' | 'unfit' | 'unproven' | 'unknown';
  readonly end: NonNullable<RunObservation['end']>;
}

export function readRunEnd(exitCode: number | undefined, told: string): HostEnd {
  switch (exitCode) {
    case undefined:
    case NO_RESPONSE:
      return { proof: 'unknown', end: lostBy('compute_gone', `The host gave no exit code. ${told}`) };
    case HOST_EXIT.unproven:
      return { proof: 'unproven', end: lostBy('end_unproven', `Something of the run is left on its worker. ${told}`) };
    case HOST_EXIT.over:
      return {
        proof: 'proven',
        end: lostBy('never_started', `The attempt was ended on its worker before it began. ${told}`),
      };
    case HOST_EXIT.refused:
      // All parameters are ours, so a host that does not take them is not what it must be.
      return { proof: 'unfit', end: lostBy('never_started', `The host refused the parameters of the run. ${told}`) };
    case HOST_EXIT.notStarted:
      return { proof: 'unfit', end: lostBy('never_started', `The host could not begin the run. ${told}`) };
    default:
      return { proof: 'proven', end: { kind: 'exited', exitCode, reason: because('runner_failed', told) } };
  }
}

/** The same of a failure about which the host's script has not said that nothing is left: whoever killed it, its code is not the run's. */
export const readUnproven = (exitCode: number | undefined): HostEnd => ({
  proof: 'unknown',
  end: lostBy(
    'compute_gone',
    `The command ended with ${exitCode}, and its host has not said that nothing of the run is left.`,
  ),
});

const lostBy = (code: ReasonCode, message: string): NonNullable<RunObservation['end']> => ({
  kind: 'lost',
  reason: because(code, message.trim()),
});
