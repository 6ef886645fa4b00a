import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { identityOfChild, killAll } from '../../agent/supervisor-processes.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import { type DynamoServer, nearestEngine } from '../aws/dynamo-server.ts';
import { bundleFile } from '../programs.ts';
import { type AwsScene, openAwsScene } from './aws-scene.ts';
import { BRANCH, type Launched, RUN_TOKEN, TASK_ID, until } from './scene.ts';
import { anInvocation, SESSION_ID } from './session-scene.ts';

let engine: DynamoServer;
/** The image's entry point with its own command, which is to serve. */
let image = '';
let scene: AwsScene | undefined;
beforeAll(async () => {
  engine = await nearestEngine.start();
  image = join(mkdtempSync(join(tmpdir(), 'baton-image-')), 'image.mjs');
  const runner = JSON.stringify(bundleFile('runner-aws'));
  writeFileSync(image, `if (process.argv.length < 3) process.argv.push('serve');\nawait import(${runner});\n`);
});
afterAll(async () => {
  await engine?.stop();
});
afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

async function open(more?: Parameters<typeof openAwsScene>[1]): Promise<AwsScene> {
  scene = await openAwsScene(engine, { ...more, runner: image });
  return scene;
}

const invocation = anInvocation('', {
  environment: { BATON_TASK_ID: TASK_ID, BATON_ATTEMPT: '1', BATON_PAYLOAD: `${TASK_ID}.reference` },
});

/** A container of a session. Its own variables are those of the runtime: nothing in them is of a run. */
async function aContainer({ start, runDir }: AwsScene, more: Record<string, string> = {}) {
  const session = join(runDir, RUN_FILES.session);
  rmSync(session, { force: true });
  const launched: Launched = start({
    BATON_SESSION_HOST: '127.0.0.1',
    BATON_SESSION_PORT: '0',
    BATON_TASK_ID: '',
    BATON_ATTEMPT: '',
    ...more,
  });
  await until('it listens', () => existsSync(session));
  const { port } = JSON.parse(readFileSync(session, 'utf8'));
  const url = (path: string): string => `http://127.0.0.1:${port}${path}`;
  return {
    ...launched,
    invoke: async () => (await fetch(url('/invocations'), { method: 'POST', body: JSON.stringify(invocation) })).json(),
    ping: async () => ((await (await fetch(url('/ping'))).json()) as { status: string }).status,
  };
}

describe('a session of AgentCore with the real runner', () => {
  it('claims as its session, beats, pushes, leaves its report, and says so by attempt and sequence', async () => {
    const opened = await open({ payload: { agentCommand: 'echo hello > greeting.txt; sleep 0.5' } });
    const { aws, record, said, inRemote } = opened;
    const container = await aContainer(opened, { BATON_HEARTBEAT_S: '0.1' });
    expect(await container.invoke()).toMatchObject({ status: 'accepted' });
    await until('it has reported', () => said().some(({ type }) => type === 'RunReported'));
    expect(inRemote('show', `${BRANCH}:greeting.txt`)).toBe('hello\n');
    expect(await record()).toMatchObject({
      claim: { nativeId: SESSION_ID },
      heartbeatAt: expect.any(String),
      report: { outcome: 'succeeded' },
    });
    const details = aws.entries.map(({ Detail = '' }) => JSON.parse(Detail));
    expect(details.map(({ data }) => data.seq)).toEqual(details.map((_, index) => index));
    expect(details.map(({ metadata }) => metadata.id)).toEqual(details.map((_, seq) => `${SESSION_ID}#1#${seq}`));
    expect(said().every(({ nativeId }) => nativeId === SESSION_ID)).toBe(true);
    expect(aws.asked).not.toContain('TaskMetadata');
    expect(container.output()).not.toContain(RUN_TOKEN);
  });

  // A7
  it('fetches the secrets that its runtime names', async () => {
    const opened = await open({ payload: { agentCommand: 'echo "$ANTHROPIC_API_KEY" > given.txt' } });
    const arn = 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:model-AbCdEf';
    opened.aws.secrets.set(arn, { SecretString: 'key-of-the-model' });
    const container = await aContainer(opened, { BATON_AGENT_SECRETS: `ANTHROPIC_API_KEY=${arn}` });
    expect(opened.aws.asked).toEqual([]);
    await container.invoke();
    await until('it has reported', () => opened.said().some(({ type }) => type === 'RunReported'));
    expect(opened.inRemote('show', `${BRANCH}:given.txt`)).toBe('key-of-the-model\n');
    expect(container.output()).not.toContain('key-of-the-model');
  });

  it('saves its work when its container is told to stop', async () => {
    const opened = await open({ payload: { agentCommand: 'echo half > half.txt; echo up; sleep 300' } });
    const container = await aContainer(opened);
    await container.invoke();
    await until('the agent runs', () => container.output().includes('up\n'));
    container.kill('SIGTERM');
    await container.ended;
    expect((await opened.record()).savedWork).toEqual({
      branch: BRANCH,
      commit: opened.inRemote('rev-parse', BRANCH).trim(),
    });
  });

  // A session that was stopped is not dead: whoever invokes it again gets a new container of the same name.
  it('does nothing a second time when it was killed and is invoked again', async () => {
    const opened = await open({ payload: { agentCommand: 'echo up; sleep 300' } });
    const first = await aContainer(opened);
    await first.invoke();
    await until('the agent runs', () => first.output().includes('up\n'));
    await killAll({ leader: undefined, origin: identityOfChild(process.pid), places: [opened.runDir] });
    const before = await opened.record();
    await leavesAtOnce(await aContainer(opened));
    expect(await opened.record()).toEqual(before);
  });

  it.each([
    ['is stopping', { noClaim: true }],
    ['is over', { noClaim: true, closed: true }],
  ])('does nothing when it is invoked again while its attempt %s', async (_, state) => {
    const claim = { nativeId: SESSION_ID, at: new Date(0).toISOString() };
    for (const record of [state, { ...state, claim }]) {
      const opened = await open({ record });
      await leavesAtOnce(await aContainer(opened));
      expect((await opened.record()).claim).toEqual('claim' in record ? claim : undefined);
      await opened.close();
      scene = undefined;
    }
  });
});

async function leavesAtOnce(container: Awaited<ReturnType<typeof aContainer>>): Promise<void> {
  expect(await container.invoke()).toMatchObject({ status: 'accepted' });
  await until('its run has left', () => container.output().includes(`has ended with ${RUNNER_EXIT.fenced}`));
  expect(await container.ping()).toBe('Healthy');
  expect(container.output()).not.toContain('cloning');
}
