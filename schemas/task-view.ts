import * as z from 'zod';
import { capacity, compute, isolation } from './compute.ts';
import { cause } from './envelope.ts';
import { instant } from './json.ts';
import { reason } from './reason.ts';
import { computeEnd, delay, duePurpose, status, stopIntent } from './task.ts';
import { savedWork, taskResult } from './task-result.ts';

/** One committed transition, as people and programs see it: who moved the task, and what was said about it. */
const historyView = z.object({
  transition: z.string(),
  from: status.nullable(),
  to: status,
  at: instant,
  version: z.int().min(1),
  attempt: z.int().min(1),
  cause,
  facts: z.array(z.object({ id: z.string(), type: z.string() })),
});

/** The run of the current attempt. `pid` is that of the runner, or of the container it is in, on this machine, while its run directory is kept. */
const runView = z.object({
  attempt: z.int().min(1),
  startedBy: z.string(),
  /** The task definition that it was started from, where its back end has some. */
  definition: z.string().optional(),
  nativeId: z.string().optional(),
  pid: z.int().optional(),
  claimedAt: instant.optional(),
  ended: computeEnd.optional(),
});

const summary = {
  taskId: z.string(),
  status,
  /** True when nothing is left to do: terminal fact delivered, compute ended, slot returned. */
  settled: z.boolean(),
  attempt: z.int().min(1),
  attempts: z.int().min(1),
  version: z.int().min(1),
  /** When it came into its state. */
  since: instant.optional(),
  compute,
  /** Who shares what its runs stand on, where its repository says so. */
  isolation: isolation.optional(),
  /** Which kind of capacity its runs use, where its repository says so. */
  capacity: capacity.optional(),
  repository: z.string(),
  baseBranch: z.string().optional(),
  userId: z.string(),
  labels: z.record(z.string(), z.string()).optional(),
  /** Why the task ended, stops, or backs off. */
  reason: reason.optional(),
  /** What a stop shall lead to. */
  intent: stopIntent.optional(),
  result: taskResult.optional(),
  savedWork: savedWork.optional(),
  /** Purpose → when somebody looks at the task at the latest. */
  due: z.partialRecord(duePurpose, instant),
  submittedAt: instant,
  deadlineAt: instant,
  endedAt: instant.optional(),
  settledAt: instant.optional(),
  /** What the task holds, or waits for, to run: the key whose places are counted. */
  slot: z.string(),
  /** While it is QUEUED: since when it waits, its place in line (1 is next), how many wait, how many run at once, and who does. */
  waiting: z
    .object({
      since: instant,
      position: z.int().min(1),
      of: z.int().min(1),
      limit: z.int().min(0),
      holders: z.array(z.object({ taskId: z.string(), since: instant })),
    })
    .optional(),
  /** Why its next step was put off, and when that was found out: what it needs from outside cannot be had for now. */
  delay: delay.optional(),
  priority: z.int(),
  /** Name of the configuration that held for the repository when the task was accepted. */
  configuration: z.string().optional(),
  /** How often a rate limit paused the task, and when it goes on from a pause. */
  pauses: z.int().optional(),
  resumeAt: instant.optional(),
  run: runView.optional(),
  /** The latest words of its run; `by` where they are the runner's own, as before the agent has said anything. */
  progress: z.object({ seq: z.int(), at: instant, text: z.string(), by: z.literal('runner').optional() }).optional(),
  /** Deliveries that came again and were absorbed. */
  duplicates: z.int().min(0),
  /** Events that changed nothing, and why; the latest of them. */
  ignored: z.array(z.object({ at: instant, cause, reason: z.string() })),
};

/** A task as `list --json` gives it. */
export const taskSummary = z.object(summary);
export type TaskSummary = z.infer<typeof taskSummary>;

/** A task as `show --json` gives it. `reused` is said once, to who submitted other content under a known key. */
export const taskView = z.object({
  ...summary,
  history: z.array(historyView).min(1),
  reused: z.literal(true).optional(),
});
export type TaskView = z.infer<typeof taskView>;
