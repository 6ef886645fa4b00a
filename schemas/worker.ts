import * as z from 'zod';
import { instant } from './json.ts';
import { reason } from './reason.ts';
import { fleetName, workerId, workerOwner } from './ssm-command.ts';
import { prefixOf } from './stage.ts';

/** The fleet that is meant when a task names none. */
export const FLEET_DEFAULT = 'main';

/** Most workers of one fleet: keeps its record small, and the look for an idle one affordable. */
export const FLEET_WORKERS_MAX = 200;

/**
 * `booting`: its machine is there, and it has not said that it is ready. `idle`: ready, and proven to hold nothing of any run. `claimed`: of
 * an attempt that has not begun to send its command. `dispatching`: the command may have been sent. `dispatched`: it was, and has an id.
 * `returning`: the host is asked to prove that nothing is left. `quarantined`: it could not, so nobody uses it any more. `gone`: there is no
 * such machine any more.
 */
export const workerStates = [
  'booting',
  'idle',
  'claimed',
  'dispatching',
  'dispatched',
  'returning',
  'quarantined',
  'gone',
] as const;
export const workerState = z.enum(workerStates);
export type WorkerState = z.infer<typeof workerState>;

/** What was done on a worker before: so that late words about it are known as such. */
const lastRun = workerOwner.extend({
  commandId: z.string().optional(),
  at: instant,
  /** What the host's script exited with, where that is known. */
  exitCode: z.int().optional(),
});
export type LastRun = z.infer<typeof lastRun>;

const base = {
  worker: workerId,
  fleet: fleetName,
  /** Since when it is in its state. */
  since: instant,
  last: lastRun.optional(),
  /** It is about to be taken away: it ends what it does, and gets nothing new. */
  leaving: z.object({ at: instant, reason }).optional(),
};
/** `claimedAt`: no command for the owner is older. */
const owned = { ...base, owner: workerOwner, claimedAt: instant };
const sent = { ...owned, commandId: z.string(), dispatchedAt: instant };

/** The record of one worker: a field exists only in the states that have it. */
export const worker = z.discriminatedUnion('state', [
  z.object({ ...base, state: z.literal('booting') }),
  z.object({ ...base, state: z.literal('idle') }),
  /** Until when the claim holds if nothing is sent; from then on whoever needs a worker takes it. */
  z.object({ ...owned, state: z.literal('claimed'), expiresAt: instant }),
  z.object({ ...owned, state: z.literal('dispatching') }),
  z.object({ ...sent, state: z.literal('dispatched') }),
  z.object({
    ...owned,
    state: z.literal('returning'),
    /** Command of the run, where its id was ever known. */
    commandId: z.string().optional(),
    /** The command that is to prove the end, once it was sent; how often one was. */
    endCommandId: z.string().optional(),
    endTries: z.int().min(0),
  }),
  z.object({ ...base, state: z.literal('quarantined'), owner: workerOwner.optional(), reason }),
  z.object({ ...base, state: z.literal('gone'), owner: workerOwner.optional(), reason }),
]);
export type Worker = z.infer<typeof worker>;
export type WorkerIn<S extends WorkerState> = Extract<Worker, { state: S }>;

/** Who belongs to a fleet and counts as a place of it: the limit of its slot key, and where to look for an idle one. */
export const fleetRecord = z.object({
  fleet: fleetName,
  /** Worker → since when it belongs to it. */
  workers: z.record(z.string(), z.object({ since: instant })),
});
export type FleetRecord = z.infer<typeof fleetRecord>;

/** Name of the Auto Scaling group whose machines are the workers of a fleet. */
export const fleetGroupOf = (stage: string, fleet: string): string => `${prefixOf(stage)}-fleet-${fleet}`;

/** Which of these fleets such a group is; undefined for a group of others. */
export const fleetOfGroup = (stage: string, fleets: readonly string[], group: string): string | undefined =>
  fleets.find((fleet) => fleetGroupOf(stage, fleet) === group);

/**
 * The lifecycle hooks of such a group. A launch that nobody answers is given up, so that a machine which cannot even say that its boot failed
 * is replaced; a machine that is to go goes in the end.
 */
export const lifecycleHooks = { launch: 'baton-launch', terminate: 'baton-terminate' } as const;
export type LifecycleHook = keyof typeof lifecycleHooks;

/**
 * For how long a hook waits for an answer, in seconds. `launch`: a boot with its image to pull, several times over, and then
 * the wait for Systems Manager, which `agent/host/boot.sh` ends in time to say so. `terminate`: a run that saves its work, the proof of its
 * end, and tries after one that was lost.
 */
export const HOOK_WAIT_S: Readonly<Record<LifecycleHook, number>> = { launch: 1_200, terminate: 900 };

/** The slot key of a fleet: as many may hold it as the fleet has workers. */
export const fleetSlotKey = (fleet: string): string => `fleet:${fleet}`;

/** The fleet of such a key. */
export const fleetOfSlotKey = (key: string): string | undefined =>
  key.startsWith('fleet:') ? key.slice('fleet:'.length) : undefined;
