import { later } from '../lifecycle/evolve.ts';
import { END_TRIES_MAX, type FleetWaits, isOwnedBy, type Owned } from '../lifecycle/worker.ts';
import { because, type Reason } from '../schemas/reason.ts';
import { ownHandle } from '../schemas/run-handle.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import { commentOf, type Ec2Handle, ec2Handle, type WorkerOwner } from '../schemas/ssm-command.ts';
import type { Worker, WorkerIn } from '../schemas/worker.ts';
import { type CommandService, CommandTrouble } from './command-service.ts';
import { ComputeError, type ErrorCode } from './errors.ts';
import { fleetClaims, releasing } from './fleet-claims.ts';
import { endCommand, ownerOf, refusalOf, runCommand } from './fleet-commands.ts';
import { type Found, fleetReader, goneWith, observationOf, statusOf, UNSENT } from './fleet-reading.ts';
import { fleetSignals } from './fleet-signals.ts';
import type {
  Clock,
  FleetBackend,
  Instances,
  Machines,
  StartOnWorker,
  StartOutcome,
  StopOutcome,
  Workers,
} from './ports.ts';

/** Wait, in seconds, of a start that sent nothing through no fault of its task: its worker was lost, or SSM took no more just then. */
export const WORKER_PAUSE_S = 30;

export interface FleetBackendOptions {
  readonly workers: Workers;
  readonly commands: CommandService;
  readonly clock: Clock;
  readonly waits: FleetWaits;
  readonly region: string;
  /** The machines of the workers: whether one has ended that SSM cannot reach, and who may take it away. */
  readonly machines: Pick<Machines, 'protect' | 'proceed'> & Instances;
  /** Told what was strange but did not stop the work, and what could not be undone. */
  readonly warn?: (message: string, cause?: unknown) => void;
  /** Told what ended an attempt and what an operator must mend. */
  readonly failed?: (error: ComputeError) => void;
}

/**
 * Runs as commands on workers of a fleet. SSM has no token: the worker's record says that a command may have been sent, and the command's
 * comment whose it is. What ends a run is a word of its host, never a status of SSM alone.
 */
export function fleetBackend(options: FleetBackendOptions): FleetBackend {
  const { commands, machines, clock, waits, region } = options;
  const warn = options.warn ?? (() => undefined);
  const workers = releasing({ workers: options.workers, machines, warn });
  const reader = fleetReader(workers);
  return {
    ...fleetClaims({ workers, machines, warn }),
    handleOf,
    start,
    stop,
    ask,
    ...fleetSignals({ workers, commands, reader, region }),
  };

  function handleOf({ worker, fleet, owner }: Parameters<FleetBackend['handleOf']>[0]): Ec2Handle {
    return ec2Handle.parse({ backend: 'ec2', fleet, instanceId: worker, region, ...owner });
  }

  async function start(run: StartOnWorker): Promise<Started> {
    const { worker: handle } = run;
    const owner = ownerOf(handle);
    const { answer, worker } = await workers.dispatch(handle.instanceId, owner);
    switch (answer) {
      case 'send':
        return send(run);
      case 'wait':
        throw new ComputeError('compute_unavailable', `Whether ${sentence(handle)} was sent, is not known yet.`);
      case 'look': {
        const [known] = isOwnedBy(worker, owner) ? await sentFor(handle, worker) : [];
        return known === undefined ? send(run, true) : noted(handle, known);
      }
      case 'sent':
        return started(handle, worker?.state === 'dispatched' ? worker.commandId : undefined);
      case 'lost': {
        // Said again of one that is over, or whose worker is out: nobody may say of it that it never began.
        if (worker && maybeRan(worker, handle)) return started(handle, commandOf(worker, handle));
        const told = `The claim on worker ${handle.instanceId} was over before the command was sent.`;
        return { outcome: 'refused', reason: because('no_capacity', told), pauseSeconds: WORKER_PAUSE_S };
      }
    }
  }

  /** `again`: an earlier try may have sent it, although nothing is to be seen of that. */
  async function send(run: StartOnWorker, again = false): Promise<Started> {
    const { worker: handle } = run;
    const command = runCommand(run, waits);
    if (typeof command === 'string') {
      if (again) throw new ComputeError('compute_invalid', command);
      return undone(handle, { outcome: 'refused', reason: because('start_refused', command) });
    }
    let commandId: string;
    try {
      commandId = await commands.send(command);
    } catch (error) {
      if (!(error instanceof CommandTrouble)) throw error;
      return notSent(handle, error, again);
    }
    return noted(handle, commandId);
  }

  /** What is refused was not sent, so the claim goes back. An answer that was lost says nothing: the repetition looks. */
  async function notSent(handle: Ec2Handle, trouble: CommandTrouble, again: boolean): Promise<Started> {
    const { fault, error, message } = trouble;
    const reason = refusalOf(fault, message);
    if (reason === undefined || trouble.unheard || again) throw error;
    if (fault === 'denied' || fault === 'refused') options.failed?.(error);
    if (fault === 'throttled') return undone(handle, { outcome: 'refused', reason, pauseSeconds: WORKER_PAUSE_S });
    if (fault !== 'gone') return undone(handle, { outcome: 'refused', reason });
    // SSM does not reach it, so nobody does: given back, it would only be claimed again.
    await workers.quarantine(handle.instanceId, reason, ownerOf(handle));
    return { outcome: 'refused', reason, pauseSeconds: WORKER_PAUSE_S };
  }

  /** Gives the worker of a start back that was not made. Where that fails too, the end of the attempt gives it back. */
  async function undone(handle: Ec2Handle, outcome: Started): Promise<Started> {
    try {
      await workers.free(handle.instanceId, ownerOf(handle));
    } catch (error) {
      warn(`worker ${handle.instanceId} could not be given back after ${sentence(handle)} was refused`, error);
    }
    return outcome;
  }

  async function noted(handle: Ec2Handle, commandId: string): Promise<Started> {
    const { answer, worker } = await workers.dispatched(handle.instanceId, ownerOf(handle), commandId);
    if (answer === 'noted' || answer === 'already') return started(handle, commandId);
    warn(`${sentence(handle)} was sent as ${commandId}, which is not waited for (${answer})`);
    // Of two commands the host runs the first, whichever that is, and tells both the same: cancelling one might end the run.
    if (answer === 'over') await cancelled(commandId, handle.instanceId);
    return started(handle, worker?.state === 'dispatched' ? worker.commandId : commandId);
  }

  async function stop(given: Parameters<FleetBackend['stop']>[0]): Promise<StopOutcome> {
    const handle = ownHandle('ec2', given);
    const { answer, worker } = await workers.returning(handle.instanceId, ownerOf(handle));
    if (answer === 'unsent') return 'not_found';
    return worker?.state === 'returning' && answer === 'returning'
      ? end(handle, worker)
      : stoppedBefore(handle, worker);
  }

  async function stoppedBefore(handle: Ec2Handle, worker: Worker | undefined): Promise<StopOutcome> {
    if (worker?.state === 'gone') return 'already_ended';
    if (worker?.state === 'quarantined' && isFor(worker.owner, handle)) {
      return (await isGone(handle.instanceId)) ? 'already_ended' : 'stopping';
    }
    if (!isFor(worker?.last, handle)) return 'not_found';
    await workers.release(handle.instanceId);
    return 'already_ended';
  }

  /** The host is asked to end the run and to prove it, and again when a command for that came to nothing. */
  async function end(handle: Ec2Handle, worker: WorkerIn<'returning'>): Promise<StopOutcome> {
    const { proof } = await proofOf(worker);
    if (proof === 'proven') return 'already_ended';
    if (proof !== 'none' || worker.endTries >= END_TRIES_MAX) return 'stopping';
    if (worker.endTries === 0) await cancelRun(handle, worker);
    try {
      await sendEnd(handle);
      return 'stopping';
    } catch (error) {
      if (!(error instanceof CommandTrouble)) throw error;
      if (error.fault !== 'gone') throw error.error;
      return (await isGone(handle.instanceId)) ? 'already_ended' : 'stopping';
    }
  }

  /** A command that is still on its way must not begin. */
  async function cancelRun(handle: Ec2Handle, worker: WorkerIn<'returning'>): Promise<void> {
    const known = handle.commandId ?? worker.commandId;
    const all = known === undefined ? await sentFor(handle, worker) : [known];
    for (const one of all) await cancelled(one, handle.instanceId);
  }

  async function sendEnd(handle: Ec2Handle): Promise<void> {
    const commandId = await commands.send(endCommand(handle, waits));
    await workers.endSent(handle.instanceId, ownerOf(handle), commandId);
  }

  async function ask({ handle: given }: Parameters<FleetBackend['ask']>[0]): Promise<RunObservation[]> {
    // The handle is stored before anything is sent: without one nothing was.
    if (!given) return [];
    const handle = ownHandle('ec2', given);
    const worker = await workers.get(handle.instanceId);
    if (!worker) return [];
    const found = await foundOf(worker, handle);
    const commandId = handle.commandId ?? commandOf(worker, handle);
    return [observationOf({ ...handle, ...(commandId === undefined ? {} : { commandId }) }, found)];
  }

  async function foundOf(worker: Worker, handle: Ec2Handle): Promise<Found> {
    if (worker.state === 'gone') return goneWith(worker.reason);
    if (worker.state === 'quarantined' && isFor(worker.owner, handle)) {
      if (await isGone(handle.instanceId)) return goneWith(HOST_LOST);
      return { phase: 'lost', end: { kind: 'lost', reason: worker.reason } };
    }
    if (!isOwnedBy(worker, ownerOf(handle))) return reader.later(worker, handle);
    switch (worker.state) {
      case 'claimed': {
        // Whoever claimed it is over by the time that somebody asks; unless it begins to send just now.
        const { answer, worker: now } = await workers.giveBack(worker.worker, worker.owner);
        if (answer === 'already' && now) return foundOf(now, handle);
        return { phase: 'ended', end: { kind: 'lost', reason: UNSENT } };
      }
      case 'dispatching':
        return maybeSent(worker, handle);
      case 'dispatched':
        return lookedAt(worker);
      case 'returning':
        return (await proofOf(worker)).found ?? { phase: 'running' };
    }
  }

  async function maybeSent(worker: WorkerIn<'dispatching'>, handle: Ec2Handle): Promise<Found> {
    if (ageOf(worker.since) < waits.DISPATCH_DOUBT_S) return { phase: 'starting' };
    const [commandId] = await sentFor(handle, worker);
    if (commandId === undefined) return { phase: 'lost', end: { kind: 'lost', reason: NOT_FOUND } };
    const { worker: now } = await workers.dispatched(worker.worker, worker.owner, commandId);
    return now?.state === 'dispatched' ? lookedAt(now) : { phase: 'starting' };
  }

  async function lookedAt(worker: WorkerIn<'dispatched'>): Promise<Found> {
    const answer = await commands.get(worker.commandId, worker.worker);
    if (!answer) {
      if (ageOf(worker.dispatchedAt) < waits.COMMAND_SHOWS_S) return { phase: 'starting' };
      return { phase: 'lost', end: { kind: 'lost', reason: NOT_FOUND } };
    }
    const status = statusOf(answer);
    // SSM calls a command that began on a machine which died since "in progress" for as long as it might run.
    if (status?.means === 'running' && (await isSeenGone(worker))) return goneWith(HOST_LOST);
    if (status) return reader.ofRun(worker, status, async () => answer);
    warn(`command ${worker.commandId}: unknown status "${answer.statusDetails ?? answer.status}"`);
    // The least that can be said: it was sent. Its due date looks again.
    return { phase: 'starting' };
  }

  /**
   * Whether the end is proven: by the end of the run's own command, or by that which was sent for it. `open`: that one is under way. `none`:
   * nothing is.
   */
  async function proofOf(
    worker: WorkerIn<'returning'>,
  ): Promise<{ readonly proof: 'proven' | 'unproven' | 'open' | 'none'; readonly found?: Found }> {
    const { commandId, endCommandId, worker: id } = worker;
    const run = commandId === undefined ? undefined : await commands.get(commandId, id);
    const ran = run && statusOf(run);
    const found = ran?.means === 'ended' ? await reader.ofRun(worker, ran, async () => run) : undefined;
    if (found?.phase === 'ended') return { proof: 'proven', found };
    const answer = endCommandId === undefined ? undefined : await commands.get(endCommandId, id);
    const status = answer && statusOf(answer);
    const said = status && (await reader.ofEnd(worker, status, async () => answer));
    if (said) return { proof: said.phase === 'ended' ? 'proven' : 'unproven', found: said };
    const isOpen = status === undefined || status.means === 'starting' || status.means === 'running';
    return { proof: endCommandId !== undefined && isOpen && ageOf(worker.since) < waits.END_PROOF_S ? 'open' : 'none' };
  }

  /** Commands that run an attempt, of those that its worker was sent since it was claimed, oldest first. */
  async function sentFor(handle: Ec2Handle, { claimedAt }: Owned): Promise<string[]> {
    const comment = commentOf('run', ownerOf(handle));
    const all = await commands.listed(handle.instanceId, later(claimedAt, -CLOCKS_APART_S));
    const own = all.filter((one) => one.comment === comment);
    return own.map(({ commandId }) => commandId).reverse();
  }

  async function cancelled(commandId: string, instanceId: string): Promise<void> {
    try {
      await commands.cancel(commandId, instanceId);
    } catch (error) {
      if (!(error instanceof CommandTrouble)) throw error;
      // It proves nothing anyhow, and the proof is asked for next.
      warn(`command ${commandId} could not be cancelled: ${error.message}`, error);
    }
  }

  /**
   * Where SSM does not reach a machine, EC2 is asked whether there is one: else a word of its that never came would leave a run without an end.
   * Not its group: somebody may have taken it out of there by hand, and it runs on.
   */
  async function isGone(instanceId: string): Promise<boolean> {
    if (!(await machines.isGone(instanceId))) return false;
    await workers.goes(instanceId, HOST_LOST);
    return true;
  }

  /** Systems Manager has answered: a passing trouble of EC2 takes nothing away from that, and the next look asks again. */
  async function isSeenGone({ worker, commandId }: WorkerIn<'dispatched'>): Promise<boolean> {
    try {
      return await isGone(worker);
    } catch (error) {
      if (!(error instanceof ComputeError) || !PASSING.has(error.code)) throw error;
      warn(
        `command ${commandId} counts as running: whether machine ${worker} is gone, EC2 does not say just now`,
        error,
      );
      return false;
    }
  }

  function ageOf(since: string): number {
    return (Date.parse(clock.now()) - Date.parse(since)) / 1000;
  }
}

type Started = StartOutcome<Ec2Handle>;

const started = (handle: Ec2Handle, commandId: string | undefined): Started => ({
  outcome: 'started',
  handle: commandId === undefined ? handle : { ...handle, commandId },
});

const isFor = (owner: WorkerOwner | undefined, { taskId, attempt }: Ec2Handle): boolean =>
  owner?.taskId === taskId && owner.attempt === attempt;

/** Whether something may have been sent for an attempt that may send nothing on its worker any more. */
function maybeRan(worker: Worker, handle: Ec2Handle): boolean {
  if (worker.state === 'quarantined' || worker.state === 'gone') return isFor(worker.owner, handle);
  if (isOwnedBy(worker, ownerOf(handle))) return worker.state === 'returning';
  return isFor(worker.last, handle) && worker.last?.commandId !== undefined;
}

/** The id of the command, which the record of its worker may have although the handle has not. */
function commandOf(worker: Worker, handle: Ec2Handle): string | undefined {
  if (isFor(worker.last, handle)) return worker.last?.commandId;
  return isOwnedBy(worker, ownerOf(handle)) && 'commandId' in worker ? worker.commandId : undefined;
}

const sentence = ({ taskId, attempt, instanceId }: Ec2Handle): string =>
  `the command of attempt ${attempt} of task ${taskId} on worker ${instanceId}`;

/** Clocks of AWS and of a function are not this far apart, in seconds: how much earlier than its claim a command may seem to be. */
const CLOCKS_APART_S = 120;

/** What a service may answer for a while although nothing is wrong with the question. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['compute_throttled', 'compute_unavailable']);

const NOT_FOUND: Reason = because('start_lost', 'Systems Manager knows no command of the run.');
const HOST_LOST: Reason = because('host_lost', 'The machine of the worker is gone.');
