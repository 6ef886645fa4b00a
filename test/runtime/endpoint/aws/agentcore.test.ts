import {
  BedrockAgentCoreClient,
  InvokeAgentRuntimeCommand,
  StopRuntimeSessionCommand,
} from '@aws-sdk/client-bedrock-agentcore';
import { afterEach, describe, expect, it } from '@jest/globals';
import { agentcoreService } from '../../../../runtime/endpoint/aws/agentcore.ts';
import {
  SessionFault,
  type SessionFaultKind,
  type SessionName,
} from '../../../../runtime/engine/local-agentcore-session.ts';
import { type Served, served } from '../../aws/served.ts';

const ARN = 'arn:aws:bedrock-agentcore:local:000000000000:runtime/baton_agent-0123456789';
const SESSION = `session-${'x'.repeat(30)}`;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

type Did = ['invoke', SessionName, string, string] | ['stop', SessionName];

/** The service over sessions that only write down what they are asked, as an SDK client sees it. */
async function aService(fault?: SessionFaultKind) {
  const did: Did[] = [];
  const fail = (): void => {
    if (fault) throw new SessionFault(fault, 'because');
  };
  const service: Served = await served([
    agentcoreService({
      runtimes: [ARN],
      qualifiers: ['DEFAULT', 'canary'],
      sessions: {
        async invoke(name, payload, contentType) {
          did.push(['invoke', name, payload.toString(), contentType]);
          fail();
          return { status: 200, contentType: 'text/x-strange', body: Buffer.from([0, 255, 10]) };
        },
        async stop(name) {
          did.push(['stop', name]);
          fail();
        },
      },
    }),
  ]);
  const client = new BedrockAgentCoreClient(service.client);
  open.push({
    close: async () => {
      client.destroy();
      await service.close();
    },
  });
  return { client, did, service };
}

const invoke = (more: object = {}) =>
  new InvokeAgentRuntimeCommand({
    agentRuntimeArn: ARN,
    runtimeSessionId: SESSION,
    payload: Buffer.from('hello'),
    ...more,
  });
const stop = (more: object = {}) =>
  new StopRuntimeSessionCommand({ agentRuntimeArn: ARN, runtimeSessionId: SESSION, ...more });

describe('an invocation', () => {
  it('reaches its session with the bytes of its payload, and brings back those of the answer', async () => {
    const { client, did } = await aService();
    const answer = await client.send(invoke({ contentType: 'text/plain', qualifier: 'canary' }));
    expect(answer).toMatchObject({ runtimeSessionId: SESSION, statusCode: 200, contentType: 'text/x-strange' });
    expect([...((await answer.response?.transformToByteArray()) ?? [])]).toEqual([0, 255, 10]);
    const name = { runtimeArn: ARN, qualifier: 'canary', sessionId: SESSION };
    expect(did).toEqual([['invoke', name, 'hello', 'text/plain']]);
  });

  it('without a qualifier is for the default endpoint', async () => {
    const { client, did } = await aService();
    await client.send(invoke());
    expect(did[0]?.[1]).toMatchObject({ qualifier: 'DEFAULT' });
  });

  it('without a session id gets one that nobody chose', async () => {
    const { service, did } = await aService();
    const authorization = 'AWS4-HMAC-SHA256 Credential=x/20260101/local/bedrock-agentcore/aws4_request';
    const url = `${service.client.endpoint}/runtimes/${encodeURIComponent(ARN)}/invocations`;
    for (let n = 0; n < 2; n++)
      expect((await fetch(url, { method: 'POST', headers: { authorization } })).status).toBe(200);
    const ids = did.map(([, { sessionId }]) => sessionId);
    expect(new Set(ids).size).toBe(2);
    expect(Math.min(...ids.map(({ length }) => length))).toBeGreaterThanOrEqual(33);
  });

  it('takes a payload that is no JSON, and an empty one', async () => {
    const { client, did } = await aService();
    for (const payload of ['{', '']) await client.send(invoke({ payload: Buffer.from(payload) }));
    expect(did.map(([, , payload]) => payload)).toEqual(['{', '']);
  });
});

describe('a stop', () => {
  it('reaches its session', async () => {
    const { client, did } = await aService();
    expect(await client.send(stop())).toMatchObject({ runtimeSessionId: SESSION, statusCode: 200 });
    expect(did).toEqual([['stop', { runtimeArn: ARN, qualifier: 'DEFAULT', sessionId: SESSION }]]);
  });
});

describe('what is refused', () => {
  it.each([
    ['an unknown runtime', { agentRuntimeArn: `${ARN}x` }, 'ResourceNotFoundException', 404],
    ['an unknown endpoint', { qualifier: 'nowhere' }, 'ResourceNotFoundException', 404],
    ['a session id of 32 characters', { runtimeSessionId: 'x'.repeat(32) }, 'ValidationException', 400],
    ['a session id of 257 characters', { runtimeSessionId: 'x'.repeat(257) }, 'ValidationException', 400],
  ])('is %s', async (_, more, name, status) => {
    const { client, did } = await aService();
    const refusal = { name, $metadata: { httpStatusCode: status } };
    await expect(client.send(invoke(more))).rejects.toMatchObject(refusal);
    await expect(client.send(stop(more))).rejects.toMatchObject(refusal);
    expect(did).toEqual([]);
  });

  it.each([
    ['conflict', 'RetryableConflictException', 409],
    ['not_found', 'ResourceNotFoundException', 404],
    ['container', 'RuntimeClientError', 424],
    ['throttled', 'ThrottlingException', 429],
    ['quota', 'ServiceQuotaExceededException', 402],
    ['denied', 'AccessDeniedException', 403],
    ['internal', 'InternalServerException', 500],
  ] as const)('is told as the SDK knows it: %s', async (kind, name, status) => {
    const { client } = await aService(kind);
    const refusal = { name, message: 'because', $metadata: { httpStatusCode: status } };
    await expect(client.send(invoke())).rejects.toMatchObject(refusal);
    await expect(client.send(stop())).rejects.toMatchObject(refusal);
  });

  it('is whatever else is asked of the service', async () => {
    const { service } = await aService();
    const authorization = 'AWS4-HMAC-SHA256 Credential=x/20260101/local/bedrock-agentcore/aws4_request';
    for (const path of ['/runtimes', `/runtimes/${encodeURIComponent(ARN)}/sessions`]) {
      const answer = await fetch(service.client.endpoint + path, { method: 'POST', headers: { authorization } });
      expect(answer.headers.get('x-amzn-errortype')).toBe('UnknownOperationException');
      expect(await answer.json()).toMatchObject({ message: expect.stringContaining('InvokeAgentRuntime') });
    }
    expect(service.troubles).toEqual([]);
  });
});
