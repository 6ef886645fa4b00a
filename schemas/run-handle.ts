import * as z from 'zod';

/** What stopping and asking an ECS task need; survives a JSON round trip. */
export const ecsHandle = z.object({
  backend: z.literal('ecs'),
  taskArn: z.string(),
  clusterArn: z.string(),
  taskDefinitionArn: z.string(),
  region: z.string(),
});

/** A run on some back end: all that is needed to stop it and to ask about it, whatever configuration says later. */
export const runHandle = z.discriminatedUnion('backend', [ecsHandle]);

export type EcsHandle = z.infer<typeof ecsHandle>;
export type RunHandle = z.infer<typeof runHandle>;

/** The native identity that the claimant of this run shows. */
export function nativeIdOf(handle: RunHandle): string {
  switch (handle.backend) {
    case 'ecs':
      return handle.taskArn;
  }
}
