import type { CommandFault } from '../command-service.ts';
import type { ComputeError } from '../errors.ts';
import { computeError, faultOf, sdkError } from './sdk-errors.ts';

export type SsmOperation = 'SendCommand' | 'GetCommandInvocation' | 'ListCommands' | 'CancelCommand';

/**
 * What says that there is no such worker to be reached, or no such command (API references of the four operations). All else is sorted as for
 * every service (`faultOf`): Systems Manager has no error of its own for too many calls.
 */
const GONE: ReadonlySet<string> = new Set(['InvalidInstanceId', 'InvalidCommandId', 'InvocationDoesNotExist']);

/** Sorts an error that Systems Manager answered. */
export const ssmFaultOf = (error: unknown): CommandFault => (GONE.has(sdkError(error).name) ? 'gone' : faultOf(error));

/** The error to throw where the caller has no answer for the fault. */
export const ssmError = (operation: SsmOperation, error: unknown, fault: CommandFault): ComputeError =>
  computeError(`SSM ${operation}`, error, fault === 'gone' ? 'refused' : fault);
