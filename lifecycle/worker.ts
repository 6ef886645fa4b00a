import type { Reason } from '../schemas/reason.ts';
import type { WorkerOwner } from '../schemas/ssm-command.ts';
import type { LastRun, Worker, WorkerIn } from '../schemas/worker.ts';
import { later } from './evolve.ts';
import { scattered } from './slot-decisions.ts';

/** Waits of a fleet, in seconds. */
export interface FleetWaits {
  /** How long a claim holds before anything is sent: longer than the function that claims, its first retry, and that one's run. */
  readonly CLAIM_EXPIRY_S: number;
  /** How long it stays open whether a command was sent: until the function that began to send is over, and a list shows what it sent. */
  readonly DISPATCH_DOUBT_S: number;
  /** How long SSM tries to hand a command to its worker. One that does not take it by then is not well. */
  readonly DELIVERY_S: number;
  /** How long after its start a command may be invisible to questions: they are eventually consistent. */
  readonly COMMAND_SHOWS_S: number;
  /** How long the host may take to end a run and to prove it: a grace for saving work, then force. */
  readonly END_PROOF_S: number;
}

/** For AWS: functions end after 30 s and are repeated after 60. */
export const awsFleetWaits: FleetWaits = {
  CLAIM_EXPIRY_S: 180,
  DISPATCH_DOUBT_S: 60,
  DELIVERY_S: 120,
  COMMAND_SHOWS_S: 60,
  END_PROOF_S: 150,
};

/**
 * For one machine: whoever claims or sends is a process that lives, or is gone with its world and begins again when the next one opens.
 * Its hosts are as slow as those of AWS: each step of their script is a process.
 */
export const embeddedFleetWaits: FleetWaits = {
  CLAIM_EXPIRY_S: 20,
  DISPATCH_DOUBT_S: 5,
  DELIVERY_S: 60,
  COMMAND_SHOWS_S: 5,
  END_PROOF_S: 90,
};

/** How often the proof of an end is asked for anew when a command for it was lost. Then the task gives up, and the worker is quarantined. */
export const END_TRIES_MAX = 5;

/**
 * What a request came to: the worker as it is to be written, where it changes, and the answer. Every request is decided on the whole record
 * and written by one conditional write, so of two at once one is decided again.
 */
export interface WorkerDecision<Answer extends string> {
  readonly next?: Worker;
  readonly answer: Answer;
}

interface ByOwner {
  readonly owner: WorkerOwner;
  readonly at: string;
}

const answers = <Answer extends string>(answer: Answer, next?: Worker): WorkerDecision<Answer> => ({
  answer,
  ...(next ? { next } : {}),
});

/** A worker that an attempt has. */
export type Owned = WorkerIn<'claimed' | 'dispatching' | 'dispatched' | 'returning'>;

/** Whether an attempt has this worker now. */
export const isOwnedBy = (worker: Worker | undefined, owner: WorkerOwner): worker is Owned =>
  worker !== undefined && isOwned(worker) && isSame(worker.owner, owner);

/** Whether any attempt has it. */
export const isOwned = (worker: Worker): worker is Owned =>
  worker.state === 'claimed' ||
  worker.state === 'dispatching' ||
  worker.state === 'dispatched' ||
  worker.state === 'returning';

const isSame = (one: WorkerOwner, other: WorkerOwner): boolean =>
  one.taskId === other.taskId && one.attempt === other.attempt;

/** What every state has. */
const rest = ({ worker, fleet, last, leaving }: Worker) => ({
  worker,
  fleet,
  ...(last ? { last } : {}),
  ...(leaving ? { leaving } : {}),
});

interface Announced {
  readonly worker: string;
  readonly fleet: string;
  readonly at: string;
}

/** The machine exists, and is not ready yet. */
export const boots = (
  known: Worker | undefined,
  { worker, fleet, at }: Announced,
): WorkerDecision<'noted' | 'already'> =>
  known ? answers('already') : answers('noted', { worker, fleet, since: at, state: 'booting' });

/** The machine says that it is ready. One that is out of its fleet does not come back by saying so. */
export function register(
  known: Worker | undefined,
  { worker, fleet, at }: Announced,
): WorkerDecision<'registered' | 'already' | 'refused'> {
  if (known && known.fleet !== fleet) return answers('refused');
  switch (known?.state) {
    case undefined:
    case 'booting':
      return answers('registered', { worker, fleet, since: at, state: 'idle' });
    case 'quarantined':
    case 'gone':
      return answers('refused');
    case 'idle':
    case 'claimed':
    case 'dispatching':
    case 'dispatched':
    case 'returning':
      return answers('already');
  }
}

/** Takes the worker for an attempt. Again by the same attempt it holds anew; a claim that lapsed is anybody's. */
export function claim(
  worker: Worker,
  { owner, at }: ByOwner,
  { CLAIM_EXPIRY_S }: FleetWaits,
): WorkerDecision<'claimed' | 'taken'> {
  const free = worker.state === 'idle' || (worker.state === 'claimed' && worker.expiresAt <= at);
  const own = worker.state === 'claimed' && isSame(worker.owner, owner);
  if (worker.leaving || !(free || own)) return answers('taken');
  return answers('claimed', {
    ...rest(worker),
    since: at,
    state: 'claimed',
    owner,
    claimedAt: at,
    expiresAt: later(at, CLAIM_EXPIRY_S),
  });
}

/**
 * The owner is about to send its command. `send`: nobody has begun to. `wait`: somebody has, a moment ago. `look`: somebody had, and is over by
 * now; whoever is told so is the only one to look what came of it, and to send if nothing did. `sent`: it was, and has an id. `lost`: the
 * worker is not the owner's any more, or is about to be taken away.
 */
export function dispatch(
  worker: Worker | undefined,
  { owner, at }: ByOwner,
  { DISPATCH_DOUBT_S }: FleetWaits,
): WorkerDecision<'send' | 'wait' | 'look' | 'sent' | 'lost'> {
  if (!isOwnedBy(worker, owner)) return answers('lost');
  const { claimedAt } = worker;
  switch (worker.state) {
    case 'claimed':
      if (worker.leaving) return answers('lost');
      return answers('send', { ...rest(worker), since: at, state: 'dispatching', owner, claimedAt });
    case 'dispatching':
      if (at < later(worker.since, DISPATCH_DOUBT_S)) return answers('wait');
      return answers('look', { ...worker, since: at });
    case 'dispatched':
      return answers('sent');
    case 'returning':
      return answers('lost');
  }
}

/**
 * The command was sent, and has this id. `duplicate`: another command of this attempt was noted before. `over`: nobody waits for it any
 * more. The command of both is to be cancelled.
 */
export function dispatched(
  worker: Worker | undefined,
  { owner, at, commandId }: ByOwner & { readonly commandId: string },
): WorkerDecision<'noted' | 'already' | 'duplicate' | 'over'> {
  if (!isOwnedBy(worker, owner)) return answers('over');
  switch (worker.state) {
    case 'dispatching':
      return answers('noted', {
        ...rest(worker),
        since: at,
        state: 'dispatched',
        owner,
        claimedAt: worker.claimedAt,
        commandId,
        dispatchedAt: at,
      });
    case 'dispatched':
      return worker.commandId === commandId ? answers('already') : answers('duplicate');
    case 'claimed':
    case 'returning':
      return answers('over');
  }
}

/** The run must end: from now on only a proof, or the end of the machine, gives the worker back. */
export function returning(
  worker: Worker | undefined,
  { owner, at }: ByOwner,
): WorkerDecision<'returning' | 'unsent' | 'not_owned'> {
  if (!isOwnedBy(worker, owner)) return answers('not_owned');
  switch (worker.state) {
    case 'claimed':
      return answers('unsent', freed(worker, { owner, at }));
    case 'dispatching':
    case 'dispatched': {
      const { claimedAt } = worker;
      const sent = worker.state === 'dispatched' ? { commandId: worker.commandId } : {};
      const next = { ...rest(worker), since: at, state: 'returning', owner, claimedAt, ...sent, endTries: 0 } as const;
      return answers('returning', next);
    }
    case 'returning':
      return answers('returning');
  }
}

/** A command that is to prove the end was sent. */
export function endSent(
  worker: Worker | undefined,
  { owner, at, commandId }: ByOwner & { readonly commandId: string },
): WorkerDecision<'noted' | 'over'> {
  if (!isOwnedBy(worker, owner) || worker.state !== 'returning') return answers('over');
  return answers('noted', { ...worker, since: at, endCommandId: commandId, endTries: worker.endTries + 1 });
}

/** The owner has no use for its claim, and has sent nothing. */
export function giveBack(worker: Worker | undefined, by: ByOwner): WorkerDecision<'freed' | 'already'> {
  const unused = isOwnedBy(worker, by.owner) && worker.state === 'claimed';
  return unused ? answers('freed', freed(worker, by)) : answers('already');
}

/**
 * Nothing of the owner's run is left: proven by the host, or it was never sent. Whoever says so for another attempt, or again, changes
 * nothing. A worker that is about to be taken away gets no new run.
 */
export function free(
  worker: Worker | undefined,
  given: ByOwner & Pick<LastRun, 'exitCode'>,
): WorkerDecision<'freed' | 'already'> {
  return isOwnedBy(worker, given.owner) ? answers('freed', freed(worker, given)) : answers('already');
}

function freed(worker: Owned, { owner, at, exitCode }: ByOwner & Pick<LastRun, 'exitCode'>): Worker {
  const { worker: id, fleet, leaving } = worker;
  const commandId = worker.state === 'dispatched' || worker.state === 'returning' ? worker.commandId : undefined;
  const own = {
    ...owner,
    at,
    ...(commandId === undefined ? {} : { commandId }),
    ...(exitCode === undefined ? {} : { exitCode }),
  };
  // Of what was never sent no late word can come; of the run before it one may.
  const isUnsent = worker.state === 'claimed' || worker.state === 'dispatching';
  const last = isUnsent && worker.last?.commandId !== undefined ? worker.last : own;
  const base = { worker: id, fleet, since: at, last };
  return leaving ? { ...base, leaving, state: 'quarantined', reason: leaving.reason } : { ...base, state: 'idle' };
}

/**
 * Nobody may use the worker any more. With `owner`: only as long as it is the owner's. The owner's run is over only when the machine is
 * gone.
 */
export function quarantine(
  worker: Worker | undefined,
  { owner, at, reason }: { readonly owner?: WorkerOwner; readonly at: string; readonly reason: Reason },
): WorkerDecision<'quarantined' | 'already' | 'not_owned'> {
  if (!worker || worker.state === 'gone') return answers('already');
  if (worker.state === 'quarantined') return answers('already');
  if (owner && !isOwnedBy(worker, owner)) return answers('not_owned');
  return answers('quarantined', {
    ...rest(worker),
    since: at,
    state: 'quarantined',
    ...(isOwned(worker) ? { owner: worker.owner } : {}),
    reason,
  });
}

/** The boot failed. Said of a machine that is ready, it is no truth: any other could say so. */
export function bootFailed(
  known: Worker | undefined,
  { worker, fleet, at, reason }: Announced & { readonly reason: Reason },
): WorkerDecision<'quarantined' | 'already' | 'refused'> {
  if (!known) return answers('quarantined', { worker, fleet, since: at, state: 'quarantined', reason });
  if (known.fleet !== fleet || isMember(known)) return answers('refused');
  const decided = quarantine(known, { at, reason });
  return decided.answer === 'not_owned' ? answers('refused') : answers(decided.answer, decided.next);
}

/** The machine will be taken away soon. What runs on it may go on; nothing new begins. */
export function leaves(
  worker: Worker | undefined,
  { at, reason }: { readonly at: string; readonly reason: Reason },
): WorkerDecision<'leaving' | 'left' | 'already'> {
  if (!worker || worker.leaving) return answers('already');
  // Whoever let a claim lapse does not come to give it back.
  const hasLapsed = worker.state === 'claimed' && worker.expiresAt <= at;
  switch (hasLapsed ? 'idle' : worker.state) {
    case 'booting':
    case 'idle':
      return answers('left', { ...rest(worker), leaving: { at, reason }, since: at, state: 'quarantined', reason });
    case 'claimed':
    case 'dispatching':
    case 'dispatched':
    case 'returning':
      return answers('leaving', { ...worker, leaving: { at, reason } });
    case 'quarantined':
    case 'gone':
      return answers('already');
  }
}

/** There is no such machine any more, and so nothing of any run on it. It keeps its owner, whose run ended with it. */
export function goes(
  worker: Worker | undefined,
  { at, reason }: { readonly at: string; readonly reason: Reason },
): WorkerDecision<'gone' | 'already'> {
  if (!worker || worker.state === 'gone') return answers('already');
  const owner = 'owner' in worker ? worker.owner : undefined;
  return answers('gone', { ...rest(worker), since: at, state: 'gone', ...(owner ? { owner } : {}), reason });
}

/** Whether it counts as a place of its fleet. */
export const isMember = ({ state }: Pick<Worker, 'state'>): boolean =>
  state !== 'booting' && state !== 'quarantined' && state !== 'gone';

/**
 * In which order an attempt looks for a worker: each begins somewhere else, so that those who look at once do not all try the same ones,
 * and always at the same place, so that a repetition finds what it has claimed before.
 */
export function lookOrder(workers: readonly string[], { taskId, attempt }: WorkerOwner): string[] {
  const sorted = [...workers].sort();
  if (sorted.length === 0) return [];
  const from = scattered(`${taskId}#${attempt}`) % sorted.length;
  return [...sorted.slice(from), ...sorted.slice(0, from)];
}
