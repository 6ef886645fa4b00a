import { ECSClient } from '@aws-sdk/client-ecs';
import { ecsBackend } from '../../runtime/aws/ecs-backend.ts';
import { ecsService } from '../../runtime/endpoint/aws/ecs.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { EcsHandle } from '../../schemas/run-handle.ts';
import { served } from '../runtime/aws/served.ts';
import { aDefinition, aRun, ecsWorld } from '../runtime/engine/local-ecs-fixture.ts';
import { putAway } from '../scene-folder.ts';
import { type EcsBackendHarness, ecsBackendContract } from './compute-backend.ts';

const CLUSTER = 'arn:aws:ecs:local:000000000000:cluster/baton';
const unknownHandle: EcsHandle = {
  backend: 'ecs',
  taskArn: `arn:aws:ecs:local:000000000000:task/baton/${'0'.repeat(32)}`,
  clusterArn: CLUSTER,
  taskDefinitionArn: 'arn:aws:ecs:local:000000000000:task-definition/baton-agent:1',
  region: 'local',
};

const aRunThat: EcsBackendHarness['aRun'] = (behaviour) =>
  aRun(behaviour === 'goes on' ? 'sleep 300' : `exit ${behaviour.exitCode}`);

async function embeddedEcs() {
  const world = await ecsWorld({ store: memoryStore({ freezeValues: true }) });
  const definitions = {
    active: await world.registry.register(aDefinition()),
    inactive: await world.registry.register(aDefinition()),
    unknown: 'arn:aws:ecs:local:000000000000:task-definition/baton-agent:9',
  };
  await world.registry.deregister(definitions.inactive);
  return {
    ecs: world.ecs,
    registry: world.registry,
    definitions,
    close: async () => {
      await world.close();
      await putAway(world.dataDir);
    },
  };
}

ecsBackendContract('embedded ECS', async () => {
  const { ecs, definitions, close } = await embeddedEcs();
  return { compute: ecs, aRun: aRunThat, definitions, unknownHandle, close };
});

ecsBackendContract('ECS, as its client sees it', async () => {
  const { ecs, registry, definitions, close } = await embeddedEcs();
  const place = { account: '000000000000', region: 'local' };
  const service = await served([ecsService({ place, tasks: ecs, clusters: ['baton'], registry })]);
  const client = new ECSClient(service.client);
  return {
    compute: ecsBackend({
      client,
      cluster: CLUSTER,
      taskFamily: 'baton-agent',
      subnets: ['subnet-1'],
      securityGroups: ['sg-1'],
    }),
    aRun: aRunThat,
    definitions,
    unknownHandle,
    close: async () => {
      client.destroy();
      await service.close();
      await close();
    },
  };
});
