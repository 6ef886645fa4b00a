import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { awsSecrets } from '../../agent/aws-secrets.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { type DynamoServer, nearestEngine } from '../aws/dynamo-server.ts';
import { aClaim } from '../builders.ts';
import { type AwsScene, openAwsScene } from './aws-scene.ts';
import { BRANCH, until } from './scene.ts';

const arnOf = (name: string): string => `arn:aws:secretsmanager:eu-west-1:000000000000:secret:${name}-AbCdEf`;
const MODEL = { arn: arnOf('model'), value: 'key-of-the-model' };
const REGISTRY = { arn: arnOf('registry'), value: 'key-of-the-registry' };
const BATON_AGENT_SECRETS = `ANTHROPIC_API_KEY=${MODEL.arn},REGISTRY_KEY=${REGISTRY.arn}`;

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

/** A runner that is to fetch two secrets, which are there. */
async function open(more?: Parameters<typeof openAwsScene>[1]) {
  scene = await openAwsScene(engine, more);
  const opened = scene;
  for (const { arn, value } of [MODEL, REGISTRY]) opened.aws.secrets.set(arn, { SecretString: value });
  return {
    ...opened,
    start: (environment: Record<string, string> = {}) => opened.start({ BATON_AGENT_SECRETS, ...environment }),
    async run(environment: Record<string, string> = {}) {
      const launched = this.start(environment);
      const { code } = await launched.ended;
      return { code, output: launched.output() };
    },
  };
}

/** All that anybody can read afterwards, besides the work of the agent. */
async function told({ aws, record, runDir }: AwsScene, output: string): Promise<string> {
  const file = join(runDir, 'report.json');
  const report = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return output + JSON.stringify([aws.entries, await record(), [...aws.objects]]) + report;
}

// A7
describe('secrets that the runner is to fetch', () => {
  it('are had by the agent as if its container had them: keys of agents by name, others by reference', async () => {
    const opened = await open({
      payload: {
        environment: { NPM_TOKEN: 'variable:REGISTRY_KEY' },
        agentCommand: 'echo "$ANTHROPIC_API_KEY $NPM_TOKEN $REGISTRY_KEY $BATON_AGENT_SECRETS" > given.txt',
      },
    });
    expect(await opened.run()).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(opened.inRemote('show', `${BRANCH}:given.txt`)).toBe('key-of-the-model key-of-the-registry  \n');
  });

  it('outweigh what the image says of the same variable', async () => {
    const opened = await open({ payload: { agentCommand: 'echo "$ANTHROPIC_API_KEY" > given.txt' } });
    await opened.run({ ANTHROPIC_API_KEY: 'of-the-image' });
    expect(opened.inRemote('show', `${BRANCH}:given.txt`)).toBe('key-of-the-model\n');
  });

  it('stand nowhere that others read: not in the log, in progress, in the reason or in the record', async () => {
    const opened = await open({ payload: { agentCommand: 'echo "one $ANTHROPIC_API_KEY"; exit 1' } });
    const { code, output } = await opened.run();
    expect(code).toBe(RUNNER_EXIT.agentFailed);
    expect(output).toContain('one ***\n');
    expect((await opened.record()).report?.reason?.message).toContain('one ***');
    expect(JSON.stringify(opened.aws.entries)).toContain('one ***');
    const all = await told(opened, output);
    for (const { value } of [MODEL, REGISTRY]) expect(all).not.toContain(value);
  });

  it('are read once each, by who holds the attempt and by nobody else', async () => {
    const winner = await open({ payload: { agentCommand: 'true' } });
    await winner.run();
    const asked = winner.aws.asked.filter((operation) => operation === 'UpdateItem' || operation === 'GetSecretValue');
    // Claim, both secrets, report.
    expect(asked).toEqual(['UpdateItem', 'GetSecretValue', 'GetSecretValue', 'UpdateItem']);
    await winner.close();
    const loser = await open({ record: { claim: aClaim() } });
    expect(await loser.run()).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(loser.aws.asked).not.toContain('GetSecretValue');
  });

  it('are asked for again after a trouble that may pass', async () => {
    const opened = await open({ payload: { agentCommand: 'test "$ANTHROPIC_API_KEY" = key-of-the-model' } });
    opened.aws.fault('GetSecretValue', 'unsent', 4);
    opened.aws.fault('GetSecretValue', { status: 400, error: 'ThrottlingException' }, 4);
    opened.aws.fault('GetSecretValue', { status: 500, error: 'InternalServiceError' }, 4);
    expect(await opened.run()).toMatchObject({ code: RUNNER_EXIT.ok });
  });
});

// A7
describe('a secret that cannot be read', () => {
  it('ends the run before anything is cloned, with all their names and nothing of those that can be', async () => {
    const opened = await open();
    opened.aws.secrets.delete(REGISTRY.arn);
    const none = { NONE: arnOf('none'), EMPTY: arnOf('empty'), BROKEN: arnOf('broken') };
    opened.aws.secrets.set(none.EMPTY, {});
    opened.aws.secrets.set(none.BROKEN, { SecretString: 'half\0value' });
    const named = Object.entries(none).map(([name, arn]) => `${name}=${arn}`);
    const { code, output } = await opened.run({ BATON_AGENT_SECRETS: [BATON_AGENT_SECRETS, ...named].join(',') });
    expect(code).toBe(RUNNER_EXIT.agentFailed);
    const { report } = await opened.record();
    expect(report).toMatchObject({ outcome: 'failed', agentExitCode: null, reason: { code: 'secret_unavailable' } });
    expect(output).toContain(`REGISTRY_KEY (${REGISTRY.arn}): GetSecretValue: ResourceNotFoundException: planned`);
    expect(output).toContain(`EMPTY (${none.EMPTY}) holds no text`);
    expect(output).toContain(`BROKEN (${none.BROKEN}) holds a NUL`);
    for (const name of ['REGISTRY_KEY', 'NONE', 'EMPTY', 'BROKEN']) expect(report?.reason?.message).toContain(name);
    expect(existsSync(join(opened.runDir, 'workspace'))).toBe(false);
    const all = await told(opened, output);
    expect(all).not.toContain('ANTHROPIC_API_KEY');
    for (const value of [MODEL.value, 'half']) expect(all).not.toContain(value);
  });

  it('because AWS does not answer ends it so when the time for that is over', async () => {
    const opened = await open();
    opened.aws.fault('GetSecretValue', { status: 500, error: 'InternalServiceError' }, 1_000);
    expect(await opened.run({ BATON_RETRY_S: '1' })).toMatchObject({ code: RUNNER_EXIT.agentFailed });
    const { report } = await opened.record();
    expect(report?.reason?.code).toBe('secret_unavailable');
    expect(report?.reason?.message).toContain('Secrets Manager does not answer');
  });

  it('because its answer cannot be parsed is not quoted', async () => {
    const { aws } = await open();
    aws.fault('GetSecretValue', { body: `{"SecretString":${MODEL.value}"}` });
    const client = new SecretsManagerClient({
      endpoint: aws.url,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
      maxAttempts: 1,
    });
    // One try with all its time, and no other.
    const patience = [10_000, 0];
    const read = await awsSecrets(client, [{ name: 'KEY', arn: MODEL.arn }])(() => patience.shift() ?? 0);
    client.destroy();
    expect(read).toEqual({ unavailable: expect.stringContaining('the answer is not JSON') });
    expect(JSON.stringify(read)).not.toContain('key-of');
  });

  it('leaves no report when the run is stopped meanwhile: the stop has its own reason', async () => {
    const opened = await open();
    opened.aws.fault('GetSecretValue', { status: 500, error: 'InternalServiceError' }, 1_000);
    const launched = opened.start();
    await until('it asks', () => opened.aws.asked.includes('GetSecretValue'));
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    expect((await opened.record()).report).toBeUndefined();
  });
});

describe('a list of secrets that is not understood', () => {
  it.each([
    ['with a value in it', 'OPENAI_API_KEY=sk-123456789'],
    ['with a variable of AWS', `AWS_REGION=${MODEL.arn}`],
    ['with a variable of Baton', `BATON_BUS=${MODEL.arn}`],
    ['with an ARN that is not complete', 'KEY=arn:aws:secretsmanager:eu-west-1:000000000000:secret:model'],
    ['with a key of JSON behind the ARN', `KEY=${MODEL.arn}:key::`],
    ['with one name twice', `KEY=${MODEL.arn},KEY=${REGISTRY.arn}`],
    ['that is empty', ''],
    ['that no runtime can have', Array.from({ length: 40 }, (_, n) => `KEY_${n}=${MODEL.arn}`).join(',')],
  ])('%s counts not even in part, and is named but not quoted', async (_what, list) => {
    const opened = await open();
    const broken = list.startsWith('KEY_') || list === '' ? list : `ANTHROPIC_API_KEY=${MODEL.arn},${list}`;
    const { code, output } = await opened.run({ BATON_AGENT_SECRETS: broken });
    expect(code).toBe(RUNNER_EXIT.badPayload);
    expect(output).toMatch(/^\[baton\] the runner was started without a valid BATON_AGENT_SECRETS(\.\d)?\n$/);
    expect(opened.aws.asked).toEqual([]);
  });
});
