import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { eventually, openScene, quickTimings } from './scene.ts';

const TASKS = 6;
/** How long a run takes to come up in a burst, in seconds: longer than it takes until somebody asks about it, twice. */
const SLOW_START_S = 2 * quickTimings.START_CHECK_S + 1;

const supervisor = fileURLToPath(new URL('../../dist/supervisor.js', import.meta.url));

// F4, F28
describe(`embedded, a burst of ${TASKS} tasks on a machine that is slow to start their runs`, () => {
  it('has every overdue run asked about, none declared dead and none stopped', async () => {
    const scene = await openScene({
      limit: TASKS,
      supervisorCommand: ['/bin/sh', '-c', `sleep ${SLOW_START_S}; exec "$0" "$@"`, process.execPath, supervisor],
    });
    try {
      const ids = await Promise.all(Array.from({ length: TASKS }, () => scene.submit('echo done > done.txt')));
      await eventually(() => (scene.world.unsettled() === 0 ? true : undefined), 'all to settle', 120_000);
      for (const taskId of ids) {
        expect(await scene.world.view(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
        const facts = scene.factsOf(taskId);
        expect(facts.filter((type) => type === 'RunCheckRequested').length).toBeGreaterThan(0);
        expect(facts).not.toContain('RunLost');
        expect(facts).not.toContain('RunStopRequested');
      }
    } finally {
      await scene.close();
    }
  }, 180_000);
});
