import * as z from 'zod';
import { taskId } from './task-id.ts';

/**
 * What the document of the fleet is asked to do. `run`: make room for an attempt, run it, prove its end. `end`: end an attempt wherever it
 * is, prove that nothing of it is left, and let none of it begin here any more.
 */
export const hostAction = z.enum(['run', 'end']);
export type HostAction = z.infer<typeof hostAction>;

/** Most characters of a comment (Systems Manager API reference, SendCommand). */
export const COMMENT_MAX_CHARS = 100;
/** Bounds of the execution time-out of a document, in seconds (Systems Manager, aws:runShellScript: at most 48 hours). */
export const EXECUTION_TIMEOUT_S = { min: 1, max: 172_800 } as const;
/** What stands where an action needs no payload: a parameter of a document is never empty. */
export const NO_PAYLOAD = '-';

/**
 * The parameters of the document: the `allowedPattern` of each, whole. The host's script gets them as variables of its environment
 * (`SSM_taskId`), and none of these lets anything through that a shell would read otherwise than as letters, should it ever come into a line.
 */
export const documentParameters = {
  action: '^(run|end)$',
  taskId: '^t[0-9a-hjkmnp-tv-z]{24}$',
  attempt: '^[1-9][0-9]{0,5}$',
  payload: '^(-|t[0-9a-hjkmnp-tv-z]{24}\\.[A-Za-z0-9_-]{43})$',
  executionTimeout: '^[1-9][0-9]{0,5}$',
} as const satisfies Readonly<Record<string, string>>;

export type DocumentParameter = keyof typeof documentParameters;

const allowed = (name: DocumentParameter) =>
  z.string().regex(new RegExp(documentParameters[name]), `is no ${name} that the document takes`);

/** All that goes to a host. Everything else about a run it reads from the payload, which no shell sees. */
export const commandParameters = z.strictObject({
  action: allowed('action'),
  taskId: allowed('taskId'),
  attempt: allowed('attempt'),
  payload: allowed('payload'),
  executionTimeout: allowed('executionTimeout'),
});
export type CommandParameters = z.infer<typeof commandParameters>;

/** An attempt, which has a worker. */
export const workerOwner = z.object({ taskId: z.string(), attempt: z.int().min(1) });
export type WorkerOwner = z.infer<typeof workerOwner>;

/** What a command says of itself: SSM has no token, so this is how one is found again. */
export const commentOf = (action: HostAction, { taskId: id, attempt }: WorkerOwner): string =>
  action === 'run' ? `${id}/${attempt}` : `${action} ${id}/${attempt}`;

/** Whose command it is, and for what; undefined for a comment that is none of ours. */
export function parseComment(comment: string | undefined): { action: HostAction; owner: WorkerOwner } | undefined {
  const [, end, id, attempt] = /^(end )?(t[0-9a-z]{24})\/([1-9][0-9]{0,5})$/.exec(comment ?? '') ?? [];
  if (!taskId.safeParse(id).success || id === undefined || attempt === undefined) return undefined;
  return { action: end === undefined ? 'run' : 'end', owner: { taskId: id, attempt: Number(attempt) } };
}

/**
 * What the host's own script exits with where it is not the runner that decides: outside the codes of the runner (`RUNNER_EXIT`). Never 194,
 * for which SSM restarts the machine and runs the command once more.
 */
export const HOST_EXIT = {
  /** Something of a run is left, and could not be ended. The worker is not to be used any more. */
  unproven: 90,
  /** The attempt was ended here before it began: nothing was started, and nothing will be. */
  over: 92,
  /** A parameter is not as it must be: nothing was started. */
  refused: 93,
  /** The host or its image is not usable: nothing was started, and nothing is left. */
  notStarted: 94,
  /** SIGKILL ended the run, or nobody saw its end. Never 137: of that SSM's agent says that the command's time was over. */
  killed: 209,
} as const;

/**
 * What the host's script says when it has looked and nothing of an attempt is left on it. Without these words a failure proves nothing: of a
 * script that was killed, or that Systems Manager lost sight of, a code is reported as well.
 */
export const nothingLeftOf = ({ taskId: id, attempt }: WorkerOwner): string => `nothing of ${id}/${attempt} is left`;

/** `ResponseCode` of an invocation that has not answered (Systems Manager API reference, GetCommandInvocation). */
export const NO_RESPONSE = -1;

/** `i-…` of EC2, `mi-…` of machines elsewhere that Systems Manager knows. */
export const workerId = z.string().regex(/^m?i-[0-9a-f]{8,32}$/, 'is no instance of EC2 or Systems Manager');

/** Name of a fleet: part of keys and tags. */
export const fleetName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'is no name of a fleet');

/** What stopping a run on a worker and asking about it need; survives a JSON round trip. */
export const ec2Handle = z.object({
  backend: z.literal('ec2'),
  fleet: fleetName,
  instanceId: workerId,
  region: z.string().min(1),
  taskId: z.string(),
  attempt: z.int().min(1),
  /** Known when SendCommand has answered. Before that the command is found by its comment. */
  commandId: z.string().optional(),
});
export type Ec2Handle = z.infer<typeof ec2Handle>;

/**
 * The native identity of a run on a worker: known before its command is sent, and no other attempt has it. A host runs an attempt once, so
 * that two commands of one attempt are one run.
 */
export const workerRunId = ({ instanceId, taskId: id, attempt }: Pick<Ec2Handle, 'instanceId'> & WorkerOwner): string =>
  `${instanceId}/${id}/${attempt}`;

/** Where such a run is, and whose it is; undefined for the identity of a run elsewhere. */
export function parseWorkerRunId(nativeId = ''): { instanceId: string; owner: WorkerOwner } | undefined {
  const [, instanceId, id, attempt] = /^(m?i-[0-9a-f]{8,32})\/(t[0-9a-z]{24})\/([1-9][0-9]{0,5})$/.exec(nativeId) ?? [];
  if (instanceId === undefined || id === undefined) return undefined;
  return { instanceId, owner: { taskId: id, attempt: Number(attempt) } };
}
