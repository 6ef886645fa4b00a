import * as z from 'zod';
import { agentcoreHandle } from './agentcore-session.ts';
import type { Compute } from './compute.ts';
import { ec2Handle, workerRunId } from './ssm-command.ts';

/** What stopping and asking an ECS task need; survives a JSON round trip. */
export const ecsHandle = z.object({
  backend: z.literal('ecs'),
  taskArn: z.string(),
  clusterArn: z.string(),
  taskDefinitionArn: z.string(),
  region: z.string(),
});

/** A run on some back end: all that is needed to stop it and to ask about it, whatever configuration says later. */
export const runHandle = z.discriminatedUnion('backend', [agentcoreHandle, ecsHandle, ec2Handle]);

export type EcsHandle = z.infer<typeof ecsHandle>;
export type RunHandle = z.infer<typeof runHandle>;
export type HandleOf<Name extends Compute> = Extract<RunHandle, { backend: Name }>;

/** The native identity that the claimant of this run shows. */
export function nativeIdOf(handle: RunHandle): string {
  switch (handle.backend) {
    case 'agentcore':
      return handle.sessionId;
    case 'ecs':
      return handle.taskArn;
    case 'ec2':
      return workerRunId(handle);
  }
}

/** The handle as that of the back end which was asked. Throws a TypeError for one of another: a mistake in a rule, never of the world. */
export function ownHandle<Name extends Compute>(backend: Name, handle: RunHandle): HandleOf<Name> {
  if (handle.backend === backend) return handle as HandleOf<Name>;
  throw new TypeError(`The back end "${backend}" was given a handle of "${handle.backend}".`);
}
