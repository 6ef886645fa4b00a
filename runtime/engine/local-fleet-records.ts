import type { Envelope } from '../../schemas/envelope.ts';
import type { LocalContainers } from '../../schemas/local-containers.ts';
import type { CommandDocument } from '../../schemas/run-document.ts';
import { HOOK_WAIT_S } from '../../schemas/worker.ts';
import type { Clock, RecordStore } from '../ports.ts';

/** Times of EC2, Auto Scaling and SSM that a laptop need not wait for. */
export interface FleetLimits {
  /** From the warning to the end of a Spot instance (EC2 user guide: two minutes). */
  readonly spotNoticeMs: number;
  /** After this time a machine that was lost without a word is found out, and taken away (Auto Scaling health checks: minutes). */
  readonly lossNoticedMs: number;
  /** For this long a lifecycle hook waits for an answer. */
  readonly launchHookMs: number;
  readonly terminateHookMs: number;
}

export const fleetLimits: FleetLimits = {
  spotNoticeMs: 120_000,
  lossNoticedMs: 120_000,
  launchHookMs: HOOK_WAIT_S.launch * 1_000,
  terminateHookMs: HOOK_WAIT_S.terminate * 1_000,
};

/**
 * Name of the fleet, of its Auto Scaling group, of the hook before a machine is taken away, and of that before one begins, where there is one.
 * `stage`: that of the deployment, which a tag of the group says.
 */
export interface FleetNames {
  readonly fleet: string;
  readonly group: string;
  readonly hook: string;
  readonly launchHook?: string;
  readonly stage?: string;
}

export type InstanceState = 'pending' | 'running' | 'shutting-down' | 'terminated';

/** One instance as the store keeps it. */
export interface InstanceRecord {
  readonly schemaVersion: 1;
  readonly instanceId: string;
  readonly fleet: string;
  readonly state: InstanceState;
  readonly launchedAt: string;
  readonly changedAt: string;
  /** What its boot script said. */
  readonly booted?: 'registered' | 'failed';
  /** The launch hook that is waited for, and until when; then the launch is given up. */
  readonly launching?: { readonly token: string; readonly until: string };
  /** Auto Scaling takes it away of itself only without this. */
  readonly isProtected?: boolean;
  /** Since when SSM's agent on it does not answer. */
  readonly silentSince?: string;
  /** It is about to end: why, from when on, and whether its group shall become smaller. */
  readonly leaving?: {
    readonly why: InstanceEnd;
    readonly at: string;
    readonly shrink: boolean;
    /** Of the lifecycle hook that is waited for. */
    readonly token?: string;
  };
}
export type InstanceEnd = 'terminated' | 'scaled in' | 'spot' | 'host lost';

/** Statuses of an invocation (Systems Manager API reference, CommandInvocation). */
export type InvocationStatus =
  | 'Pending'
  | 'Delayed'
  | 'InProgress'
  | 'Success'
  | 'Failed'
  | 'TimedOut'
  | 'Cancelling'
  | 'Cancelled';
/** They say more; the others are details of themselves. */
export type StatusDetails =
  | InvocationStatus
  | 'DeliveryTimedOut'
  | 'ExecutionTimedOut'
  | 'Undeliverable'
  | 'Terminated';

/** A command for one instance, as the store keeps it. */
export interface CommandRecord {
  readonly schemaVersion: 1;
  readonly commandId: string;
  readonly instanceId: string;
  readonly document: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly comment: string;
  readonly requestedAt: string;
  /** A command that has not begun by then never does. */
  readonly deliverySeconds: number;
  readonly executionSeconds: number;
  readonly status: InvocationStatus;
  readonly details: StatusDetails;
  /** -1 until the script has ended (Systems Manager API reference, GetCommandInvocation). */
  readonly responseCode: number;
  readonly startedAt?: string;
  readonly endedAt?: string;
}

/** What SendCommand asks for. */
export interface CommandRequest {
  readonly instanceId: string;
  readonly document: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly comment: string;
  readonly deliverySeconds: number;
}

export type FleetFaultKind =
  | 'unknown_instance'
  | 'unknown_command'
  | 'unknown_document'
  | 'invalid_parameters'
  | 'throttled'
  | 'denied'
  | 'internal';

/** Why a call is refused; the last three can be asked for in tests. */
export class FleetFault extends Error {
  readonly kind: FleetFaultKind;

  constructor(kind: FleetFaultKind, message: string) {
    super(message);
    this.name = 'FleetFault';
    this.kind = kind;
  }
}

/** How a machine is taken away: with a warning, without a word, or only its agent of SSM, while the run goes on. */
export type Loss = 'spot' | 'host' | 'agent';

/** What becomes of an event on its way: the sources of all of them deliver as well as they can, and no better. */
export interface Weather {
  /** 0 loses it. */
  readonly copies?: number;
  readonly delayMs?: number;
}

export interface LocalFleetOptions {
  readonly store: RecordStore;
  readonly clock: Clock;
  readonly dataDir: string;
  readonly names: FleetNames;
  /** How many instances the group has at its first start. */
  readonly capacity: number;
  /** Takes native events, once: what it refuses is lost. */
  readonly bus: (events: Envelope[]) => Promise<void>;
  /** Takes what a boot script says, with the reason where the boot failed. Offered again until it accepts. */
  readonly announce: (instanceId: string, failure?: string) => Promise<void>;
  /** Documents by name. */
  readonly documents: Readonly<Record<string, CommandDocument>>;
  /** Program and arguments of the supervisor; a directory is added. */
  readonly supervisorCommand: readonly string[];
  /** Program and arguments of what stands for `docker` on a worker. */
  readonly containersCommand: readonly string[];
  /** Program and arguments of the runner; the command of a container is added. */
  readonly runnerCommand: readonly string[];
  /** What the container of a command is given besides, and the name of its directory below `runs`. */
  readonly containerOf?: (command: CommandRecord) => Pick<LocalContainers, 'environment' | 'runDirName'>;
  readonly stopTimeoutSeconds?: number;
  readonly limits?: Partial<FleetLimits>;
  /** Faults for tests and demonstrations. */
  readonly failing?: (operation: 'send' | 'cancel' | 'terminate', subject: string) => FleetFault | undefined;
  readonly failBoot?: (instanceId: string) => string | undefined;
  /** A command that never reaches its instance, or that SSM takes back. */
  readonly fate?: (command: CommandRecord) => 'Undeliverable' | 'Terminated' | undefined;
  readonly weather?: (event: Envelope) => Weather;
  /** Called before the end of a command is shown. May be called again. */
  readonly onEnd?: (command: CommandRecord) => Promise<void>;
  /** Told what went wrong but is tried again. */
  readonly warn?: (message: string, error: unknown) => void;
}

/** SSM, EC2 and Auto Scaling over workers of this machine. */
export interface LocalFleet {
  /** Names of the documents that can be sent. */
  documents(): readonly string[];
  /** Sends a command to one instance. Throws FleetFault. */
  send(request: CommandRequest): Promise<CommandRecord>;
  /** Asks for the end of a command; one that has ended stays as it is. Throws FleetFault. */
  cancel(commandId: string): Promise<void>;
  command(commandId: string): Promise<CommandRecord | undefined>;
  /** What its script has printed so far. */
  output(command: CommandRecord): string;
  /** The newest first. */
  commands(): Promise<CommandRecord[]>;
  instances(): Promise<InstanceRecord[]>;
  /** Ends an instance once its hook is answered; the group makes another one unless it shall shrink. Throws FleetFault. */
  terminate(instanceId: string, options?: { readonly shrink?: boolean }): Promise<InstanceRecord>;
  /** Throws FleetFault, also for an instance that is not in service yet, or not any more. */
  protect(instanceId: string, isProtected: boolean): Promise<void>;
  /** The group becomes smaller by one instance that is not protected; undefined if all are. It waits for the hook. */
  scaleIn(): Promise<string | undefined>;
  /** Answers a hook; `abandon` gives a launch up. Throws FleetFault. */
  completeLifecycle(instanceId: string, of?: 'launch' | 'terminate', abandon?: boolean): Promise<void>;
  /** Takes a machine away, as AWS does. False if it is not there. For tests and demonstrations. */
  interrupt(instanceId: string, how: Loss): Promise<boolean>;
  /** Takes up what an earlier process left, and fills the group. Call once, before anything else. */
  recover(): Promise<void>;
  /** Stops looking; runs go on. */
  close(): Promise<void>;
}

/** What SSM's agent puts at the end of a script's error output (amazon-ssm-agent, runscript): of a failure alone. */
export const agentWords = ({ status, responseCode }: CommandRecord): string =>
  status === 'Failed' && responseCode > 0 ? `failed to run commands: exit status ${responseCode}` : '';

export const isOver = ({ status }: CommandRecord): boolean =>
  status === 'Success' || status === 'Failed' || status === 'TimedOut' || status === 'Cancelled';
