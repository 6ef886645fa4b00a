import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { BatonEvent } from '../../../schemas/envelope.ts';
import { plainName, slotKeyOfRepository } from '../../../schemas/repository-config.ts';
import { configure } from '../configure.ts';
import type { Stories } from '../every-world.ts';
import { eventually, type FlowScene } from '../scene.ts';

export const configured: Stories = (open, { itEmbedded }) => {
  describe('a repository that is configured', () => {
    it('gives its tasks their agent and their limit; raising that lets the next ones start at once', async () => {
      const scene = open();
      const gate = join(scene.folder, 'configured');
      const waits = `while [ ! -e ${gate} ]; do sleep 0.05; done`;
      await configure(scene, { agentCommand: waits, limit: 1 });
      try {
        const first = await submitted(scene);
        await scene.until(first, ({ status }) => status === 'RUNNING', 'to run');
        const others = [await submitted(scene), await submitted(scene)];
        for (const [n, taskId] of others.entries()) {
          const waiting = await scene.until(taskId, ({ status }) => status === 'QUEUED', 'to wait');
          expect(waiting.slot).toBe(slotKeyOfRepository(scene.remote));
          await configure(scene, { agentCommand: 'true', limit: n + 2 });
          await scene.until(taskId, ({ status }) => status !== 'QUEUED', 'to start beside the first');
        }
        expect((await scene.world.view(first)).status).toBe('RUNNING');
        // The line's own check may come first once, in the moment between storing and telling.
        expect(others.map((taskId) => causeOfGrant(scene, taskId))).toContain('RepositoryConfigured');
        writeFileSync(gate, '');
        const ended = await Promise.all([first, ...others].map(scene.settled));
        expect(ended.map(({ status }) => status)).toEqual(['COMPLETED', 'COMPLETED', 'COMPLETED']);
      } finally {
        writeFileSync(gate, '');
        await configure(scene, null);
      }
    });

    // A14
    itEmbedded(
      'for what its deployment does not have has its tasks refused with a sentence that says so, and none starts',
      async () => {
        const scene = open();
        await eventually(async () => ((await scene.world.payloadCount()) === 0 ? true : undefined), 'no payload');
        await scene.quiet();
        const before = scene.events.length;
        await configure(scene, { fleet: 'builders' });
        await expect(submitted(scene)).rejects.toMatchObject({
          code: 'rejected',
          message: expect.stringContaining(
            `fleet: "ecs" has no fleets, and so none named "builders" (the configuration "${plainName(scene.remote)}" says so)`,
          ),
        });
        const facts = () =>
          scene.events
            .slice(before)
            .filter(({ source }) => source === 'baton')
            .map((event) => event['detail-type']);
        // The answer is read from the record, which is written before the fact is said.
        await eventually(() => (facts().includes('TaskRejected') ? true : undefined), 'the fact');
        expect(new Set(facts())).toEqual(new Set(['RepositoryConfigured', 'TaskRejected']));
        expect(await scene.world.payloadCount()).toBe(0);
        await configure(scene, null);
        expect((await scene.settled(await scene.submit('true'))).status).toBe('COMPLETED');
      },
    );
  });
};

const submitted = async (scene: FlowScene): Promise<string> =>
  (await scene.world.submit({ repository: scene.remote, prompt: 'Say hello.' })).taskId;

/** The detail-type of what caused the first grant to a task. */
function causeOfGrant({ events }: FlowScene, taskId: string): string | undefined {
  const granted = events.find(
    (event) => event['detail-type'] === 'SlotGranted' && (event as BatonEvent).detail.metadata.taskId === taskId,
  ) as BatonEvent | undefined;
  return events.find(({ id, detail }) => {
    const known = (detail as Partial<BatonEvent['detail']>).metadata?.id ?? id;
    return known === granted?.detail.metadata.causationId;
  })?.['detail-type'];
}
