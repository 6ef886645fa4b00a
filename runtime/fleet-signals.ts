import { ssmStatusOf } from '../lifecycle/ssm-status.ts';
import { isOwned, isOwnedBy } from '../lifecycle/worker.ts';
import { type Ec2Handle, ec2Handle, parseComment, type WorkerOwner } from '../schemas/ssm-command.ts';
import type { Worker } from '../schemas/worker.ts';
import type { CommandService } from './command-service.ts';
import { type FleetReader, type Found, goneWith, observationOf } from './fleet-reading.ts';
import type { FleetBackend, FleetReading, Workers } from './ports.ts';

export interface FleetSignalsOver {
  readonly workers: Workers;
  readonly commands: Pick<CommandService, 'get' | 'found'>;
  readonly reader: FleetReader;
  readonly region: string;
}

/**
 * What events of AWS say about runs of a fleet. They name a machine and a command, and no run: a command counts when its worker's record
 * knows it. Best effort: each may be missing, late, or come twice; what they did not say, due dates ask for.
 */
export function fleetSignals({
  workers,
  commands,
  reader,
  region,
}: FleetSignalsOver): Pick<FleetBackend, 'observeCommand' | 'observeLoss' | 'observeNotice'> {
  return {
    async observeCommand({ 'command-id': commandId, 'instance-id': instanceId, status: text }) {
      const worker = await workers.get(instanceId);
      if (!worker) return { remark: 'of_no_worker' };
      const status = ssmStatusOf(text);
      if (!status) return { remark: `unknown status "${text}"` };
      const { role, now } = knownAs(worker, commandId) ?? (await resolved(worker, commandId));
      switch (role) {
        case 'run':
          return isOwned(now) ? seen(now, now.owner, await reader.ofRun(now, status, answer)) : NOTHING;
        case 'end': {
          const found = isOwned(now) && now.state === 'returning' && (await reader.ofEnd(now, status, answer));
          return found ? seen(now, now.owner, found) : { remark: 'end_is_not_proven' };
        }
        case 'last':
          return now.last ? seen(now, now.last, await reader.later(now, handleOf(now, now.last))) : NOTHING;
        case 'out':
          return now.state === 'quarantined' && now.owner
            ? seen(now, now.owner, { phase: 'lost', end: { kind: 'lost', reason: now.reason } })
            : NOTHING;
        case 'none':
          return { remark: 'of_no_known_command' };
      }

      function answer() {
        return commands.get(commandId, instanceId);
      }
    },

    async observeLoss(instanceId, reason) {
      const { worker } = await workers.goes(instanceId, reason);
      if (worker?.state !== 'gone') return { remark: 'of_no_worker' };
      return worker.owner ? seen(worker, worker.owner, goneWith(worker.reason)) : NOTHING;
    },

    async observeNotice(instanceId, reason, endsRuns) {
      const { worker } = await workers.leaves(instanceId, reason);
      if (!worker) return { remark: 'of_no_worker' };
      const works = isOwned(worker) && (worker.state === 'dispatching' || worker.state === 'dispatched');
      return works && endsRuns ? seen(worker, worker.owner, { phase: 'lost', end: { kind: 'lost', reason } }) : NOTHING;
    },
  };

  /** An id that the worker's record does not have is looked up once, and counts only where its comment names the attempt that waits for it. */
  async function resolved(worker: Worker, commandId: string): Promise<Known> {
    const meant = parseComment((await commands.found(commandId))?.comment);
    if (!meant) return { role: 'none', now: worker };
    const { action, owner } = meant;
    // Whoever took the worker out may have been gone before the run was judged by it.
    if (worker.state === 'quarantined') return { role: isSame(worker.owner, owner) ? 'out' : 'none', now: worker };
    // One that was sent for the same end before is read like the latest, and counts for no further try.
    const isEarlier = action === 'end' && worker.state === 'returning' && worker.endCommandId !== undefined;
    if (isEarlier && isSame(worker.owner, owner)) return { role: 'end', now: worker };
    const { worker: now, answer } =
      action === 'run'
        ? await workers.dispatched(worker.worker, owner, commandId)
        : await workers.endSent(worker.worker, owner, commandId);
    if (answer === 'noted' && now) return { role: action, now };
    // The host tells the same to each command of an attempt, so what is said of a second one may be left out; unless its word has freed the
    // worker, and who heard it came no further.
    return { role: action === 'end' && worker.last && isSame(worker.last, owner) ? 'last' : 'none', now: worker };
  }

  function seen(worker: Worker, owner: WorkerOwner, found: Found): FleetReading {
    return { observation: observationOf(handleOf(worker, owner), found) };
  }

  function handleOf(worker: Worker, { taskId, attempt }: WorkerOwner): Ec2Handle {
    const owned = isOwnedBy(worker, { taskId, attempt }) && 'commandId' in worker ? worker.commandId : undefined;
    const last = isSame(worker.last, { taskId, attempt }) ? worker.last?.commandId : undefined;
    const commandId = owned ?? last;
    const { worker: instanceId, fleet } = worker;
    return ec2Handle.parse({ backend: 'ec2', fleet, instanceId, region, taskId, attempt, commandId });
  }
}

interface Known {
  readonly role: 'run' | 'end' | 'last' | 'out' | 'none';
  readonly now: Worker;
}

/** What a command is to its worker, where the record says so. */
function knownAs(worker: Worker, commandId: string): Known | undefined {
  if ('commandId' in worker && worker.commandId === commandId) return { role: 'run', now: worker };
  if (worker.state === 'returning' && worker.endCommandId === commandId) return { role: 'end', now: worker };
  return worker.last?.commandId === commandId ? { role: 'last', now: worker } : undefined;
}

const isSame = (one: WorkerOwner | undefined, other: WorkerOwner): boolean =>
  one?.taskId === other.taskId && one.attempt === other.attempt;

const NOTHING: FleetReading = { remark: 'nothing_to_be_said_of_a_run' };
