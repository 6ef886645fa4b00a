import * as z from 'zod';
import { environmentReferences } from './environment-references.ts';
import { instant } from './json.ts';
import { taskId } from './task-id.ts';
import { savedWork } from './task-result.ts';

/** All that one run of a task needs. It holds the prompt and the run token, so it travels by an unguessable reference only. */
export const runPayload = z.object({
  schemaVersion: z.literal(1),
  taskId,
  attempt: z.int().min(1),
  /** Proves to the control plane that the caller is this very attempt. Never logged, never handed to the agent. */
  runToken: z.string().min(1),
  /** Absolute path or URL. */
  repository: z.string().min(1),
  /** Absent: the branch that the repository's HEAD names. */
  baseBranch: z.string().min(1).optional(),
  /** `baton/<taskId>` */
  branch: z.string().regex(/^baton\/[A-Za-z0-9][A-Za-z0-9_-]*$/, 'the branch of a task is "baton/" and its task id'),
  prompt: z.string().min(1),
  /** Text that was fetched for the task: where from, and what it says. The agent gets it behind the prompt. */
  context: z.object({ source: z.string().min(1), text: z.string() }).optional(),
  /** One `/bin/sh -c` line. */
  agentCommand: z.string().min(1),
  deadlineAt: instant,
  /** Variables of the agent, by where their values are found when the run starts. */
  environment: environmentReferences.optional(),
  /** What an earlier attempt pushed; this one continues from it. */
  savedWork: savedWork.optional(),
});
export type RunPayload = z.infer<typeof runPayload>;
