import { createHash } from 'node:crypto';
import type { ProcessIdentity } from '../../schemas/supervised-run.ts';
import type { Clock, RecordStore } from '../ports.ts';
import type { ContainerAnswer } from './local-agentcore-container.ts';

/** What AWS says of sessions (AgentCore developer guide: lifecycle settings, V2), and what it does not say (pings). */
export interface SessionLimits {
  /** A session that is not busy and not invoked ends after this time. */
  readonly idleMs: number;
  readonly maxLifetimeMs: number;
  /** A new container must answer its first ping within this time. */
  readonly provisionMs: number;
  /** How long an invocation may take: one that answers later is none of ours, which answer at once. */
  readonly invokeMs: number;
  /** AWS does not say how often it pings. A ping is one request on loopback. */
  readonly pingIntervalMs: number;
  /** Long enough for a machine on which every agent builds. */
  readonly pingTimeoutMs: number;
  /** Pings in a row without an answer after which a session ends. */
  readonly unhealthyPings: number;
}

export const sessionLimits: SessionLimits = {
  idleMs: 900_000,
  maxLifetimeMs: 28_800_000,
  provisionMs: 120_000,
  invokeMs: 60_000,
  pingIntervalMs: 2_000,
  pingTimeoutMs: 10_000,
  unhealthyPings: 3,
};

/** A session is known by all three: the same id at another endpoint is another session. */
export interface SessionName {
  readonly runtimeArn: string;
  readonly qualifier: string;
  readonly sessionId: string;
}

/** Why a session ended; AWS tells nobody. */
export type SessionEnd = 'stopped' | 'idle' | 'lifetime' | 'unhealthy' | 'taken away' | 'ended by itself';

/** A session that has a container, as the store keeps it; one that has ended is not kept. */
export interface SessionRecord {
  readonly schemaVersion: 1;
  readonly name: SessionName;
  /** Directory of its container. */
  readonly path: string;
  /** Who keeps its container, so that it is reached although the directory was removed; left out until it is up. */
  readonly supervisor?: ProcessIdentity;
  readonly startedAt: string;
  readonly invokedAt: string;
  /** Why it must end, and since when. */
  readonly ending?: { readonly why: SessionEnd; readonly at: string };
}

/**
 * Why a call is refused. `conflict`: the session is being made or taken down; `not_found`: there is none; `container`: its container
 * did not come up, cannot be reached, or answered with an error; the others can be asked for in tests.
 */
export type SessionFaultKind = 'conflict' | 'not_found' | 'container' | 'throttled' | 'quota' | 'denied' | 'internal';

export class SessionFault extends Error {
  readonly kind: SessionFaultKind;

  constructor(kind: SessionFaultKind, message: string) {
    super(message);
    this.name = 'SessionFault';
    this.kind = kind;
  }
}

export interface LocalAgentcoreOptions {
  readonly store: RecordStore;
  readonly clock: Clock;
  readonly dataDir: string;
  /** Where runners find the running world. */
  readonly worldFile: string;
  /** Program and arguments of a container's server. */
  readonly serverCommand: readonly string[];
  /** Program and arguments of the supervisor; the directory of the container is added. */
  readonly supervisorCommand: readonly string[];
  readonly limits?: Partial<SessionLimits>;
  /** From SIGTERM to SIGKILL of a container. None by default: AWS promises no word before the end. */
  readonly stopTimeoutSeconds?: number;
  /** Variables of the containers of a session besides. */
  readonly environment?: (name: SessionName, payload: Buffer) => Readonly<Record<string, string>>;
  /** Name of the directory of a session, below `runs`; that of each further container has a number behind it. */
  readonly dirNameOf?: (name: SessionName) => string;
  /** Fault for tests and demonstrations. */
  readonly failing?: (operation: 'invoke' | 'stop', name: SessionName) => SessionFault | undefined;
  /** A session that takes a stop and lives on, for tests: the stop is answered like every other. */
  readonly ignoresStop?: (name: SessionName) => boolean;
  /** Called when nothing of a container is left. AWS tells nobody; this is for what the world keeps. May be called again. */
  readonly onEnd?: (ended: EndedSession) => Promise<void>;
  /** Told what went wrong but is tried again. */
  readonly warn?: (message: string, error: unknown) => void;
}

export interface EndedSession {
  readonly name: SessionName;
  readonly path: string;
  readonly why: SessionEnd;
}

export interface LocalAgentcore {
  /** Passes the payload to the session's container, which is made if there is none. Throws SessionFault. */
  invoke(name: SessionName, payload: Buffer, contentType: string): Promise<ContainerAnswer>;
  /** Ends the session without a word to it. Throws SessionFault: `not_found` says that it has ended, or never was. */
  stop(name: SessionName): Promise<void>;
  /** Takes the machine away under a session. False if there is none. For tests and demonstrations. */
  takeAway(name: SessionName): Promise<boolean>;
  /** Takes up the sessions of an earlier process. Call once, before the first `invoke`. */
  recover(): Promise<void>;
  /** Output of the first container of a session, the one that worked; the file may not exist. */
  logPath(name: SessionName): string;
  /** Stops looking; the sessions go on. */
  close(): Promise<void>;
}

/** The runtime and the endpoint at which the embedded world starts its sessions. */
export const LOCAL_RUNTIME = {
  runtimeArn: 'arn:aws:bedrock-agentcore:local:000000000000:runtime/baton_agent-embedded01',
  qualifier: 'DEFAULT',
} as const;

const KEY_PREFIX = 'SESSION#';
/** Records read at once when all sessions are gone through. */
const LIST_PAGE = 200;

export const sessionKey = ({ runtimeArn, qualifier, sessionId }: SessionName): string =>
  KEY_PREFIX + hashOf(JSON.stringify([runtimeArn, qualifier, sessionId]));

/** All sessions that have a container. */
export async function* sessionsIn(store: Pick<RecordStore, 'list'>): AsyncGenerator<SessionRecord> {
  let after: string | undefined;
  for (;;) {
    const page = await store.list(KEY_PREFIX, { limit: LIST_PAGE, ...(after === undefined ? {} : { after }) });
    // Only the embedded service writes these records.
    for (const { value } of page) yield value as SessionRecord;
    after = page.at(-1)?.key;
    if (page.length < LIST_PAGE) return;
  }
}

/** 32 hexadecimal digits. */
export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
