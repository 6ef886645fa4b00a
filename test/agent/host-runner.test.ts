import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { runnerEnvironment } from '../../schemas/environment.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { payloadObjectKey } from '../../schemas/record-keys.ts';
import { type DynamoServer, nearestEngine } from '../aws/dynamo-server.ts';
import { programs } from '../programs.ts';
import { eventually } from '../runtime/engine/local-ecs-fixture.ts';
import { type AwsScene, openAwsScene } from './aws-scene.ts';
import { booted } from './boot-scene.ts';
import { aCommand, aHost, type Host, onLinux } from './host-scene.ts';
import { type MetadataStub, roleCredentials, startMetadataStub } from './metadata-stub.ts';
import { BRANCH, RUN_TOKEN, TASK_ID } from './scene.ts';

let engine: DynamoServer;
let metadata: MetadataStub;
let scene: AwsScene | undefined;
let host: Host | undefined;
beforeAll(async () => {
  engine = await nearestEngine.start();
});
afterAll(async () => {
  await engine?.stop();
});
beforeEach(async () => {
  metadata = await startMetadataStub();
});
afterEach(async () => {
  await host?.close();
  await scene?.close();
  await metadata.close();
  host = undefined;
  scene = undefined;
});

const INSTANCE = 'i-0123456789abcdef0';
const SECRET = 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:model-AbCdEf';
const REFERENCE = `${TASK_ID}.${'A'.repeat(43)}`;
const command = aCommand({ taskId: TASK_ID, payload: REFERENCE });

/** An instance that was booted by its user data, on which containers are the real runner for AWS: with the variables that the boot and the script give it, and no other of Baton's or AWS's. */
async function open(payload: NonNullable<Parameters<typeof openAwsScene>[1]>['payload'], everyS = 60) {
  const opened = await openAwsScene(engine, { payload: payload ?? {} });
  scene = opened;
  const { aws, table } = opened;
  const [whole = ''] = aws.objects.values();
  aws.objects.clear();
  aws.objects.set(`the-bucket/${payloadObjectKey(REFERENCE)}`, whole);
  aws.secrets.set(SECRET, { SecretString: 'key-of-the-model' });
  const one = aHost({
    metadata: metadata.url,
    credentialsEveryS: everyS,
    runner: programs.runnerOnAws,
    environment: {
      PATH: process.env['PATH'] ?? '',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      // Where AWS is, for the SDK of this test alone.
      AWS_ENDPOINT_URL: aws.url,
    },
  });
  host = one;
  const boot = booted(
    {},
    {
      BATON_BUS: 'the-bus',
      BATON_TABLE: table,
      BATON_PAYLOAD_BUCKET: 'the-bucket',
      BATON_AGENT_SECRETS: `ANTHROPIC_API_KEY=${SECRET}`,
    },
  );
  for (const name of ['container.env', 'region']) {
    writeFileSync(join(one.dir, name), boot.file(join('var/lib/baton', name)) ?? '');
  }
  return { ...opened, one, log: () => one.read('runs', 'run', 'agent.log') ?? '' };
}

// A6, B16
onLinux('a run on a host of the fleet with the real runner', () => {
  it('claims as its instance, signs as its role, has the secrets of the deployment, pushes and reports', async () => {
    const { aws, one, record, said, inRemote, log } = await open({
      agentCommand: 'echo "$ANTHROPIC_API_KEY" > given.txt; env | cut -d= -f1 > names; pwd > place',
    });
    expect(await one.command(command).ended).toBe(RUNNER_EXIT.ok);
    const nativeId = `${INSTANCE}/${TASK_ID}/1`;
    expect(await record()).toMatchObject({ claim: { nativeId }, report: { outcome: 'succeeded' } });
    expect(said().every((one_) => one_.nativeId === nativeId)).toBe(true);
    expect(inRemote('show', `${BRANCH}:given.txt`)).toBe('key-of-the-model\n');
    expect(inRemote('show', `${BRANCH}:place`)).toContain(join(one.dir, 'run'));
    expect(aws.signatures.size).toBeGreaterThan(0);
    expect([...aws.signatures].filter((signature) => !signature.includes('Credential=ASIAOFTHEROLE/'))).toEqual([]);
    const names = inRemote('show', `${BRANCH}:names`).trim().split('\n');
    expect(names.filter((name) => /^(AWS|ECS|BATON|SSM)_/.test(name)).sort()).toEqual([
      'BATON_PROMPT_FILE',
      'BATON_RETRY_AFTER_FILE',
    ]);
    expect(log()).not.toMatch(new RegExp(`canary|key-of-the-model|${RUN_TOKEN}`));
  });

  it('goes on with newer credentials when its first ones expire', async () => {
    metadata.credentials = roleCredentials({
      Expiration: `${new Date(Date.now() + 1_000).toISOString().slice(0, 19)}Z`,
    });
    const { aws, one, log } = await open({ agentCommand: 'echo up; until [ -e ../go ]; do sleep 0.1; done' }, 0.2);
    const run = one.command(command);
    await eventually(() => log().includes('up\n') || undefined, 'the agent');
    metadata.credentials = roleCredentials({ AccessKeyId: 'ASIARENEWED' });
    const [name = ''] = one.names('host', 'credentials');
    await eventually(
      () => one.read('host', 'credentials', name, 'role.json')?.includes('RENEWED') || undefined,
      'new ones',
    );
    aws.signatures.clear();
    writeFileSync(join(one.dir, 'run', 'go'), '');
    expect(await run.ended).toBe(RUNNER_EXIT.ok);
    expect(aws.signatures.size).toBeGreaterThan(0);
    expect([...aws.signatures].filter((signature) => !signature.includes('Credential=ASIARENEWED/'))).toEqual([]);
  });

  it('gets exactly the variables that the runner reads', async () => {
    const { one } = await open({ agentCommand: 'true' });
    await one.command(command).ended;
    const [started = ''] = one.calls().filter((call) => call.startsWith('run '));
    const passed = [...started.matchAll(/--env (\w+)/g)].map(([, name = '']) => name);
    const deployed = (one.read('host', 'container.env') ?? '').split('\n').flatMap((line) => line.match(/^\w+/) ?? []);
    const whose = ['BATON_TASK_ID', 'BATON_ATTEMPT'];
    expect([...passed, ...deployed].sort()).toEqual(
      [
        ...Object.keys(runnerEnvironment),
        ...whose,
        'AWS_REGION',
        'BATON_AGENT_SECRETS',
        'BATON_CREDENTIALS_FILE',
        'BATON_NATIVE_ID',
        'BATON_RUN_DIR',
        'BATON_STOP_TIMEOUT_S',
      ].sort(),
    );
    // Each has a reader, but for those that say to people whose container it is.
    const sources = ['agent/aws-main.ts', 'agent/start.ts', 'schemas/environment.ts']
      .map((path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'))
      .join('\n');
    const read = (name: string): boolean => new RegExp(`^ +${name}: `, 'm').test(sources);
    expect([...passed, ...deployed].filter((name) => !read(name))).toEqual(whose);
  });
});
