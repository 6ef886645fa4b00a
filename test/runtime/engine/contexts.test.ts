import { describe, expect, it } from '@jest/globals';
import { embeddedTimings } from '../../../lifecycle/timings.ts';
import { BatonError } from '../../../runtime/errors.ts';
import type { Contexts } from '../../../runtime/ports.ts';
import { anEngine, runAt } from './engine-fixture.ts';
import { virtualTime } from './virtual-time.ts';

const context = 'https://github.com/acme/app/issues/1';

/** A GitHub that is down until somebody repairs it, and remembers how often it was asked. */
function aDownGithub() {
  let isDown = true;
  let asked = 0;
  const contexts: Contexts = {
    async fetch() {
      asked++;
      if (isDown) throw new BatonError('service_unavailable', 'GitHub answers 503');
      return { outcome: 'fetched', text: 'The roof leaks.' };
    },
  };
  const repair = (): void => {
    isDown = false;
  };
  return { contexts, asked: () => asked, repair };
}

function aWorld(contexts: Contexts) {
  const time = virtualTime();
  return anEngine({ time, settings: { timings: embeddedTimings }, more: { contexts } });
}

describe('while GitHub is down', () => {
  it('one thing tries again: what asks does not multiply, nothing is a dead letter, and the task goes on afterwards', async () => {
    const github = aDownGithub();
    const world = aWorld(github.contexts);
    const id = await world.submit('a', { context, timeoutSeconds: 8 * 3600 });
    for (let hour = 0; hour < 3; hour++) {
      const before = github.asked();
      await world.time.pass(3600);
      const most = 3600 / (embeddedTimings.BACKOFF_MAX_S / 2);
      expect(github.asked() - before).toBeLessThanOrEqual(most + 10);
      expect(github.asked() - before).toBeGreaterThanOrEqual(3600 / embeddedTimings.BACKOFF_MAX_S - 1);
      expect(world.engine.bus.pending()).toBe(0);
    }
    expect(world.letters).toEqual([]);
    expect(await world.task(id)).toMatchObject({ status: 'ADMITTED', delay: { message: 'GitHub answers 503' } });
    github.repair();
    await world.time.pass(embeddedTimings.BACKOFF_MAX_S);
    await world.comesUp(runAt(world.compute, 0));
    const task = await world.task(id);
    expect(task?.status).toBe('RUNNING');
    expect(task).not.toHaveProperty('delay');
  });
});
