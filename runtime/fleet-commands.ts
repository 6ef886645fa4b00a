import type { FleetWaits } from '../lifecycle/worker.ts';
import { because, type Reason } from '../schemas/reason.ts';
import {
  commandParameters,
  commentOf,
  type Ec2Handle,
  EXECUTION_TIMEOUT_S,
  NO_PAYLOAD,
  type WorkerOwner,
} from '../schemas/ssm-command.ts';
import type { CommandFault, CommandToSend } from './command-service.ts';
import type { StartOnWorker } from './ports.ts';

/** The command of a run, the same at every try; a sentence where there can be none. All else about the run the host reads from the payload. */
export function runCommand(run: StartOnWorker, { DELIVERY_S }: FleetWaits): CommandToSend | string {
  const { taskId, attempt, environment, executionSeconds, worker } = run;
  const { BATON_TASK_ID, BATON_ATTEMPT, BATON_PAYLOAD, ...others } = environment;
  const [strange] = Object.keys(others);
  if (strange !== undefined) return `A worker takes no variable "${strange}": its host sets all others.`;
  if (BATON_TASK_ID !== taskId || BATON_ATTEMPT !== String(attempt)) return 'The variables name another attempt.';
  const parsed = commandParameters.safeParse({
    action: 'run',
    taskId,
    attempt: BATON_ATTEMPT,
    payload: BATON_PAYLOAD,
    executionTimeout: seconds(executionSeconds),
  });
  if (!parsed.success)
    return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  const comment = commentOf('run', ownerOf(worker));
  return { instanceId: worker.instanceId, parameters: parsed.data, comment, deliverySeconds: DELIVERY_S };
}

/** The command that asks a host to end a run, and to prove it. */
export function endCommand(handle: Ec2Handle, { DELIVERY_S, END_PROOF_S }: FleetWaits): CommandToSend {
  const { instanceId, taskId, attempt } = handle;
  const parameters = {
    action: 'end',
    taskId,
    attempt: String(attempt),
    payload: NO_PAYLOAD,
    executionTimeout: seconds(END_PROOF_S),
  };
  const comment = commentOf('end', ownerOf(handle));
  return { instanceId, parameters, comment, deliverySeconds: DELIVERY_S };
}

export const ownerOf = ({ taskId, attempt }: Ec2Handle): WorkerOwner => ({ taskId, attempt });

const seconds = (wanted: number): string =>
  String(Math.min(EXECUTION_TIMEOUT_S.max, Math.max(EXECUTION_TIMEOUT_S.min, Math.ceil(wanted))));

/** Why nothing was sent, where the answer says that for certain. */
export function refusalOf(fault: CommandFault, told: string): Reason | undefined {
  switch (fault) {
    case 'gone':
      return because('worker_unreachable', told);
    case 'throttled':
      return because('start_throttled', told);
    case 'denied':
    case 'refused':
      return because('start_refused', told);
    case 'unavailable':
      return undefined;
  }
}
