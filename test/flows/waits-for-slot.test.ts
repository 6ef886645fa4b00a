import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { eventually, linesOf, openScene } from './scene.ts';

// On loopback a line is told in stories/configured.ts.
describe('embedded, two tasks where one may run at a time', () => {
  it('run one after the other: the second starts when the first has settled', async () => {
    const scene = await openScene({ limit: 1 });
    try {
      const gate = join(scene.folder, 'gate');
      const order = join(scene.folder, 'order');
      const agent = (name: string) =>
        `echo ${name} in >> ${order}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo ${name} out >> ${order}`;
      const first = await scene.submit(agent('first'));
      await scene.until(first, ({ status }) => status === 'RUNNING', 'to run');
      const second = await scene.submit(agent('second'));
      const waiting = await scene.until(second, ({ status }) => status === 'QUEUED', 'to wait');
      expect(waiting.due.queue).toBeDefined();
      writeFileSync(gate, '');
      const [one, two] = await Promise.all([scene.settled(first), scene.settled(second)]);
      expect([one.status, two.status]).toEqual(['COMPLETED', 'COMPLETED']);
      expect(linesOf(order)).toEqual(['first in', 'first out', 'second in', 'second out']);
    } finally {
      await scene.close();
    }
  });
});

describe('embedded, a task that waits in line and is cancelled', () => {
  it('is CANCELLED without ever having had a run', async () => {
    const scene = await openScene({ limit: 1 });
    try {
      const first = await scene.submit('sleep 300');
      await scene.until(first, ({ status }) => status === 'RUNNING', 'to run');
      const second = await scene.submit('true');
      await scene.until(second, ({ status }) => status === 'QUEUED', 'to wait');
      expect(await scene.world.cancel(second)).toMatchObject({ status: 'CANCELLED' });
      expect((await scene.settled(second)).run).toBeUndefined();
      await scene.world.cancel(first);
      expect(await scene.settled(first)).toMatchObject({ status: 'CANCELLED' });
    } finally {
      await scene.close();
    }
  });
});

// On loopback four tasks run while functions die: functions-die.test.ts.
describe('embedded, twelve tasks where four may run at a time', () => {
  it('all complete, and never more than four at once', async () => {
    const scene = await openScene({ limit: 4 });
    try {
      const tally = join(scene.folder, 'tally');
      const agent = `echo + >> ${tally}; sleep 0.2; echo - >> ${tally}`;
      const ids: string[] = [];
      for (let number = 0; number < 12; number++) ids.push(await scene.submit(agent));
      await eventually(() => (scene.world.unsettled() === 0 ? true : undefined), 'all to settle', 120_000);
      const tasks = await scene.world.list();
      expect(new Set(tasks.map(({ taskId }) => taskId))).toEqual(new Set(ids));
      expect(new Set(tasks.map(({ status }) => status))).toEqual(new Set(['COMPLETED']));
      expect(mostAtOnce(linesOf(tally))).toBeLessThanOrEqual(4);
      expect(await scene.world.record('SLOT#user:local')).toMatchObject({ holders: {}, waiters: {} });
    } finally {
      await scene.close();
    }
  }, 180_000);
});

function mostAtOnce(tally: readonly string[]): number {
  let now = 0;
  let most = 0;
  for (const sign of tally) {
    now += sign === '+' ? 1 : -1;
    most = Math.max(most, now);
  }
  return most;
}
