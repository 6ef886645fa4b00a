import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { sessionIdOf } from '../../schemas/agentcore-session.ts';
import { eventually, lives } from '../flows/scene.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { type AgentcoreOnLoopback, agentcoreOnLoopback } from './agentcore-on-loopback.ts';
import type { DeployedRuntime } from './deployment.ts';

const RUNTIME_ARN = 'arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/some_agent-0123456789';
const NAME = {
  runtimeArn: RUNTIME_ARN,
  qualifier: 'DEFAULT',
  sessionId: sessionIdOf({ stage: 'loopback', taskId: `t${'0'.repeat(24)}`, attempt: 1 }),
};

let agentcore: AgentcoreOnLoopback;
let folder: string;
afterEach(async () => {
  await agentcore.close();
  await putAway(folder);
});

/** A container that writes down what it is told, answers pings and invocations, and is never busy. */
function open(changes: Partial<DeployedRuntime> = {}) {
  folder = sceneFolder();
  const [told, pid] = [join(folder, 'told'), join(folder, 'pid')];
  const runtime: DeployedRuntime = {
    arn: RUNTIME_ARN,
    image: 'an image',
    environment: { BATON_TABLE: 'the-table', AWS_REGION: 'us-east-1' },
    idleSeconds: undefined,
    maxLifetimeSeconds: undefined,
    ...changes,
  };
  const server = `
    const { writeFileSync } = require('node:fs');
    writeFileSync(${JSON.stringify(pid)}, String(process.pid));
    const { BATON_TABLE, AWS_REGION, AWS_ENDPOINT_URL, BATON_RUN_DIR } = process.env;
    const health = JSON.stringify({ status: 'Healthy', time_of_last_update: Math.floor(Date.now() / 1000) });
    const server = require('node:http').createServer((_, response) => response.end(health)).listen(0, '127.0.0.1', () => {
      writeFileSync(${JSON.stringify(told)}, [BATON_TABLE, AWS_REGION, AWS_ENDPOINT_URL].join(' '));
      writeFileSync(BATON_RUN_DIR + '/session.json', JSON.stringify({ port: server.address().port }));
    });`;
  agentcore = agentcoreOnLoopback({
    clock: { now: () => new Date().toISOString() },
    deployment: { runtimes: [runtime] },
    dataDir: join(folder, 'data'),
    environment: { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
    serverCommand: [process.execPath, '-e', server],
    supervisorCommand: [process.execPath, new URL('../../dist/supervisor.js', import.meta.url).pathname],
  });
  return {
    told: () => readFileSync(told, 'utf8'),
    lives: () => lives(Number(readFileSync(pid, 'utf8'))),
    ...agentcore,
  };
}

describe('a session of the deployed runtime', () => {
  it('has the variables that the template gives its runtime, and the addresses of this world', async () => {
    const opened = open();
    await opened.sessions.invoke(NAME, Buffer.from('{}'), 'application/json');
    expect(opened.told()).toBe('the-table us-east-1 http://127.0.0.1:1');
    expect([opened.runtimes, opened.qualifiers]).toEqual([[RUNTIME_ARN], ['DEFAULT']]);
    expect(await opened.interrupt('no-such-session')).toBe(false);
    expect(await opened.interrupt(NAME.sessionId)).toBe(true);
    await eventually(() => (opened.lives() ? undefined : true), 'its end');
  });

  it.each([
    ['idle', { idleSeconds: 1 }],
    ['old', { maxLifetimeSeconds: 1 }],
  ])('ends by itself when it is as %s as the template allows', async (_what, limits) => {
    const opened = open(limits);
    await opened.sessions.invoke(NAME, Buffer.from('{}'), 'application/json');
    expect(opened.told()).not.toBe('');
    await eventually(() => (opened.lives() ? undefined : true), 'its end');
  });
});
