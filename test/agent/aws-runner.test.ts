import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { build } from 'esbuild';
import { runnerEnvironment } from '../../schemas/environment.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { type DynamoServer, nearestEngine } from '../aws/dynamo-server.ts';
import { aClaim } from '../builders.ts';
import { bundleFile } from '../programs.ts';
import { type AwsScene, launch, openAwsScene } from './aws-scene.ts';
import { BRANCH, RUN_TOKEN, until } from './scene.ts';

let engine: DynamoServer;
let scene: AwsScene | undefined;
beforeAll(async () => {
  engine = await nearestEngine.start();
});
afterAll(async () => {
  await engine?.stop();
});
afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

const open = async (more?: Parameters<typeof openAwsScene>[1]): Promise<AwsScene> => {
  scene = await openAwsScene(engine, more);
  return scene;
};

describe('a run in a container of ECS', () => {
  it('claims as its task, pushes, leaves its report in its record, and says so on the bus', async () => {
    const { aws, start, record, said, inRemote } = await open();
    const launched = start();
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(inRemote('show', `${BRANCH}:greeting.txt`)).toBe('hello\n');
    const commit = inRemote('rev-parse', BRANCH).trim();
    expect(await record()).toMatchObject({
      claim: { nativeId: aws.taskArn },
      confirmedAt: expect.any(String),
      report: { outcome: 'succeeded', result: { branch: BRANCH, commit } },
    });
    const types = said().map(({ type }) => type);
    expect([types[0], types.at(-1)]).toEqual(['RunClaimed', 'RunReported']);
    expect(said().every(({ nativeId }) => nativeId === aws.taskArn)).toBe(true);
    expect(launched.output()).not.toContain(RUN_TOKEN);
  });

  it('asks AWS for exactly what its work needs', async () => {
    const { aws, start } = await open({ payload: { agentCommand: 'true' } });
    await start().ended;
    const counted = aws.asked.filter((operation) => operation !== 'PutEvents');
    // Claim and report; the confirmation comes before a push, and there is nothing to push.
    expect(counted.sort()).toEqual(['Credentials', 'GetObject', 'TaskMetadata', 'UpdateItem', 'UpdateItem']);
  });

  it('has the credentials of its task role, and its agent has neither them nor a way to them', async () => {
    const { aws, start, inRemote } = await open({ payload: { agentCommand: 'env | cut -d= -f1 > names; cat names' } });
    await start({ AWS_PROFILE: 'x', AWS_WEB_IDENTITY_TOKEN_FILE: '/token' }).ended;
    expect([...aws.signatures].every((signature) => signature.includes('Credential=from-endpoint/'))).toBe(true);
    expect(aws.signatures.size).toBeGreaterThan(0);
    const names = inRemote('show', `${BRANCH}:names`).trim().split('\n');
    expect(names).toContain('PATH');
    expect(names.filter((name) => /^(AWS|ECS|BATON)_/.test(name)).sort()).toEqual([
      'BATON_PROMPT_FILE',
      'BATON_RETRY_AFTER_FILE',
    ]);
  });

  it('waits for the metadata endpoint', async () => {
    const { aws, start, record } = await open({ payload: { agentCommand: 'true' } });
    aws.fault('TaskMetadata', 'unsent');
    aws.fault('TaskMetadata', { status: 500, error: 'not yet' });
    expect(await start().ended).toMatchObject({ code: RUNNER_EXIT.ok });
    expect((await record()).claim?.nativeId).toBe(aws.taskArn);
  });

  it('is who it is told to be, without asking', async () => {
    const { aws, start, record } = await open({ payload: { agentCommand: 'true' } });
    expect(await start({ BATON_NATIVE_ID: 'somebody' }).ended).toMatchObject({ code: RUNNER_EXIT.ok });
    expect((await record()).claim?.nativeId).toBe('somebody');
    expect(aws.asked).not.toContain('TaskMetadata');
  });

  it('saves its work when it is stopped', async () => {
    const { start, record, inRemote } = await open({
      payload: { agentCommand: 'echo half > half.txt; echo up; sleep 300' },
    });
    const launched = start();
    await until('the agent runs', () => launched.output().includes('up\n'));
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    expect((await record()).savedWork).toEqual({ branch: BRANCH, commit: inRemote('rev-parse', BRANCH).trim() });
    expect((await record()).report).toBeUndefined();
  });

  it("leaves its agent's first word in its record, although no event arrives", async () => {
    const { aws, start, record } = await open({ payload: { agentCommand: 'echo up; sleep 300' } });
    aws.fault('PutEvents', { status: 403, error: 'AccessDeniedException' }, 1_000);
    aws.fault('UpdateItem', { status: 500, error: 'InternalServerError' });
    const launched = start();
    await until('the agent runs', () => launched.output().includes('up\n'));
    await until('it is left', () => aws.asked.filter((operation) => operation === 'UpdateItem').length > 2);
    launched.kill('SIGTERM');
    await launched.ended;
    expect((await record()).firstOutputAt).toEqual(expect.any(String));
  });

  it('beats where beats are asked for', async () => {
    const { aws, start, record } = await open({ payload: { agentCommand: 'echo up; sleep 300' } });
    const launched = start({ BATON_HEARTBEAT_S: '0.1' });
    await until('it beats', () => aws.asked.filter((operation) => operation === 'UpdateItem').length > 3);
    expect((await record()).heartbeatAt).toEqual(expect.any(String));
    launched.kill('SIGTERM');
    await launched.ended;
  });
});

describe('a run on AWS that must not work', () => {
  it('because another holds the attempt leaves without effect', async () => {
    const { start, record, said } = await open({ record: { claim: aClaim() } });
    const launched = start();
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(launched.output()).not.toContain('cloning');
    expect((await record()).claim).toEqual(aClaim());
    expect(said()).toEqual([]);
  });

  it('because its token is not that of the attempt ends as a bad payload', async () => {
    const { start, record } = await open({ payload: { runToken: 'another' } });
    expect(await start().ended).toMatchObject({ code: RUNNER_EXIT.badPayload });
    expect((await record()).claim).toBeUndefined();
  });

  it('because its payload is gone ends as a bad payload', async () => {
    const { aws, start } = await open();
    aws.objects.clear();
    expect(await start().ended).toMatchObject({ code: RUNNER_EXIT.badPayload });
  });

  it('because AWS does not answer ends as unavailable', async () => {
    const { aws, start } = await open();
    aws.fault('UpdateItem', { status: 500, error: 'InternalServerError' }, 1_000);
    expect(await start({ BATON_RETRY_S: '1' }).ended).toMatchObject({ code: RUNNER_EXIT.unavailable });
  });

  it('because its environment is incomplete names all that is missing at once', async () => {
    const launched = launch(bundleFile('runner-aws'), { PATH: process.env['PATH'] ?? '', BATON_BUS: ' ' });
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.badPayload });
    for (const name of [
      ...Object.keys(runnerEnvironment),
      'AWS_REGION',
      'BATON_NATIVE_ID',
      'ECS_CONTAINER_METADATA_URI_V4',
    ]) {
      expect(launched.output()).toContain(name);
    }
  });

  it('because it has no directory to work in says so', async () => {
    const { start } = await open();
    const launched = start({ BATON_RUN_DIR: '/dev/null/run' });
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.internal });
    expect(launched.output()).toContain('/dev/null/run');
  });
});

describe('the runner of the embedded world', () => {
  it('carries nothing of AWS', async () => {
    const { metafile } = await build({
      entryPoints: [join(import.meta.dirname, '../../agent/main.ts')],
      bundle: true,
      write: false,
      metafile: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    });
    expect(Object.keys(metafile.inputs).filter((path) => /node_modules\/@(aws|smithy)|agent\/aws-/.test(path))).toEqual(
      [],
    );
  });
});
