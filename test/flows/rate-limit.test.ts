import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskView } from '../../schemas/task-view.ts';
import { type FlowScene, openScene } from './scene.ts';

/** A pause on top of the longest story, in milliseconds. */
const LONG_STORY_MS = 180_000;
/** Seconds for which a service asks an agent to wait: long enough for another task to come and take the slot. */
const PAUSE_S = 8;

// F20. What a report decides is the same in every world: every-world.ts says which stories are told on loopback too.
describe('embedded, an agent that a service asks to wait', () => {
  let scene: FlowScene;
  beforeAll(async () => {
    scene = await openScene({ limit: 1 });
  });
  afterAll(() => scene.close());

  it(
    'pauses its task without a slot, and goes on from its saved work; it costs no attempt and moves no deadline',
    async () => {
      const limited = await scene.submit(
        `if [ -e half.txt ]; then echo b > rest.txt; else echo a > half.txt; echo ${PAUSE_S} > "$BATON_RETRY_AFTER_FILE"; exit 75; fi`,
        { attempts: 1 },
      );
      const { deadlineAt } = await scene.until(limited, ({ status }) => status === 'BACKOFF', 'to pause');
      const other = await scene.submit('echo hello > hello.txt');

      const [paused, ran] = await Promise.all([scene.settled(limited), scene.settled(other)]);
      expect(paused).toMatchObject({ status: 'COMPLETED', attempt: 2, pauses: 1, deadlineAt });
      expect(paused.result).toMatchObject({ filesChanged: 2 });
      expect(scene.inRemote('show', `baton/${limited}:half.txt`)).toBe('a');
      expect(ran).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      const [, resumed = ''] = enteredAt(paused, 'ADMITTED');
      const [began = ''] = enteredAt(ran, 'ADMITTED');
      const [left = ''] = enteredAt(paused, 'BACKOFF');
      expect(began < resumed).toBe(true);
      // Not before the time that was asked for, counted from the report.
      expect(Date.parse(resumed) - Date.parse(left)).toBeGreaterThan((PAUSE_S - 4) * 1_000);
    },
    LONG_STORY_MS,
  );

  it('for longer than the task may take fails it at once', async () => {
    const taskId = await scene.submit('echo 3600 > "$BATON_RETRY_AFTER_FILE"; exit 75', { timeoutSeconds: 300 });
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'wait_too_long' } });
  });
});

const enteredAt = ({ history }: TaskView, status: string): string[] =>
  history.filter(({ to, from }) => to === status && from !== status).map(({ at }) => at);
