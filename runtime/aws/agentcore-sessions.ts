import {
  type BedrockAgentCoreClient,
  InvokeAgentRuntimeCommand,
  type InvokeAgentRuntimeCommandOutput,
  StopRuntimeSessionCommand,
} from '@aws-sdk/client-bedrock-agentcore';
import { ComputeError } from '../errors.ts';
import { type SessionService, SessionTrouble } from '../session-backend.ts';
import { type AgentcoreOperation, agentcoreError, agentcoreFaultOf } from './agentcore-faults.ts';
import { watchSends } from './watch-sends.ts';

/** An acknowledgement takes milliseconds, a new container seconds: less than a function may take, which has to say what came of it. */
const INVOKE_TIMEOUT_MS = 25_000;
/** What is read of an answer: an acknowledgement has some 150 bytes. */
const ACKNOWLEDGEMENT_MAX_BYTES = 4_096;

/** The data plane of AgentCore Runtime. */
export function agentcoreSessions(client: BedrockAgentCoreClient): SessionService {
  return {
    async invoke({ runtimeArn, qualifier, sessionId }, payload) {
      const command = new InvokeAgentRuntimeCommand({
        agentRuntimeArn: runtimeArn,
        qualifier,
        runtimeSessionId: sessionId,
        contentType: 'application/json',
        accept: 'application/json',
        payload,
      });
      const sends = watchSends((error) => agentcoreFaultOf(error) === 'unavailable');
      command.middlewareStack.add(sends.middleware, sends.place);
      let answer: InvokeAgentRuntimeCommandOutput;
      try {
        // The client's own patience is for services that answer at once, and a second try would meet the first one's container half made.
        const abortSignal = AbortSignal.timeout(INVOKE_TIMEOUT_MS);
        answer = await client.send(command, { abortSignal, requestTimeout: INVOKE_TIMEOUT_MS });
      } catch (error) {
        throw troubleOf('InvokeAgentRuntime', error, sends.wasUnheard());
      }
      return whole(answer);
    },

    async stop({ runtimeArn, qualifier, sessionId }) {
      try {
        // No client token of ours: a second stop of a session that began again must not be answered from memory.
        await client.send(
          new StopRuntimeSessionCommand({ agentRuntimeArn: runtimeArn, runtimeSessionId: sessionId, qualifier }),
        );
      } catch (error) {
        throw troubleOf('StopRuntimeSession', error);
      }
    },
  };
}

function troubleOf(operation: AgentcoreOperation, error: unknown, unheard = false): SessionTrouble {
  const fault = agentcoreFaultOf(error);
  return new SessionTrouble(fault, agentcoreError(operation, error, fault), unheard);
}

async function whole({ response }: InvokeAgentRuntimeCommandOutput): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of (response ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > ACKNOWLEDGEMENT_MAX_BYTES) break;
    }
  } catch (error) {
    const told = `AgentCore InvokeAgentRuntime: the answer broke off: ${String(error)}`;
    throw new SessionTrouble('unavailable', new ComputeError('compute_unavailable', told, { cause: error }), true);
  }
  return Buffer.concat(chunks).toString('utf8');
}
