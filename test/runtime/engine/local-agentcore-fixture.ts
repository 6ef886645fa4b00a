import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { localAgentcore } from '../../../runtime/engine/local-agentcore.ts';
import type {
  LocalAgentcore,
  LocalAgentcoreOptions,
  SessionName,
} from '../../../runtime/engine/local-agentcore-session.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { type SessionInvocation, sessionIdOf } from '../../../schemas/agentcore-session.ts';
import { taskId } from '../../../schemas/task-id.ts';
import { programs } from '../../programs.ts';
import { putAway, sceneFolder } from '../../scene-folder.ts';
import { written } from '../../written.ts';
import { eventually } from './local-ecs-fixture.ts';

export const RUNTIME_ARN = 'arn:aws:bedrock-agentcore:local:000000000000:runtime/baton_agent-0123456789';

/** A runner that does what its payload says, in words of the shell. */
export const SHELL = ['/bin/sh', '-c', 'eval "$BATON_PAYLOAD"'];

/** The server of sessions whose runs do what these words say. */
export const servedBy = (...words: string[]): string[] => [...programs.runner, 'serve', ...words];

export interface AgentcoreWorld {
  readonly agentcore: LocalAgentcore;
  readonly dataDir: string;
  /** How sessions ended, in order. */
  readonly ends: { sessionId: string; why: string }[];
  /** Invokes the session of a new task, or of the one that is named, with a script; answers its name. */
  begin(script: string, of?: SessionName): Promise<SessionName>;
  invoke(name: SessionName, script: string): Promise<Record<string, unknown>>;
  /** A file that a run left in the directory of the session's nth container. */
  file(name: SessionName, file: string, nth?: number): string | undefined;
  /** Names of the directories of containers. */
  containers(): string[];
  ended(name: SessionName): Promise<string>;
  /** The same data seen by another process, as after a restart. */
  reopen(options?: Partial<LocalAgentcoreOptions>): Promise<AgentcoreWorld>;
  close(): Promise<void>;
}

let tasks = 0;
export function aSession(changes: Partial<SessionName> = {}): SessionName {
  tasks += 1;
  const of = taskId.parse(`t${String(process.pid).padStart(12, '0')}${String(tasks).padStart(12, '0')}`);
  const sessionId = sessionIdOf({ stage: 'local', taskId: of, attempt: 1 });
  return { runtimeArn: RUNTIME_ARN, qualifier: 'DEFAULT', sessionId, ...changes };
}

export function invocationOf({ sessionId }: SessionName, script: string): SessionInvocation {
  const of = taskId.parse(sessionId.split('-')[2]);
  return { schemaVersion: 1, sessionId, taskId: of, attempt: 1, environment: { BATON_PAYLOAD: script } };
}

/** Pings often, so that a test need not wait; everything else as on AWS. */
export async function agentcoreWorld(options: Partial<LocalAgentcoreOptions> = {}): Promise<AgentcoreWorld> {
  const dataDir = options.dataDir ?? sceneFolder();
  const store = options.store ?? memoryStore({ freezeValues: true });
  const ends: { sessionId: string; why: string }[] = [];
  const agentcore = localAgentcore({
    clock: { now: () => new Date().toISOString() },
    worldFile: join(dataDir, 'world.json'),
    dirNameOf: ({ sessionId }) => sessionId,
    supervisorCommand: programs.supervisor,
    serverCommand: servedBy(...SHELL),
    onEnd: async ({ name, why }) => {
      ends.push({ sessionId: name.sessionId, why });
    },
    ...options,
    limits: { pingIntervalMs: 50, ...options.limits },
    store,
    dataDir,
  });
  await agentcore.recover();
  const invoke: AgentcoreWorld['invoke'] = async (name, script) => {
    const body = Buffer.from(JSON.stringify(invocationOf(name, script)));
    return JSON.parse((await agentcore.invoke(name, body, 'application/json')).body.toString());
  };
  const runs = join(dataDir, 'runs');
  return {
    agentcore,
    dataDir,
    ends,
    invoke,
    async begin(script, of = aSession()) {
      await invoke(of, script);
      return of;
    },
    file({ sessionId }, file, nth = 1) {
      const path = join(runs, nth === 1 ? sessionId : `${sessionId}-${nth}`, file);
      return written(path);
    },
    containers: () => (existsSync(runs) ? readdirSync(runs).sort() : []),
    ended: ({ sessionId }) =>
      eventually(() => ends.find((end) => end.sessionId === sessionId)?.why, `the end of ${sessionId}`),
    async reopen(changes) {
      await agentcore.close();
      return agentcoreWorld({ ...options, ...changes, store, dataDir });
    },
    /** Its containers end as well: nobody would ever stop them. */
    async close() {
      await agentcore.close();
      await putAway(dataDir);
    },
  };
}
