import { describe, expect, it } from '@jest/globals';
import { FIRST_OUTPUT_MIN_S } from '../../schemas/task-request.ts';
import {
  firstStart,
  lastSignOf,
  openSessionScene,
  quickLife,
  secondsBetween,
  secondTimeLucky,
} from './agentcore-scene.ts';
import { configure } from './configure.ts';
import { lives } from './scene.ts';

describe('a repository whose agents on AgentCore must say something soon', () => {
  // F21
  it('has one that stalls before its first word tried again, though its runner gives signs of life', async () => {
    const scene = await openSessionScene();
    try {
      await configure(scene, { firstOutputSeconds: FIRST_OUTPUT_MIN_S });
      const taskId = await scene.submit(secondTimeLucky(scene.file('stalls')));
      const { agent } = await firstStart(scene, 'stalls');
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(scene.lossesOf(taskId).map(({ code }) => code)).toEqual(['stalled']);
      const stopping = task.history.find(({ to }) => to === 'STOPPING');
      const silence = secondsBetween(lastSignOf(await scene.runOf(taskId, 1)), stopping?.at ?? '');
      expect(silence).toBeLessThan(quickLife.HEARTBEAT_SILENCE_S);
      expect(lives(agent)).toBe(false);
    } finally {
      await scene.close();
    }
  });
});
