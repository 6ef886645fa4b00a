import * as z from 'zod';
import { compute } from './compute.ts';
import { githubReference } from './github-reference.ts';

/** The agent that runs when none is named: Claude Code, with the prompt on standard input. */
export const DEFAULT_AGENT_COMMAND = 'claude -p';
/** Largest prompt in bytes of UTF-8: the request must stay far below the 256 KB of an event. */
export const PROMPT_MAX_BYTES = 64 * 1024;
/** Most runs that a task may ask for: keeps the history, and so the task record, below 32 KB. */
export const ATTEMPTS_MAX = 10;
/** Most pauses of a task by rate limits: each is an attempt more in its history. Then the limit ends it. */
export const PAUSES_MAX = 5;
/** Longest time-out in seconds: 8 hours, the longest session of any back end. */
export const TIMEOUT_MAX_S = 8 * 3600;
/** Most labels on a task: they ride on the task record. */
export const LABELS_MAX = 16;
/** All labels together, in bytes of UTF-8 as JSON. */
export const LABELS_MAX_BYTES = 1024;
/** Highest priority in line; 0 is that of who asks for none. */
export const PRIORITY_MAX = 9;
/** Shortest time for a first word of the agent, in seconds: a clone and a cold start come before it. */
export const FIRST_OUTPUT_MIN_S = 30;
/** Longest agent command in bytes of UTF-8; a longer one belongs into a script of the repository. */
export const AGENT_COMMAND_MAX_BYTES = 2048;

/** `https://user:secret@host`, or a bare token before the `@`; the user name of an SSH address is none. */
export const CREDENTIALS = /^(https?:\/\/[^/]*@|[a-z+.-]+:\/\/[^/@]*:[^/@]*@)/i;
/** Remote helpers such as `ext::sh -c …` run commands. */
const COMMAND_TRANSPORT = /^[a-z0-9+.-]+::/i;

const utf8Bytes = (text: string): number => new TextEncoder().encode(text).length;
const name = z.string().min(1).max(128);
/** Who asks, or for whom. */
export const userId = name;

/** One `/bin/sh -c` line. */
export const agentCommand = z
  .string()
  .min(1, 'agentCommand is empty')
  .refine(
    (value) => utf8Bytes(value) <= AGENT_COMMAND_MAX_BYTES,
    `agentCommand is larger than ${AGENT_COMMAND_MAX_BYTES} bytes: put it into a script and name the script`,
  );

/** What a producer asks for (`TaskRequested`). Unknown fields are refused, so that a misspelt option is not lost. */
export const taskRequest = z.strictObject({
  repository: z
    .string()
    .min(1, 'repository is empty: give a path or a URL that git can clone')
    .max(1024)
    .refine((value) => !value.startsWith('-'), 'repository must not begin with "-"')
    .refine((value) => !COMMAND_TRANSPORT.test(value), 'repository names a git transport that is a command ("ext::…")')
    .refine(
      (value) => !CREDENTIALS.test(value),
      'repository holds credentials, which would go into events and records: use a git credential helper or SSH',
    ),
  prompt: z
    .string()
    .refine((value) => value.trim() !== '', 'prompt is empty: say what the agent shall do')
    .refine(
      (value) => utf8Bytes(value) <= PROMPT_MAX_BYTES,
      `prompt is larger than ${PROMPT_MAX_BYTES} bytes: put long material into the repository and point to it`,
    ),
  userId: userId.optional(),
  idempotencyKey: z.string().min(1).max(256).optional(),
  baseBranch: z
    .string()
    .min(1)
    .max(255)
    .refine((value) => !value.startsWith('-'), 'baseBranch must not begin with "-"')
    .optional(),
  compute: compute.optional(),
  agentCommand: agentCommand.optional(),
  timeoutSeconds: z.int().min(1).max(TIMEOUT_MAX_S).optional(),
  attempts: z.int().min(1).max(ATTEMPTS_MAX).optional(),
  /** Whether the task is tried again when its agent failed by itself. Lost runs always are. */
  retryAgentFailure: z.boolean().optional(),
  /** Place in line among those who wait for the same slots: higher goes first, 0 is usual. */
  priority: z.int().min(0).max(PRIORITY_MAX).optional(),
  /** A GitHub issue or pull request whose text the agent is given beside the prompt. */
  context: githubReference.optional(),
  labels: z
    .record(z.string().min(1).max(64), z.string().max(256))
    .refine((value) => Object.keys(value).length <= LABELS_MAX, `at most ${LABELS_MAX} labels`)
    .refine(
      (value) => utf8Bytes(JSON.stringify(value)) <= LABELS_MAX_BYTES,
      `labels are larger than ${LABELS_MAX_BYTES} bytes together`,
    )
    .optional(),
  origin: z.strictObject({ kind: z.string().min(1).max(32), reference: z.string().max(512).optional() }).optional(),
});

export type TaskRequest = z.infer<typeof taskRequest>;
