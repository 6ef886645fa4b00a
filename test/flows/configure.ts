import { randomUUID } from 'node:crypto';
import { REPOSITORIES_KEY } from '../../runtime/records.ts';
import type { RepositoriesRecord, RepositoryConfig } from '../../schemas/repository-config.ts';
import { eventually, type FlowScene } from './scene.ts';

/** How long a changed configuration may take until it is stored, in milliseconds. */
const STORED_WITHIN_MS = 30_000;

/** Puts the request on the bus, as `aws events put-events` would, and waits until it is stored. */
export async function configure(scene: FlowScene, config: RepositoryConfig | null): Promise<void> {
  const id = randomUUID();
  const time = new Date().toISOString();
  await scene.world.publish([
    {
      version: '0',
      id,
      'detail-type': 'RepositoryConfigRequested',
      source: 'baton.request',
      account: '000000000000',
      time,
      region: 'local',
      resources: [],
      detail: {
        metadata: { id, occurredAt: time, correlationId: id, causationId: id, schemaVersion: 1 },
        data: { name: scene.remote, config },
      },
    },
  ]);
  await eventually(
    async () => {
      const record = (await scene.world.record(REPOSITORIES_KEY)) as RepositoriesRecord | undefined;
      const done = record?.entries.some(({ setBy }) => setBy === id) || record?.removed?.some(({ by }) => by === id);
      return done ? true : undefined;
    },
    'the configuration to be stored',
    STORED_WITHIN_MS,
  );
}
