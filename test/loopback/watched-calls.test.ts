import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type AwsCall, type CallFault, type WatchedCalls, watchedCalls } from './watched-calls.ts';

const CALLER = 'fdfa0c73-0ac2-42a8-bdd2-aba5904407ec';
const headers = {
  authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, Signature=b',
  'x-amz-target': 'DynamoDB_20120810.PutItem',
  'user-agent': `aws-sdk-js/3 app/${CALLER}-and-more`,
};

let upstream: Server;
let watched: WatchedCalls;
let fault: CallFault | undefined;
let happened: string[];
let seen: AwsCall[];
let killed: string[];

beforeEach(async () => {
  [fault, happened, seen, killed] = [undefined, [], [], []];
  upstream = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => happened.push(`${request.method} ${request.url} ${text}`));
    request.on('end', () => response.writeHead(400, { 'x-amzn-requestid': 'r' }).end('answer'));
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const { port } = upstream.address() as AddressInfo;
  watched = await watchedCalls({
    upstream: () => `http://127.0.0.1:${port}`,
    kill: (caller) => killed.push(caller),
    onCall(call) {
      seen.push(call);
      return fault;
    },
  });
});
afterEach(async () => {
  await watched.close();
  upstream.close();
  upstream.closeAllConnections();
});

const call = () => fetch(`${watched.url}/some/path?x=1`, { method: 'POST', headers, body: 'question' });

describe('a call to AWS that is watched', () => {
  it('is seen with caller, key, service, operation and question, and answered as the service answers', async () => {
    const answer = await call();
    expect([answer.status, answer.headers.get('x-amzn-requestid'), await answer.text()]).toEqual([400, 'r', 'answer']);
    expect(seen).toEqual([{ caller: CALLER, name: 'dynamodb.PutItem', key: 'a', body: Buffer.from('question') }]);
    expect(happened).toEqual(['POST /some/path?x=1 question']);
    expect(killed).toEqual([]);
  });

  it('is known by the last word of its path where that alone says what is asked for', async () => {
    const authorization = headers.authorization.replace('dynamodb', 'bedrock-agentcore');
    const arn = encodeURIComponent('arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/agent');
    for (const verb of ['invocations', 'stopruntimesession']) {
      const { 'user-agent': agent } = headers;
      const asked = { method: 'POST', headers: { authorization, 'user-agent': agent }, body: 'question' };
      await fetch(`${watched.url}/runtimes/${arn}/${verb}?qualifier=DEFAULT`, asked);
    }
    expect(seen.map(({ name }) => name)).toEqual([
      'bedrock-agentcore.invocations',
      'bedrock-agentcore.stopruntimesession',
    ]);
  });

  it('is known by the action in its form where that says what is asked for', async () => {
    const authorization = headers.authorization.replace('dynamodb', 'autoscaling');
    const body = new URLSearchParams({ Action: 'SetInstanceProtection', Version: '2011-01-01' });
    await fetch(watched.url, { method: 'POST', headers: { authorization }, body });
    expect(seen.map(({ name }) => name)).toEqual(['autoscaling.SetInstanceProtection']);
  });

  it('never happens when its caller dies before it', async () => {
    fault = 'before';
    await expect(call()).rejects.toThrow();
    expect([happened, killed]).toEqual([[], [CALLER]]);
  });

  it('has happened when its caller dies after it', async () => {
    fault = 'after';
    await expect(call()).rejects.toThrow();
    expect([happened.length, killed]).toEqual([1, [CALLER]]);
  });
});
