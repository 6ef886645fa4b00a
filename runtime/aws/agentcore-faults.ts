import { ComputeError } from '../errors.ts';
import type { TroubleKind } from '../session-backend.ts';
import { computeError, faultOf, sdkError } from './sdk-errors.ts';

export type AgentcoreOperation = 'InvokeAgentRuntime' | 'StopRuntimeSession';

/** API references of both operations. All else is sorted as for every service (`faultOf`). */
const faults: Readonly<Record<string, TroubleKind>> = {
  RetryableConflictException: 'conflict',
  ConflictException: 'conflict',
  RuntimeClientError: 'lost',
  ServiceQuotaExceededException: 'quota',
  ResourceNotFoundException: 'gone',
  UnauthorizedException: 'denied',
};

/** Sorts an error that AgentCore answered. */
export const agentcoreFaultOf = (error: unknown): TroubleKind => faults[sdkError(error).name] ?? faultOf(error);

/** The error to throw where the caller has no answer for the fault. */
export function agentcoreError(operation: AgentcoreOperation, error: unknown, fault: TroubleKind): ComputeError {
  const call = `AgentCore ${operation}`;
  switch (fault) {
    case 'quota':
      return new ComputeError('compute_capacity', computeError(call, error).message, { cause: error });
    case 'conflict':
    case 'lost':
      return computeError(call, error, 'unavailable');
    case 'gone':
      return computeError(call, error, 'refused');
    case 'throttled':
    case 'unavailable':
    case 'denied':
    case 'refused':
      return computeError(call, error, fault);
  }
}
