import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Timings } from '../../lifecycle/timings.ts';
import type { WorldOptions } from '../../runtime/embedded-world.ts';
import { LOCAL_RUNTIME, type SessionLimits, sessionKey } from '../../runtime/engine/local-agentcore-session.ts';
import { runKey } from '../../runtime/records.ts';
import { sessionIdOf } from '../../schemas/agentcore-session.ts';
import { type RunRecord, runRecord } from '../../schemas/run-record.ts';
import { supervisorRecord } from '../../schemas/supervised-run.ts';
import { factsSaid, lossesOf } from './facts.ts';
import { eventually, linesOf, openScene, quickTimings, type Scene } from './scene.ts';

/**
 * Signs of life so close together that a test need not wait long for death, and a silence of ten of them for a busy machine; there, many
 * containers that start at once take their time as well.
 */
export const quickLife: Timings = {
  ...quickTimings,
  START_CHECK_S: 30,
  HEARTBEAT_S: 0.5,
  LIFE_LOOK_S: 0.5,
  HEARTBEAT_SILENCE_S: 5,
};

/** The world looks at its sessions so often that a test sees soon what became of them. */
const QUICK_LIMITS: Partial<SessionLimits> = { pingIntervalMs: 100, pingTimeoutMs: 2_000 };

/** The scene of an embedded world in which every event comes twice, and of tasks that run on AgentCore. */
export interface SessionScene extends Scene {
  /** Processes of the container in which an attempt began. */
  containerOf(taskId: string, attempt?: number): Promise<{ readonly supervisor: number; readonly server: number }>;
  /** The record of an attempt. */
  runOf(taskId: string, attempt?: number): Promise<RunRecord>;
  /** The session of an attempt has a container. */
  hasSession(taskId: string, attempt?: number): Promise<boolean>;
  /** Why attempts gave way to the next, each once. */
  lossesOf(taskId: string): readonly { readonly code: string; readonly message: string }[];
  /** What the first event of this type says about a task. */
  factOf(taskId: string, type: string): unknown;
  /** A file of the scene, and what agents wrote into it. */
  file(name: string): string;
  lines(name: string): string[];
}

export async function openSessionScene(options: Partial<WorldOptions> = {}): Promise<SessionScene> {
  const { sessions, ...more } = options;
  const scene = await openScene({
    timings: quickLife,
    copies: 2,
    limit: 16,
    ...more,
    sessions: { ...sessions, limits: { ...QUICK_LIMITS, ...sessions?.limits } },
  });
  const file = (name: string): string => join(scene.folder, name);
  // The scene has getters, which a spread would read once.
  return Object.assign(Object.create(scene) as Scene, {
    submit: (agentCommand: string, request = {}) => scene.submit(agentCommand, { compute: 'agentcore', ...request }),

    async containerOf(taskId: string, attempt = 1) {
      const dir = dirname(await scene.world.logPath(taskId, attempt));
      const { pid, childPid } = supervisorRecord.parse(JSON.parse(readFileSync(join(dir, 'supervisor.json'), 'utf8')));
      return { supervisor: pid, server: childPid };
    },
    runOf: async (taskId: string, attempt = 1) => runRecord.parse(await scene.world.record(runKey(taskId, attempt))),
    async hasSession(taskId: string, attempt = 1) {
      const sessionId = sessionIdOf({ stage: scene.world.stage, taskId, attempt });
      return (await scene.world.record(sessionKey({ ...LOCAL_RUNTIME, sessionId }))) !== undefined;
    },
    lossesOf: (taskId: string) => lossesOf(scene, taskId),
    factOf: (taskId: string, type: string) => factsSaid(scene, taskId, type)[0],
    file,
    lines: (name: string) => linesOf(file(name)),
  });
}

/** An agent that writes down its runner and itself, waits for ever in the first attempt, and does its work in the next. */
export const secondTimeLucky = (starts: string, meanwhile = 'sleep 300'): string =>
  `echo $PPID $$ >> ${starts}; if [ $(wc -l < ${starts}) -ge 2 ]; then echo done > done.txt; else ${meanwhile}; fi`;

/** Pids that such an agent wrote down at its first start. */
export const firstStart = (scene: SessionScene, name: string): Promise<{ runner: number; agent: number }> =>
  eventually(() => {
    const [runner = 0, agent = 0] = (scene.lines(name)[0] ?? '').split(' ').map(Number);
    return agent > 0 ? { runner, agent } : undefined;
  }, `the first start of ${name}`);

/** When a run gave its last sign of life in its record, of those that count: what it says by events may come when it is dead. */
export const lastSignOf = ({ claim, heartbeatAt, confirmedAt }: RunRecord): string =>
  [claim?.at, heartbeatAt, confirmedAt]
    .filter((at) => at !== undefined)
    .sort()
    .at(-1) ?? '';

/** Seconds between two instants. */
export const secondsBetween = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 1_000;
