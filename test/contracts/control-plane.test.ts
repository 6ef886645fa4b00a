import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from '@jest/globals';
import { awsControlPlane } from '../../agent/aws-control-plane.ts';
import { Fenced } from '../../agent/control-plane.ts';
import { httpControlPlane } from '../../agent/http-control-plane.ts';
import { soleClaim } from '../../agent/sole-claim.ts';
import { dynamoStore } from '../../runtime/aws/dynamo-store.ts';
import { awsEndpoint } from '../../runtime/endpoint/aws/aws-endpoint.ts';
import { loopbackServer } from '../../runtime/endpoint/loopback-server.ts';
import { payloadSecrets } from '../../runtime/endpoint/payload-secret.ts';
import { runRoutes } from '../../runtime/endpoint/run-routes.ts';
import { createEngine } from '../../runtime/engine/engine.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { realScheduler } from '../../runtime/engine/scheduler.ts';
import { payloadRef } from '../../runtime/payloads.ts';
import { runsOver } from '../../runtime/runs.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { payloadObjectKey } from '../../schemas/record-keys.ts';
import { startAwsStub } from '../agent/aws-stub.ts';
import { type DynamoEngine, dynamoEngines } from '../aws/dynamo-server.ts';
import { aTaskId, testTimings } from '../builders.ts';
import { type ControlPlaneUnderTest, controlPlaneContract } from './control-plane.ts';

const SECRET = 'secret of the deployment';
const taskId = aTaskId();

controlPlaneContract('over HTTP, the embedded world', overHttp);
for (const engine of dynamoEngines.filter(({ absent }) => absent === undefined)) {
  controlPlaneContract(`on AWS, ${engine.name}`, () => onAws(engine));
}

// The world of a laptop may be killed at any moment.
describe('a claim over HTTP whose answer was lost after it was written', () => {
  it('is its own where a claim counts once, and nobody else has it', async () => {
    const world = await overHttp();
    const way = await losingTheFirstAnswer(world.url);
    const { token: runToken } = await world.runs.open(taskId, 1);
    const run = { taskId, attempt: 1, nativeId: 'session', runToken };
    const claims = soleClaim(httpControlPlane(way.worldFile));
    expect(await claims.claim(run, () => 20_000)).toBe('claimed');
    expect(way.lost()).toBe(1);
    await expect(claims.claim(run, () => 20_000)).rejects.toThrow(Fenced);
    await way.close();
    await world.close();
  });
});

/** What is asked reaches the world; its first answer reaches nobody. */
async function losingTheFirstAnswer(url: string) {
  const folder = mkdtempSync(join(tmpdir(), 'baton-control-plane-'));
  let lost = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { authorization = '', 'content-type': type = '' } = request.headers;
    const headers = { authorization, 'content-type': type };
    const answer = await fetch(new URL(request.url ?? '', url), {
      method: 'POST',
      headers,
      body: Buffer.concat(chunks),
    });
    const body = await answer.text();
    if (lost > 0) return void response.writeHead(answer.status).end(body);
    lost += 1;
    request.socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const worldFile = join(folder, 'world.json');
  writeFileSync(worldFile, JSON.stringify({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }));
  return {
    worldFile,
    lost: () => lost,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true });
    },
  };
}

/** The embedded world as far as a runner sees it: its engine behind its endpoint. */
async function overHttp(): Promise<ControlPlaneUnderTest & { readonly url: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-control-plane-'));
  const worldFile = join(folder, 'world.json');
  const store = memoryStore({ freezeValues: true });
  const secrets = payloadSecrets(SECRET);
  const engine = createEngine({
    store,
    scheduler: realScheduler(),
    reactions: [],
    secret: SECRET,
    limitOf: () => 1,
    settings: {
      stage: 'test',
      timings: testTimings,
      defaultAgentCommand: 'agent',
      agentCommandAllowed: true,
      screening: 'off',
      computes: ['ecs'],
      fleets: ['main'],
      slotKeyOf: ({ userId }) => userId,
    },
    outside: () => ({}),
  });
  const heard: Envelope[] = [];
  engine.bus.listen((event) => heard.push(event));
  const server = await loopbackServer(0);
  server.serve(runRoutes(engine, secrets), awsEndpoint([]));
  writeFileSync(worldFile, JSON.stringify({ url: server.url }));
  return {
    url: server.url,
    of: (reference = '') => httpControlPlane(worldFile, secrets.of(reference)),
    runs: engine.ports.runs,
    store,
    keep: (taskId, text) => engine.ports.payloads.put(taskId, text),
    events: () => heard.map(({ source, 'detail-type': type, detail }) => ({ source, type, detail })),
    async close() {
      await server.close();
      await engine.stop();
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

async function onAws(engine: DynamoEngine): Promise<ControlPlaneUnderTest> {
  const server = await engine.start();
  const table = await server.createTable();
  const stub = await startAwsStub(server.endpoint);
  const config = {
    endpoint: stub.url,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  const handlers = server.client();
  const runners = server.client(config);
  const s3 = new S3Client(config);
  const eventBridge = new EventBridgeClient(config);
  const store = dynamoStore({ client: handlers, table, retentionDays: 90 });
  const controlPlane = awsControlPlane({ dynamoDb: runners, s3, eventBridge, table, bucket: 'payloads', bus: 'baton' });
  return {
    of: () => controlPlane,
    runs: runsOver({ store, clock: { now: () => new Date().toISOString() }, secret: () => SECRET }),
    store,
    keep: async (taskId, text) => {
      const reference = payloadRef(SECRET, taskId, text);
      stub.objects.set(`payloads/${payloadObjectKey(reference)}`, text);
      return reference;
    },
    events: () =>
      stub.entries.map(({ Source: source = '', DetailType: type = '', Detail = '' }) => ({
        source,
        type,
        detail: JSON.parse(Detail),
      })),
    async close() {
      for (const client of [handlers, runners, s3, eventBridge]) client.destroy();
      await stub.close();
      await server.stop();
    },
  };
}
