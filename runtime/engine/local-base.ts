import { isDeepStrictEqual } from 'node:util';
import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import { BASE_MARKER, isBase, type NewDefinition } from '../../lifecycle/user-definition.ts';
import type { LocalRegistry } from './local-registry.ts';

/** The family of the embedded world's task definition. */
export const LOCAL_FAMILY = 'baton-agent';

/** What infrastructure writes in an account: one container, whose program is the runner of this machine. */
const baseOf = (stage: string): NewDefinition => ({
  family: LOCAL_FAMILY,
  tags: { [BASE_MARKER]: stage },
  definition: {
    family: LOCAL_FAMILY,
    networkMode: 'awsvpc',
    requiresCompatibilities: ['FARGATE'],
    cpu: '1024',
    memory: '2048',
    containerDefinitions: [{ name: AGENT_CONTAINER, image: 'this-machine', essential: true, environment: [] }],
  },
});

/** Registers the base of this world, as a deployment does: when there is none, or one of another version of Baton. */
export async function deployBase(registry: LocalRegistry, stage: string): Promise<void> {
  const base = baseOf(stage);
  const known = await registry.newest(LOCAL_FAMILY);
  if (known && isBase(known, stage) && isDeepStrictEqual(known.definition, base.definition)) return;
  await registry.register(base);
}
