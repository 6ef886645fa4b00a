import type { CommandParameters } from '../schemas/ssm-command.ts';
import type { ComputeError } from './errors.ts';

/** Commands on workers, as far as runs need them: on AWS Systems Manager, on one machine a stand-in. Both throw CommandTrouble. */
export interface CommandService {
  /** Sends the fleet's document to one worker, and answers the id of the command. Asked twice, it sends twice. */
  send(command: CommandToSend): Promise<string>;
  /** What became of a command on its worker; undefined where it is not known: not yet, or not any more. */
  get(commandId: string, instanceId: string): Promise<Invocation | undefined>;
  /** The commands that a worker was sent since then, newest first. Those of the last seconds may be missing. */
  listed(instanceId: string, since: string): Promise<readonly ListedCommand[]>;
  /** One command by its id. */
  found(commandId: string): Promise<ListedCommand | undefined>;
  /** Asks a command to end, which proves nothing. */
  cancel(commandId: string, instanceId: string): Promise<void>;
}

export interface CommandToSend {
  readonly instanceId: string;
  readonly parameters: CommandParameters;
  readonly comment: string;
  /** How long SSM may try to hand it over, in seconds. */
  readonly deliverySeconds: number;
}

export interface Invocation {
  readonly commandId: string;
  readonly status: string;
  /** Says more than `status`, where it is known. */
  readonly statusDetails?: string;
  /** What the host's script exited with. */
  readonly exitCode?: number;
  /** The last that the host said, for people. */
  readonly output?: string;
}

export interface ListedCommand {
  readonly commandId: string;
  readonly comment?: string;
}

/**
 * Why a command could not be sent, cancelled, or asked about. `gone`: there is no such worker to be reached, or no such command. The others
 * are those of every service.
 */
export type CommandFault = 'gone' | 'throttled' | 'unavailable' | 'denied' | 'refused';

export class CommandTrouble extends Error {
  readonly fault: CommandFault;
  /** A try before this one was not answered: nobody knows whether it did what was asked. */
  readonly unheard: boolean;
  /** The same for whoever has no answer for the fault. */
  readonly error: ComputeError;

  constructor(fault: CommandFault, error: ComputeError, unheard = false) {
    super(error.message, { cause: error });
    this.name = 'CommandTrouble';
    this.fault = fault;
    this.error = error;
    this.unheard = unheard;
  }
}
