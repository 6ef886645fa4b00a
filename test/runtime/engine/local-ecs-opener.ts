import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { localEcs } from '../../../runtime/engine/local-ecs.ts';
import { localRegistry } from '../../../runtime/engine/local-registry.ts';
import { journalStore } from './local-ecs-journal.ts';

// A process that opens the embedded ECS on a data directory, starts the same runs as its forerunners, and is made to be killed.
const [dataDir = '', supervisor = '', count = '1', delay = '0'] = process.argv.slice(2);
const store = journalStore(join(dataDir, 'journal'));
const registry = localRegistry({ store, nowMs: Date.now });
const ecs = localEcs({
  store,
  registry,
  bus: async (events) => {
    for (const { detail } of events) appendFileSync(join(dataDir, 'events'), `${JSON.stringify(detail)}\n`);
  },
  clock: { now: () => new Date().toISOString() },
  dataDir,
  worldFile: join(dataDir, 'world.json'),
  runnerCommand: ['/bin/sh'],
  // A slow supervisor is overtaken by those that the next openers start.
  supervisorCommand: ['/bin/sh', '-c', `sleep ${delay}; exec '${process.execPath}' '${supervisor}' "$1"`, 'supervisor'],
});
await ecs.recover();
const definition =
  (await registry.newest('baton-agent'))?.arn ??
  (await registry.register({
    family: 'baton-agent',
    tags: {},
    definition: { containerDefinitions: [{ name: 'agent' }] },
  }));
for (let number = 0; number < Number(count); number += 1) {
  await ecs.start({
    taskId: `t${number}`,
    attempt: 1,
    startedBy: `baton/local/t${number}/1`,
    clientToken: `t${number}-1`,
    environment: { BATON_TASK_ID: `t${number}` },
    command: ['-c', `echo $BATON_TASK_ID $$ >> '${dataDir}/starts'; sleep 0.2; exit 3`],
    definition,
    capacityProvider: 'FARGATE',
    tags: {},
  });
}
setInterval(() => undefined, 1_000);
