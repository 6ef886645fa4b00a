import { ECSClient } from '@aws-sdk/client-ecs';
import { ecsRegistry } from '../../runtime/aws/ecs-registry.ts';
import { definitionOperations } from '../../runtime/endpoint/aws/ecs-definitions.ts';
import { jsonProtocol } from '../../runtime/endpoint/aws/json-protocol.ts';
import { localRegistry } from '../../runtime/engine/local-registry.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import { served } from '../runtime/aws/served.ts';
import { registryContract } from './registry.ts';
import { onEmbeddedStores } from './stores.ts';

function embedded(store: RecordStore) {
  let seconds = 1_000;
  return {
    registry: localRegistry({ store, nowMs: () => seconds * 1_000 }),
    pass: (by: number) => {
      seconds += by;
    },
    close: async () => undefined,
  };
}

onEmbeddedStores((present) => registryContract('the embedded ECS', async () => embedded(present.store)));

registryContract('ECS, as its client sees it', async () => {
  const { registry, pass } = embedded(memoryStore({ freezeValues: true }));
  const service = await served([
    {
      signingName: 'ecs',
      targetPrefix: 'AmazonEC2ContainerServiceV20141113',
      protocol: jsonProtocol('1.1'),
      operations: definitionOperations(registry),
    },
  ]);
  const client = new ECSClient({ ...service.client, maxAttempts: 1 });
  return {
    registry: ecsRegistry(client),
    pass,
    close: async () => {
      client.destroy();
      await service.close();
    },
  };
});
