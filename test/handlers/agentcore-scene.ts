import { livesOver, sessionBackend } from '../../runtime/session-backend.ts';
import { aSession, testTimings } from '../builders.ts';
import { aScene } from './scene.ts';

/** A handler's world in which another runtime may be configured. */
export function aSessionScene() {
  const scene: ReturnType<typeof aScene> = aScene();
  const { agentcore: first, sessions, tasks, runs, clock } = scene;
  let agentcore = first;
  const deliver: typeof scene.deliver = (reaction, event, { instead, ...options } = {}) =>
    scene.deliver(reaction, event, { ...options, instead: { agentcore, ...instead } });
  return {
    ...scene,
    service: sessions,
    deliver,
    /** From now on. */
    moveTo(runtimeArn: string) {
      agentcore = sessionBackend({
        sessions: sessions.service,
        runtimeArn,
        qualifier: aSession().qualifier,
        lifeOf: livesOver({ tasks, runs, clock, timings: () => testTimings }),
      });
    },
  };
}
export type SessionScene = ReturnType<typeof aSessionScene>;
