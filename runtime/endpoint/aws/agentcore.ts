import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import {
  type LocalAgentcore,
  SessionFault,
  type SessionFaultKind,
  type SessionName,
} from '../../engine/local-agentcore-session.ts';
import { AwsError } from './aws-error.ts';
import { type AwsCall, type AwsService, type Input, type Protocol, parsedInput } from './aws-service.ts';
import { json, jsonObject } from './json-protocol.ts';
import { decoded } from './rest-json-protocol.ts';

export interface AgentcoreParts {
  readonly sessions: Pick<LocalAgentcore, 'invoke' | 'stop'>;
  /** ARNs of the runtimes that are known. */
  readonly runtimes: readonly string[];
  /** Endpoints that each of them has. */
  readonly qualifiers: readonly string[];
}

const SESSION_HEADER = 'x-amzn-bedrock-agentcore-runtime-session-id';
/** The endpoint that every runtime has, and that is meant when none is named. */
const DEFAULT_QUALIFIER = 'DEFAULT';

/** The request takes 33 to 256 characters; the answer can repeat 100 of fewer kinds (API reference, InvokeAgentRuntime). */
const named = z.looseObject({
  agentRuntimeArn: z.string(),
  qualifier: z.string().min(1).default(DEFAULT_QUALIFIER),
  runtimeSessionId: z.string().min(33).max(256),
});
const invoked = z.looseObject({
  ...named.shape,
  // Left out, AWS makes one up, and nobody can start the same session again.
  runtimeSessionId: named.shape.runtimeSessionId.default(() => randomUUID()),
  contentType: z.string().default('application/octet-stream'),
  payload: z.instanceof(Buffer),
});

/** Error codes and statuses of both operations (API references, InvokeAgentRuntime and StopRuntimeSession). */
const errors: Record<SessionFaultKind, readonly [code: string, status: number]> = {
  conflict: ['RetryableConflictException', 409],
  not_found: ['ResourceNotFoundException', 404],
  container: ['RuntimeClientError', 424],
  throttled: ['ThrottlingException', 429],
  quota: ['ServiceQuotaExceededException', 402],
  denied: ['AccessDeniedException', 403],
  internal: ['InternalServerException', 500],
};

/** The data plane of AgentCore Runtime over processes of this machine. It lists and describes no session, as AWS does not. */
export function agentcoreService({ sessions, runtimes, qualifiers }: AgentcoreParts): AwsService {
  return {
    signingName: 'bedrock-agentcore',
    protocol: sessionProtocol,
    operations: {
      async InvokeAgentRuntime(given) {
        const input = parsedInput(invoked, given);
        const name = nameOf(input);
        const { contentType, body } = await orError(() => sessions.invoke(name, input.payload, input.contentType));
        return { runtimeSessionId: name.sessionId, contentType, response: body };
      },
      async StopRuntimeSession(given) {
        const name = nameOf(parsedInput(named, given));
        await orError(() => sessions.stop(name));
        return { runtimeSessionId: name.sessionId };
      },
    },
  };

  function nameOf({ agentRuntimeArn, qualifier, runtimeSessionId }: z.infer<typeof named>): SessionName {
    const missing = [
      ...(runtimes.includes(agentRuntimeArn) ? [] : [`agent runtime ${agentRuntimeArn}`]),
      ...(qualifiers.includes(qualifier) ? [] : [`endpoint ${qualifier}`]),
    ];
    if (missing.length > 0) throw new AwsError(...errors.not_found, `There is no ${missing.join(' and no ')} here.`);
    return { runtimeArn: agentRuntimeArn, qualifier, sessionId: runtimeSessionId };
  }
}

async function orError<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof SessionFault) throw new AwsError(...errors[error.kind], error.message);
    throw error;
  }
}

/** REST, with the session in a header and, for an invocation, bodies that are the container's own. */
const sessionProtocol: Protocol = {
  read(call) {
    const [, arn = '', verb] = /^\/runtimes\/([^/]+)\/(invocations|stopruntimesession)$/.exec(call.path) ?? [];
    if (call.method !== 'POST' || verb === undefined) return { operation: undefined, input: {} };
    const input = { ...inHeadersAndQuery(call), agentRuntimeArn: decoded(arn) };
    return verb === 'invocations'
      ? { operation: 'InvokeAgentRuntime', input: { ...input, payload: call.body } }
      : { operation: 'StopRuntimeSession', input: { ...jsonObject(call.body), ...input } };
  },
  write(_operation, output) {
    const { runtimeSessionId, contentType, response } = written.parse(output);
    return {
      status: 200,
      headers: { 'content-type': contentType, [SESSION_HEADER]: runtimeSessionId },
      body: response,
    };
  },
  fail: (code, status, message, members) => ({
    status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': code },
    body: json({ message, ...members }),
  }),
};

const written = z.object({
  runtimeSessionId: z.string(),
  contentType: z.string().default('application/json'),
  response: z.instanceof(Buffer).default(() => json({})),
});

/** Members that are not sent are left out. */
function inHeadersAndQuery({ headers, query }: AwsCall): Input {
  const members = {
    qualifier: query.get('qualifier') ?? undefined,
    runtimeSessionId: headers[SESSION_HEADER],
    contentType: headers['content-type'],
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
