import { ComputeError } from '../errors.ts';
import { computeError, type Fault, faultOf, sdkError } from './sdk-errors.ts';

export type EcsOperation = 'RunTask' | 'StopTask' | 'DescribeTasks' | 'ListTasks';

/**
 * What an error of ECS means for a run. `capacity`: nothing is free now. `adopt`: the client token has a task already. `gone`: what
 * was asked about does not exist. `look`: only asking tells. `refused` and the other faults are those of every service.
 */
export type EcsFault = Fault | 'capacity' | 'adopt' | 'gone' | 'look';

/** What has a meaning of its own for an operation. All else is sorted as for every service (`faultOf`). */
const faults: Record<EcsOperation, Readonly<Record<string, EcsFault>>> = {
  RunTask: {
    ConflictException: 'adopt',
  },
  StopTask: {
    ClusterNotFoundException: 'gone',
    // ECS says the same of a task that has stopped, of one that it has forgotten, and of one that never was.
    InvalidParameterException: 'look',
    ClientException: 'look',
  },
  // A cluster is only deleted when nothing runs in it.
  DescribeTasks: {
    ClusterNotFoundException: 'gone',
  },
  ListTasks: {
    ClusterNotFoundException: 'gone',
  },
};

/**
 * Words in which ECS says that nothing is free, as reason of a failure or as message of an error: EC2 resources, Fargate capacity, and
 * the account's quotas of Fargate (Amazon ECS developer guide, API failure messages).
 */
const CAPACITY = [
  /^RESOURCE:/,
  /\bcapacity is unavailable\b/i,
  /\blimit on the number of (tasks|vcpus)\b/i,
  /\bprovisioning capacity limit exceeded\b/i,
];

/** `reason` of a `failures[]` entry of RunTask whose cause passes: the agent of a container instance is away. */
const PASSING_FAILURES: ReadonlySet<string> = new Set(['AGENT', 'INACTIVE']);

/** Sorts an error that ECS answered to an operation. */
export function ecsFaultOf(operation: EcsOperation, error: unknown): EcsFault {
  const { name, message } = sdkError(error);
  if (operation === 'RunTask' && saysNoCapacity(message)) return 'capacity';
  return faults[operation][name] ?? faultOf(error);
}

/** The error to throw where the caller has no answer for the fault. */
export function ecsError(operation: EcsOperation, error: unknown, fault: EcsFault): ComputeError {
  const call = `ECS ${operation}`;
  switch (fault) {
    case 'capacity':
      return new ComputeError('compute_capacity', computeError(call, error).message, { cause: error });
    case 'adopt':
    case 'gone':
    case 'look':
      return computeError(call, error);
    case 'throttled':
    case 'unavailable':
    case 'denied':
    case 'refused':
      return computeError(call, error, fault);
  }
}

/** Sorts a failure that RunTask answered with status 200. */
export function startFaultOf({ reason = '', detail = '' }: StartFailure): 'capacity' | 'unavailable' | 'refused' {
  if (saysNoCapacity(reason) || saysNoCapacity(detail)) return 'capacity';
  return PASSING_FAILURES.has(reason) ? 'unavailable' : 'refused';
}

/** "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster." */
const LACKS_PROVIDER = /\bcapacity provider\b.*\bnot associated\b/i;

/** What to do about a refused start, to go behind what ECS said; empty where its own words must do. */
export const startRemedyOf = (error: unknown): string =>
  LACKS_PROVIDER.test(sdkError(error).message)
    ? ' Deploy the infrastructure again, which gives the cluster FARGATE and FARGATE_SPOT, or configure the capacity "on-demand".'
    : '';

const saysNoCapacity = (text: string): boolean => CAPACITY.some((words) => words.test(text));

interface StartFailure {
  readonly reason?: string | undefined;
  readonly detail?: string | undefined;
}
