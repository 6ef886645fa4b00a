import type { AgentcoreParts } from '../../runtime/endpoint/aws/agentcore.ts';
import { localAgentcore } from '../../runtime/engine/local-agentcore.ts';
import type {
  LocalAgentcoreOptions,
  SessionLimits,
  SessionName,
} from '../../runtime/engine/local-agentcore-session.ts';
import { ecsTaskIdOf } from '../../runtime/engine/local-ecs-task.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { parseSessionId } from '../../schemas/agentcore-session.ts';
import type { DeployedRuntime, Deployment } from './deployment.ts';

/** The endpoint that every runtime has; a deployment that makes others must teach them to this world. */
const ENDPOINT = 'DEFAULT';

/** A container is looked at this often, in milliseconds, so that its end is known soon after it. */
const PING_INTERVAL_MS = 500;

export interface AgentcoreOnLoopbackOptions
  extends Pick<
    LocalAgentcoreOptions,
    'clock' | 'dataDir' | 'serverCommand' | 'supervisorCommand' | 'failing' | 'ignoresStop' | 'warn'
  > {
  readonly deployment: Pick<Deployment, 'runtimes'>;
  /** What every container gets besides what its runtime says: credentials, and addresses of the services. */
  readonly environment: Readonly<Record<string, string>>;
}

/** AgentCore of a deployment: its runtimes, and their containers as processes of this machine. */
export interface AgentcoreOnLoopback extends AgentcoreParts {
  /** Takes the machine away under a session. False if there is none of this id. */
  interrupt(sessionId: string): Promise<boolean>;
  close(): Promise<void>;
}

/** The sessions are those of the embedded AgentCore, with what the template says of each runtime. */
export function agentcoreOnLoopback(options: AgentcoreOnLoopbackOptions): AgentcoreOnLoopback {
  const { deployment, environment, ...own } = options;
  const [runtime, ...more] = deployment.runtimes;
  if (more.length > 0) throw new Error('a deployment has one runtime of AgentCore at the most');
  const agentcore = localAgentcore({
    ...own,
    store: memoryStore(),
    // Only the runner of the embedded world reads it.
    worldFile: '/nonexistent',
    limits: { pingIntervalMs: PING_INTERVAL_MS, ...(runtime ? limitsOf(runtime) : {}) },
    environment: () => ({ ...runtime?.environment, ...environment }),
    dirNameOf: runDirNameOf,
  });
  return {
    sessions: agentcore,
    runtimes: runtime ? [runtime.arn] : [],
    qualifiers: [ENDPOINT],
    interrupt: async (sessionId) =>
      runtime !== undefined && agentcore.takeAway({ runtimeArn: runtime.arn, qualifier: ENDPOINT, sessionId }),
    close: () => agentcore.close(),
  };
}

const limitsOf = ({ idleSeconds, maxLifetimeSeconds }: DeployedRuntime): Partial<SessionLimits> => ({
  ...(idleSeconds === undefined ? {} : { idleMs: idleSeconds * 1_000 }),
  ...(maxLifetimeSeconds === undefined ? {} : { maxLifetimeMs: maxLifetimeSeconds * 1_000 }),
});

/** The directory that an attempt has on any back end, so that its log is found there. */
function runDirNameOf({ sessionId }: SessionName): string {
  const owner = parseSessionId(sessionId);
  return ecsTaskIdOf(owner ? `${owner.taskId}-${owner.attempt}` : sessionId);
}
