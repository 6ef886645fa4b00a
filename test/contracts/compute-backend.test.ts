import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { aRun, bundled, ecsWorld } from '../runtime/engine/local-ecs-fixture.ts';
import { computeBackendContract } from './compute-backend.ts';

computeBackendContract('embedded ECS', async () => {
  const supervisor = bundled(new URL('../../agent/supervisor.ts', import.meta.url));
  const world = await ecsWorld({ supervisorCommand: supervisor.command, store: memoryStore({ freezeValues: true }) });
  return {
    compute: world.ecs,
    aRun: (behaviour) => aRun(behaviour === 'goes on' ? 'sleep 300' : `exit ${behaviour.exitCode}`),
    unknownHandle: {
      backend: 'ecs',
      taskArn: `arn:aws:ecs:local:000000000000:task/baton/${'0'.repeat(32)}`,
      clusterArn: 'arn:aws:ecs:local:000000000000:cluster/baton',
      taskDefinitionArn: 'arn:aws:ecs:local:000000000000:task-definition/baton-agent:1',
      region: 'local',
    },
    close: async () => {
      await world.close();
      supervisor.remove();
    },
  };
});
