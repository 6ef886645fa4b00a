import * as z from 'zod';
import { capacity, compute, isolation } from './compute.ts';
import { cause } from './envelope.ts';
import { environmentReferences } from './environment-references.ts';
import { githubReference } from './github-reference.ts';
import { instant, TEXT_MAX_CHARS } from './json.ts';
import { reason } from './reason.ts';
import { runHandle } from './run-handle.ts';
import { screenedText } from './screening.ts';
import { subscriber } from './subscriber.ts';
import { taskId } from './task-id.ts';
import { savedWork, taskResult } from './task-result.ts';

export const statuses = [
  'SUBMITTED',
  'QUEUED',
  'ADMITTED',
  'HYDRATED',
  'STARTING',
  'RUNNING',
  'FINALIZING',
  'STOPPING',
  'BACKOFF',
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TIMED_OUT',
] as const;
export const status = z.enum(statuses);
export type Status = z.infer<typeof status>;

/** What the alarm clock can wake a task for. `docs/concepts.md` says what each does. */
export const duePurposes = [
  'step',
  'queue',
  'start',
  'progress',
  'life',
  'deadline',
  'report',
  'stop',
  'proof',
  'backoff',
  'exit',
  'settle',
] as const;
export const duePurpose = z.enum(duePurposes);
export type DuePurpose = z.infer<typeof duePurpose>;

/** A fact as a transition stored it: with the entry around it, enough to publish it again unchanged. */
export const storedFact = z.object({
  id: z.string(),
  type: z.string(),
  /** Both are left out once the entry is of an older attempt and proven. */
  schemaVersion: z.int().min(1).optional(),
  data: z.unknown().optional(),
});
export type StoredFact = z.infer<typeof storedFact>;

/** One committed transition. */
export const historyEntry = z.object({
  transition: z.string(),
  from: status.nullable(),
  to: status,
  at: instant,
  version: z.int().min(1),
  attempt: z.int().min(1),
  cause,
  facts: z.array(storedFact),
  /** Code of the reason why the attempt was lost or paused; outlives what the facts say. */
  lostFor: z.string().optional(),
  /** It was paused, which uses up no attempt. */
  paused: z.boolean().optional(),
  /** The driving fact was delivered, or the others were published again by an alarm: nothing to repeat. */
  proven: z.boolean().optional(),
});
export type HistoryEntry = z.infer<typeof historyEntry>;

/** How the compute of an attempt ended. */
export const computeEnd = z.object({
  at: instant,
  proof: z.enum(['proven', 'never_started', 'given_up']),
  exitCode: z.int().optional(),
});
export type ComputeEnd = z.infer<typeof computeEnd>;

/** The run of the current attempt, as far as the control plane knows it. */
export const taskRun = z.object({
  attempt: z.int().min(1),
  startedBy: z.string(),
  dispatchedAt: instant,
  /** The task definition that every start of this attempt names. */
  definition: z.string().optional(),
  handle: runHandle.optional(),
  /** Highest native order number seen per native identity (ECS: `detail.version`; EC2: the rank of the command's status). */
  seen: z.record(z.string(), z.int()).optional(),
  /** Native identities that have been seen to end. */
  endedIds: z.array(z.string()).optional(),
  /** How often the back end has been asked to stop this run. */
  stopRequests: z.int().optional(),
  /** Its signs of life, as last seen, since when they are the same, and how many looks found them so: where the back end tells nothing. */
  life: z.object({ sign: z.string(), at: instant, looks: z.int() }).optional(),
  /** How often giving up on the proof of its end was put off because a stop had to go first. */
  proofWaits: z.int().optional(),
  ended: computeEnd.optional(),
});
export type TaskRun = z.infer<typeof taskRun>;

/** Why a step was put off: what was asked for cannot be had for now. `due.step` says until when. */
export const delay = z.object({ at: instant, message: z.string().max(TEXT_MAX_CHARS) });
export type Delay = z.infer<typeof delay>;

export const stopIntent = z.enum(['cancelled', 'timed_out', 'lost', 'paused']);
export type StopIntent = z.infer<typeof stopIntent>;

const base = {
  taskId,
  /** Rises by one with every transition, and with nothing else. */
  version: z.int().min(1),
  attempt: z.int().min(1),
  attempts: z.int().min(1),
  userId: z.string(),
  repository: z.string(),
  baseBranch: z.string().optional(),
  compute,
  agentCommand: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  origin: z.object({ kind: z.string(), reference: z.string().optional() }).optional(),
  /** Name of the configuration that held for the repository when the task was accepted. */
  configuration: z.string().optional(),
  isolation: isolation.optional(),
  capacity: capacity.optional(),
  fleet: z.string().optional(),
  environment: environmentReferences.optional(),
  subscribers: z.array(subscriber).optional(),
  retryAgentFailure: z.boolean().optional(),
  firstOutputSeconds: z.int().optional(),
  /** How often the task was paused by a rate limit; pauses use up no attempts. */
  pauses: z.int().optional(),
  /** The issue or pull request that the task names, and where its text is kept once it was fetched. */
  context: githubReference.optional(),
  contextRef: z.string().optional(),
  /** The latest trouble in the way of the next step; gone with any step. */
  delay: delay.optional(),
  /** Present where every text of the task must pass screening before a run may start; which of them did. */
  screening: z.literal('required').optional(),
  screened: z.array(screenedText).optional(),
  slotKey: z.string(),
  priority: z.int(),
  requestHash: z.string(),
  correlationId: z.string(),
  traceparent: z.string().optional(),
  submittedAt: instant,
  deadlineAt: instant,
  /** Where the request's prompt is kept. */
  promptRef: z.string(),
  /** Where the inputs of its runs are kept, one per attempt: all are deleted when the task settles. */
  inputs: z.array(z.string()).optional(),
  savedWork: savedWork.optional(),
  /** Who is to look at this task, and when at the latest. */
  due: z.partialRecord(duePurpose, instant),
  /** The earliest time for which the alarm clock is known to be set. */
  armedAt: instant.optional(),
  history: z.array(historyEntry).min(1),
};
const started = { input: z.string(), run: taskRun };
const ended = {
  endedAt: instant,
  settledAt: instant.optional(),
  input: z.string().optional(),
  run: taskRun.optional(),
  detectedBy: z.enum(['report', 'event', 'alarm', 'request']),
};

/** The task record: a field exists only from the state that brings it. */
export const task = z.discriminatedUnion('status', [
  z.object({ ...base, status: z.literal('SUBMITTED') }),
  z.object({ ...base, status: z.literal('QUEUED'), queuedAt: instant }),
  z.object({ ...base, status: z.literal('ADMITTED') }),
  z.object({ ...base, status: z.literal('HYDRATED'), input: z.string() }),
  z.object({ ...base, status: z.literal('STARTING'), ...started }),
  z.object({ ...base, status: z.literal('RUNNING'), ...started }),
  z.object({ ...base, status: z.literal('FINALIZING'), ...started, exitCode: z.int() }),
  z.object({
    ...base,
    status: z.literal('STOPPING'),
    ...started,
    intent: stopIntent,
    reason,
    resumeAt: instant.optional(),
  }),
  z.object({ ...base, status: z.literal('BACKOFF'), reason, resumeAt: instant.optional() }),
  z.object({ ...base, status: z.literal('COMPLETED'), ...ended, result: taskResult }),
  z.object({ ...base, status: z.literal('FAILED'), ...ended, reason, result: taskResult.optional() }),
  z.object({ ...base, status: z.literal('CANCELLED'), ...ended, reason, result: taskResult.optional() }),
  z.object({ ...base, status: z.literal('TIMED_OUT'), ...ended, reason, result: taskResult.optional() }),
]);

export type Task = z.infer<typeof task>;
export type TaskIn<S extends Status> = Extract<Task, { status: S }>;
export type TaskWithRun = TaskIn<'STARTING' | 'RUNNING' | 'FINALIZING' | 'STOPPING'>;
export type TerminalTask = TaskIn<'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT'>;

/** The first answer to a request that was refused: it stands under the key that the task would have had. */
export const rejection = z.object({
  status: z.literal('REJECTED'),
  taskId,
  userId: z.string(),
  requestHash: z.string(),
  reason: z.object({ code: z.string(), message: z.string() }),
  at: instant,
  cause,
});
export type Rejection = z.infer<typeof rejection>;
