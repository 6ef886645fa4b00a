import { type HostEnd, readRunEnd, readUnproven, type SsmStatus, ssmStatusOf } from '../lifecycle/ssm-status.ts';
import type { Owned } from '../lifecycle/worker.ts';
import { RUNNER_EXIT } from '../schemas/exit-codes.ts';
import { because, type Reason } from '../schemas/reason.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import { type Ec2Handle, nothingLeftOf, type WorkerOwner, workerRunId } from '../schemas/ssm-command.ts';
import type { Worker } from '../schemas/worker.ts';
import type { Invocation } from './command-service.ts';
import type { ReleasingWorkers } from './fleet-claims.ts';

/** What was found out about a run on a worker. Only `ended` gave the worker back. */
export type Found = Pick<RunObservation, 'phase' | 'end' | 'sequence'>;

/** How a run and the proof of its end are read from what SSM says of their commands, and what the worker becomes by it. */
export interface FleetReader {
  /** The status of the command that ran the run. `exitCode` is asked for only where the status does not tell. */
  ofRun(worker: Owned, status: SsmStatus, answer: () => Promise<Invocation | undefined>): Promise<Found>;
  /** The status of a command that was to prove the end; undefined where it proved nothing, and nothing against it either. */
  ofEnd(worker: Owned, status: SsmStatus, answer: () => Promise<Invocation | undefined>): Promise<Found | undefined>;
  /**
   * Of an attempt whose worker is not its own any more: it was given back, and that takes a proof, or that nothing was sent. The group
   * of its machine is told again, since whoever gave it back may have died before.
   */
  later(worker: Worker, owner: WorkerOwner): Promise<Found>;
}

export function fleetReader(workers: Pick<ReleasingWorkers, 'free' | 'quarantine' | 'release'>): FleetReader {
  return {
    async ofRun(worker, status, answer) {
      const sequence = status.rank;
      switch (status.means) {
        case 'starting':
        case 'running':
          return { phase: status.means, sequence };
        case 'lost':
          return { phase: 'lost', sequence, end: { kind: 'lost', reason: lossOf(status) } };
        case 'ended': {
          const { proof, end, hostExit } = await endFrom(worker, status, answer);
          if (proof === 'proven') {
            await workers.free(worker.worker, worker.owner, hostExit);
            return { phase: 'ended', sequence, end };
          }
          if (proof === 'unfit') {
            // Given back, it would only eat the next attempt.
            await workers.quarantine(worker.worker, end.reason, worker.owner);
            return { phase: 'ended', sequence, end };
          }
          if (proof === 'unproven') await workers.quarantine(worker.worker, end.reason, worker.owner);
          return { phase: 'lost', sequence, end };
        }
      }
    },

    async ofEnd(worker, status, answer) {
      if (status.means !== 'ended') return undefined;
      const { proof, end } = await endFrom(worker, status, answer);
      if (proof === 'proven' && end.exitCode === RUNNER_EXIT.ok) {
        await workers.free(worker.worker, worker.owner);
        return { phase: 'ended', end: STOPPED };
      }
      if (proof !== 'unproven') return undefined;
      await workers.quarantine(worker.worker, end.reason, worker.owner);
      return { phase: 'lost', end };
    },

    async later(worker, owner) {
      await workers.release(worker.worker);
      return foundLater(worker, owner);
    },
  };
}

/** What the host exited with: told by the status, or asked for. A failure with any code proves only what the host's own words prove. */
async function endFrom(
  { owner }: Owned,
  status: SsmStatus,
  answer: () => Promise<Invocation | undefined>,
): Promise<HostEnd & { readonly hostExit?: number }> {
  if (status.exitCode !== undefined) return { ...readRunEnd(status.exitCode, ''), hostExit: status.exitCode };
  const { exitCode, output = '' } = (await answer()) ?? {};
  const read = readRunEnd(exitCode, output);
  if (read.proof === 'proven' && !output.includes(nothingLeftOf(owner))) return readUnproven(exitCode);
  return exitCode === undefined ? read : { ...read, hostExit: exitCode };
}

/** The more precise of the two that is known. */
export const statusOf = ({ status, statusDetails = '' }: Invocation): SsmStatus | undefined =>
  ssmStatusOf(statusDetails) ?? ssmStatusOf(status);

function foundLater({ last }: Worker, { taskId, attempt }: WorkerOwner): Found {
  if (last?.taskId !== taskId || last.attempt !== attempt)
    return { phase: 'ended', end: { kind: 'lost', reason: GONE } };
  if (last.exitCode !== undefined) {
    const { end } = readRunEnd(last.exitCode, '');
    return { phase: 'ended', end };
  }
  return { phase: 'ended', end: last.commandId === undefined ? { kind: 'lost', reason: UNSENT } : STOPPED };
}

/** The machine is gone, and the run with it. */
export const goneWith = (reason: Reason): Found => ({ phase: 'ended', end: { kind: 'lost', reason } });

export const observationOf = (handle: Ec2Handle, found: Found): RunObservation => ({
  taskId: handle.taskId,
  attempt: handle.attempt,
  nativeId: workerRunId(handle),
  handle,
  ...found,
});

const lossOf = ({ code }: SsmStatus): Reason =>
  because(code ?? 'compute_gone', 'Systems Manager has given up on the command of the run.');

const STOPPED: NonNullable<RunObservation['end']> = {
  kind: 'stopped',
  reason: because('stopped_outside', 'The host has ended the run, and nothing of it is left.'),
};
export const UNSENT: Reason = because('never_started', 'The command of the run was never sent.');
const GONE: Reason = because('compute_gone', 'The worker was given back, so nothing of the run is left on it.');
