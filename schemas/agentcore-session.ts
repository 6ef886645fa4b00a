import * as z from 'zod';
import { stage } from './stage.ts';
import { taskId } from './task-id.ts';

/** Largest body of an invocation, in bytes: it holds references only, so more is a mistake. */
export const INVOCATION_MAX_BYTES = 8_192;

/** Where the container listens, as AgentCore expects it (AgentCore developer guide, HTTP protocol contract). */
export const SESSION_PORT = 8_080;

/** When a session that is still at work is ended, in seconds after its start: the most that AgentCore allows (developer guide, lifecycle settings). */
export const SESSION_LIFETIME_S = 28_800;

/** 33 to 100 characters: what the request demands, and what the answer can repeat (API reference, InvokeAgentRuntime). */
const sessionId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{33,100}$/, 'is no session id: 33 to 100 letters, digits, "-" and "_"');

/** What stopping a session and asking about it need, as it was at its start; survives a JSON round trip. */
export const agentcoreHandle = z.object({
  backend: z.literal('agentcore'),
  runtimeArn: z.string().startsWith('arn:'),
  /** Endpoint of the runtime: a session belongs to the one it was started at. */
  qualifier: z.string().min(1),
  sessionId,
});
export type AgentcoreHandle = z.infer<typeof agentcoreHandle>;

/** Whose run a session is. */
export interface SessionOwner {
  readonly stage: string;
  readonly taskId: string;
  readonly attempt: number;
}

/** The session of an attempt: `baton-<stage>-<taskId>-<attempt>`, 35 characters or more. The same for every start of the attempt. */
export const sessionIdOf = ({ stage: at, taskId: of, attempt }: SessionOwner): string => `baton-${at}-${of}-${attempt}`;

/** The owner in a session id; undefined if it is none of Baton's. */
export function parseSessionId(id: string): SessionOwner | undefined {
  const [, at, of, attempt] = /^baton-([a-z0-9-]+)-(t[0-9a-z]{24})-([1-9][0-9]{0,5})$/.exec(id) ?? [];
  return stage.safeParse(at).success && of && attempt
    ? { stage: at ?? '', taskId: of, attempt: Number(attempt) }
    : undefined;
}

/** What a session is asked to do: the one attempt that it is for. The same variables as every back end sets; references, no secret. */
export const sessionInvocation = z.object({
  schemaVersion: z.literal(1),
  sessionId,
  taskId,
  attempt: z.int().min(1),
  /** Only Baton's own names: nobody who may invoke changes what the programs in the container are. */
  environment: z.record(
    z.string().regex(/^BATON_[A-Z0-9_]+$/, 'is no variable of Baton'),
    z.string().regex(/^[^\0]*$/),
  ),
});
export type SessionInvocation = z.infer<typeof sessionInvocation>;

/** What the container answers as soon as the run has begun, or had begun before. */
export const sessionAcknowledgement = z.object({
  status: z.enum(['accepted', 'already']),
  sessionId,
  taskId: z.string(),
  attempt: z.int(),
});
export type SessionAcknowledgement = z.infer<typeof sessionAcknowledgement>;

/** `GET /ping` of the container. A busy session is not idle; the time is that of the last change, in whole seconds. */
export const sessionHealth = z.object({
  status: z.enum(['Healthy', 'HealthyBusy']),
  time_of_last_update: z.int(),
});
export type SessionHealth = z.infer<typeof sessionHealth>;
