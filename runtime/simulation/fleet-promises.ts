import { QUIET_CHECKS } from '../../lifecycle/life-signs.ts';
import { runOf } from '../../lifecycle/states.ts';
import type { Timings } from '../../lifecycle/timings.ts';
import { isMember } from '../../lifecycle/worker.ts';
import type { WorkerOwner } from '../../schemas/ssm-command.ts';
import type { Task } from '../../schemas/task.ts';
import { type FleetRecord, type Worker, worker as workerSchema } from '../../schemas/worker.ts';
import { runKey } from '../records.ts';
import type { Complain, Records } from './promise-names.ts';
import type { Machine } from './simulated-fleet.ts';
import type { HostRun } from './simulated-host.ts';
import type { SimulatedCommand } from './simulated-ssm.ts';

/** By when a task must have heard that its machine is gone, where EC2 said so and nothing delays Baton, in milliseconds. */
const LOSS_HEARD_WITHIN_MS = 60_000;
/** How much longer it may take where nobody says so: until Auto Scaling has missed it, in milliseconds. Then the next look finds out. */
const LOSS_MISSED_WITHIN_MS = 660_000;

/** Rules by which a worker gets free. */
const MAY_FREE = ['observe-run-command', 'check-run-on-ec2', 'stop-run-on-ec2', 'start-run-on-ec2', 'return-worker'];

interface Surroundings {
  readonly records: Records;
  readonly nowMs: () => number;
  readonly later: (ms: number, work: () => void) => void;
  readonly isCalm: boolean;
  /** No call is refused: whoever is to tell a group something tells it, unless it dies before. */
  readonly isHeard: boolean;
  readonly timings: Timings;
  readonly machines: () => readonly Machine[];
  readonly commands: () => readonly SimulatedCommand[];
  readonly taskOf: (taskId: string) => Task | undefined;
  readonly tasks: () => Iterable<Task>;
  /** Did a delivery to this rule become a dead letter? */
  readonly isDead: (rule: string) => boolean;
  readonly complain: Complain;
}

type Sent = Extract<Worker, { state: 'dispatching' | 'dispatched' | 'returning' }>;

const wasSent = (worker: Worker | undefined): worker is Sent =>
  worker?.state === 'dispatching' || worker?.state === 'dispatched' || worker?.state === 'returning';

const isSame = (one: WorkerOwner, other: WorkerOwner): boolean =>
  one.taskId === other.taskId && one.attempt === other.attempt;

const textOf = ({ taskId, attempt }: WorkerOwner): string => `attempt ${attempt} of ${taskId}`;

/** Watches the workers of a fleet: what their records say, what their hosts do, and that each machine ends where it belongs. */
export function watchFleet(around: Surroundings) {
  const { records, later, isCalm, isHeard, timings, machines, commands, taskOf, tasks, isDead, complain } = around;
  /** Where each attempt began, by run key. */
  const began = new Map<string, string>();

  return { begins, wrote, machineGone, machineTaken, atTheEnd };

  function clean(taskId: string, message: string): void {
    complain('clean worker', taskId, message);
  }

  function begins(
    run: HostRun,
    left: { readonly living: readonly HostRun[]; readonly files: readonly string[] },
  ): void {
    const { taskId, attempt } = run.spec;
    const key = runKey(taskId, attempt);
    const first = began.get(key);
    if (first !== undefined) clean(taskId, `attempt ${attempt} begins on ${run.worker}, and has begun on ${first}`);
    began.set(key, run.worker);
    const [other] = left.living;
    if (other) clean(taskId, `attempt ${attempt} begins on ${run.worker} beside ${textOf(other.spec)}`);
    const [file] = left.files;
    if (file !== undefined) clean(taskId, `attempt ${attempt} begins on ${run.worker} among what ${file} left`);
  }

  function wrote(key: string, before: unknown, after: unknown): void {
    if (key.startsWith('WORKER#')) workerWritten(before as Worker | undefined, after as Worker);
  }

  function workerWritten(before: Worker | undefined, after: Worker): void {
    const id = after.worker;
    const valid = workerSchema.safeParse(after);
    if (!valid.success) complain('whole fleet', '', `${id}: ${valid.error.message}`);
    if (before?.state === 'gone' && after.state !== 'gone')
      complain('whole fleet', '', `${id} was gone, and is ${after.state}`);
    if (before?.state === 'quarantined' && after.state !== 'quarantined' && after.state !== 'gone')
      complain('whole fleet', '', `${id} was quarantined, and is ${after.state}`);
    if (wasSent(after)) ownsAlone(after);
    if (!wasSent(before)) return;
    const { owner } = before;
    if ('owner' in after && after.owner && !isSame(after.owner, owner))
      clean(owner.taskId, `${id} went from ${textOf(owner)} to ${textOf(after.owner)} without a proof`);
    if (after.state === 'idle' || after.state === 'claimed') mustBeClean(id, owner);
  }

  /** An attempt is sent to one worker. */
  function ownsAlone({ worker, owner }: Sent): void {
    for (const [key, value] of records) {
      if (!key.startsWith('WORKER#')) continue;
      const other = value as Worker;
      if (other.worker !== worker && wasSent(other) && isSame(other.owner, owner))
        clean(owner.taskId, `attempt ${owner.attempt} is sent to ${worker} and to ${other.worker}`);
    }
  }

  /** Who is given back holds nothing of the run, and none of it can come. */
  function mustBeClean(id: string, owner: WorkerOwner): void {
    const { host, lostAtMs } = machines().find(({ worker }) => worker === id) ?? {};
    if (!host || lostAtMs !== undefined) return;
    if (host.has(owner.taskId, owner.attempt))
      clean(owner.taskId, `${id} is given back with something of attempt ${owner.attempt} on it`);
    const { taskId, attempt } = owner;
    if (host.bars(taskId, attempt)) return;
    const command = commands().find(
      ({ instanceId, parameters, mayArrive }) =>
        instanceId === id &&
        mayArrive &&
        parameters.action === 'run' &&
        parameters.taskId === taskId &&
        parameters.attempt === String(attempt),
    );
    if (command) clean(taskId, `${id} is given back while ${command.commandId} may begin attempt ${attempt} on it`);
  }

  /** A task does not wait for a machine that is gone, once that was told, or somebody has looked. */
  function machineGone(id: string, isTold: boolean): void {
    if (!isCalm) return;
    const looksMs = QUIET_CHECKS * timings.START_CHECK_S * 1_000;
    later(isTold ? LOSS_HEARD_WITHIN_MS : LOSS_MISSED_WITHIN_MS + looksMs, () => {
      for (const task of tasks()) {
        if (task.status !== 'STARTING' && task.status !== 'RUNNING') continue;
        const handle = runOf(task)?.handle;
        if (handle?.backend === 'ec2' && handle.instanceId === id)
          complain(
            'whole fleet',
            task.taskId,
            `is ${task.status} on ${id}, which is gone${isTold ? ', and everybody was told' : ' since long'}`,
          );
      }
    });
  }

  /** Who works is protected, unless somebody died on the way. */
  function machineTaken({ worker, host }: Machine): void {
    const [run] = host.living();
    if (isCalm && run)
      complain('whole fleet', run.spec.taskId, `${worker} is taken away, where ${textOf(run.spec)} works`);
  }

  /** Nobody is left with a run or a claim, and nobody who cannot be proven clean is left at all. */
  function atTheEnd(): void {
    for (const [key, value] of records) {
      if (key.startsWith('WORKER#')) workerAtTheEnd(value as Worker);
      if (key.startsWith('FLEET#')) listAtTheEnd(value as FleetRecord);
    }
    for (const { worker, phase, lostAtMs } of machines()) {
      if (phase !== 'in service' || lostAtMs !== undefined || records.has(`WORKER#${worker}`)) continue;
      if (!isDead('register-worker')) complain('whole fleet', '', `${worker} is ready, and nobody knows it`);
    }
  }

  function workerAtTheEnd(worker: Worker): void {
    const { worker: id, state } = worker;
    const machine = machines().find((one) => one.worker === id);
    const isGone = machine === undefined || machine.phase === 'is gone' || machine.lostAtMs !== undefined;
    if (state === 'gone' && !isGone) complain('whole fleet', '', `${id} is said to be gone, and is ${machine.phase}`);
    if (state === 'quarantined' && !isGone && !isDead('replace-worker'))
      complain('whole fleet', '', `${id} is quarantined and was not replaced: ${worker.reason.message}`);
    if (state === 'idle' && machine?.isProtected && !isGone && isHeard && !MAY_FREE.some(isDead))
      complain('whole fleet', '', `${id} is idle, and its group may not take it`);
    if (!wasSent(worker)) return;
    // Of a machine that is gone without a word nobody hears, but whoever needs it.
    const { taskId } = worker.owner;
    const task = taskOf(taskId);
    complain(
      'whole fleet',
      taskId,
      `${id} is ${state} for attempt ${worker.owner.attempt} at the end; its task is ${task?.status}`,
    );
  }

  /** Who could take a run is offered. */
  function listAtTheEnd({ fleet, workers }: FleetRecord): void {
    if (isDead('register-worker')) return;
    for (const { worker: id, phase, lostAtMs } of machines()) {
      const worker = records.get(`WORKER#${id}`) as Worker | undefined;
      const isThere = phase === 'in service' && lostAtMs === undefined;
      if (isThere && worker?.fleet === fleet && isMember(worker) && !workers[id])
        complain('whole fleet', '', `${id} is ${worker.state} and no place of its fleet`);
    }
  }
}
