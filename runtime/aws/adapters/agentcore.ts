import { Logger } from '@aws-lambda-powertools/logger';
import type { AgentcoreBackend, StoredRecord } from '../../ports.ts';
import { runKey, taskKey } from '../../records.ts';
import { runRecordIn } from '../../runs.ts';
import { livesOver, sessionBackend } from '../../session-backend.ts';
import { taskIn } from '../../tasks.ts';
import { agentcoreSessions } from '../agentcore-sessions.ts';
import { bedrockAgentcore } from '../clients/bedrock-agentcore.ts';
import { type EnvironmentOf, timingsOf } from '../environment.ts';
import * as clock from './clock.ts';
import { records } from './records.ts';

/** For what stops no delivery: a start that is not allowed, or a runtime that is not there. */
const logger = new Logger({ serviceName: 'baton' });

/** Runs as sessions of one runtime; whether one lives is read from the records. */
export function open(environment: EnvironmentOf<'agentcore'>): AgentcoreBackend {
  const store = records(environment);
  const timings = timingsOf(environment);
  return sessionBackend({
    sessions: agentcoreSessions(bedrockAgentcore()),
    runtimeArn: environment.BATON_AGENTCORE_RUNTIME_ARN,
    qualifier: environment.BATON_AGENTCORE_QUALIFIER,
    lifeOf: livesOver({
      tasks: { get: async (taskId) => taskIn(await store.get(taskKey(taskId))) },
      runs: { get: async (taskId, attempt) => runIn(await store.get(runKey(taskId, attempt))) },
      clock: clock.open(),
      timings: () => timings,
    }),
    failed: ({ code, message, remedy }) => logger.error(message, { code, remedy }),
  });
}

const runIn = (stored: StoredRecord | undefined) => stored && runRecordIn(stored.value);
