import * as z from 'zod';
import { shortText, TEXT_MAX_CHARS } from './json.ts';

/**
 * Why a task or a run ended as it did: a closed list of what Baton itself concludes, each with the next step for a person.
 * The agent's report may bring a code of its own; `remedyFor` then points to the log.
 */
export const reasons = {
  queue_full: 'The queue of this key is at its bound. Wait for tasks to end, or raise the limit of the key.',
  hydration_failed: 'The input of the run could not be prepared. Read the message, mend it, submit again.',
  start_refused:
    'The back end refused to start the run. The message is its own; mend the request or the configuration.',
  start_lost:
    'No run was found after the start was sent. Baton tries again; if it happens often, look at the back end.',
  never_started:
    'The container never ran. The message is the reason the back end gave: mostly the program of the image, or the log group.',
  role_unavailable:
    'A role of the task definition could not be assumed. Look whether it exists, and whether its trust policy lets ECS tasks assume it. Baton tries again.',
  image_unavailable:
    'The image of the run could not be pulled. Look whether it is there for this processor architecture, whether the execution role may pull it, and whether the subnets reach the registry. Baton tries again.',
  secret_unavailable:
    'A secret that the run needs could not be read. Look whether it exists and holds text, whether the role that reads it may (on ECS the execution role, on AgentCore the role of the runtime, on a fleet that of its machines) and may use its key, and whether the store of secrets is reached. Baton tries again.',
  files_unavailable:
    'A file system of the task definition could not be mounted. Look whether it has a mount target in the subnets that the run may reach, whether the access point exists, and whether the task role may mount it. Baton tries again.',
  network_unavailable:
    'The run could not be connected to its network. Look at the subnets (free addresses, routes) and the security group. Baton tries again.',
  compute_gone: 'The run vanished without a sign. Baton tries again from saved work.',
  definition_refused:
    'There is no task definition that the run could use. The message says what is wrong and what to do. Submit again then.',
  no_capacity:
    'The back end had no capacity for the run. Baton tries again later; if it stays, ask for a higher quota.',
  start_throttled: 'The back end took no more starts just then. Baton tries again later.',
  stalled:
    'The agent said nothing within the time for its first word. Baton tries again; look at the log, or allow more time.',
  no_heartbeat:
    'The run gave no sign of life any more, and was stopped. Why is not known; the log of the run may say more. Baton tries again from saved work.',
  rate_limited:
    'A service that the agent needs asked it to wait. Baton pauses the task, without a slot, and goes on from saved work.',
  wait_too_long:
    'A service that the agent needs asked it to wait for longer than the task has time, or once more than a task may pause. Give it more time, or submit it again later.',
  guardrail_blocked:
    'The guardrail found something in the text (the event ScreeningBlocked says which filter). Say it otherwise, submit again.',
  screening_failed:
    'The text could not be screened, and what is not screened does not run. Mend the guardrail, submit again.',
  context_unavailable:
    'The issue or pull request could not be read. Check its address and the rights of the token, submit again.',
  environment_missing:
    'A variable that the configuration of the repository refers to is not set where the runner runs. Set it, or change the configuration.',
  spot_interrupted: 'Spot capacity was taken back. Baton tries again from saved work.',
  host_lost: 'The host under the run went away. Baton tries again from saved work.',
  stopped_outside: 'Somebody other than Baton stopped the run. Baton tries again from saved work.',
  out_of_memory:
    'The run used more memory than it has. Give it more: the size of the user in the configuration of the repository, else the memory of the base task definition. Another attempt alone will hardly help. Baton tries again.',
  worker_unreachable:
    'The worker of the run did not take its command, or did not answer any more. Baton proves its end, or replaces the worker; look at the agent of Systems Manager on it. Baton tries again.',
  ran_too_long:
    'The run was ended by the time-out of its command, which lies behind that of its task. Baton tries again; look at the alarm clock.',
  command_refused:
    'The worker may not run the command, or is of another platform. Look at the document of the fleet, its image, and the rights of who sends.',
  end_unproven:
    'The host could not end all that the run left. The worker is quarantined and replaced. Baton tries again on another.',
  boot_failed:
    'The machine could not be made ready. The message is the line of the boot script; the machine is replaced.',
  back_end_failed:
    'The back end failed in itself: its container runtime, its storage. Baton tries again from saved work; if it stays, look at the health page of the back end.',
  killed:
    'The run was killed by a signal that Baton did not send: for want of memory, or because another container of its task failed. Look at the message and the log. Baton tries again.',
  unreachable: 'The runner could not reach Baton to report. Baton tries again.',
  unknown_stop:
    'The back end gave a stop code that this version does not know. Baton tries again; please report the code.',
  exited_before_claim: 'The runner exited before it had claimed the task. Look at the log of the run.',
  exited_without_report: 'The runner exited as if all were well, but no report was stored. Look at the log of the run.',
  runner_failed: 'The runner failed without a report. Look at the log of the run.',
  fenced: 'The run found itself replaced by a newer one and stopped.',
  agent_failed: 'The agent command ended with an error. Look at the log of the run.',
  agent_not_found: 'The agent command does not exist where it ran. Install it, or give another with --agent.',
  clone_failed: 'The repository could not be cloned. Check the address and the rights.',
  base_branch_missing: 'The base branch does not exist in the repository.',
  push_failed: 'The branch could not be pushed. Check the rights and whether somebody else moved the branch.',
  cancelled: 'Cancelled on request.',
  timed_out: 'The time-out of the task passed. Give it more time with --timeout, or a smaller prompt.',
} as const satisfies Record<string, string>;

export type ReasonCode = keyof typeof reasons;

/** The container never ran: there was no process whose end had to be seen. */
export const NEVER_RAN: ReadonlySet<string> = new Set<ReasonCode>([
  'never_started',
  'no_capacity',
  'role_unavailable',
  'image_unavailable',
  'secret_unavailable',
  'files_unavailable',
  'network_unavailable',
]);

/** A code of the registry above, or the agent's own, with one sentence of what happened. */
export const reason = z.object({ code: z.string().min(1).max(64), message: z.string().max(TEXT_MAX_CHARS) });
export type Reason = z.infer<typeof reason>;

export const because = (code: ReasonCode, message: string): Reason => ({ code, message: shortText(message) });

/** The next step for a person. `isOver`: the task has ended with it, and so nothing is tried again. */
export function remedyFor(code: string, isOver = false): string {
  const text = code in reasons ? reasons[code as ReasonCode] : GIVEN_BY_AGENT;
  return isOver
    ? text.replace(/Baton tries again( later| from saved work| on another)?/, 'Baton does not try again')
    : text;
}

const GIVEN_BY_AGENT = 'The agent gave this reason itself. Look at the log of the run.';

/** The same for whoever reads the message as well: nothing where it says no more. */
export function adviceOn({ code, message }: Reason, isOver: boolean): string | undefined {
  const remedy = remedyFor(code, isOver);
  return remedy === message ? undefined : remedy;
}
