import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { dynamoStore } from '../../runtime/aws/dynamo-store.ts';
import { payloadObjectKey, runKey } from '../../schemas/record-keys.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { type RunRecord, runRecord } from '../../schemas/run-record.ts';
import type { DynamoServer } from '../aws/dynamo-server.ts';
import { aRunRecord } from '../builders.ts';
import { bundleFile } from '../programs.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { type AwsStub, startAwsStub } from './aws-stub.ts';
import { BRANCH, commitTo, git, type Launched, RUN_TOKEN, TASK_ID } from './scene.ts';

const REFERENCE = `${TASK_ID}.reference`;

/** A run of the real runner for AWS, as a container of ECS has it, against a real remote and a real table. */
export interface AwsScene {
  readonly aws: AwsStub;
  readonly runDir: string;
  /** Name of the table that its record is in. */
  readonly table: string;
  start(environment?: Record<string, string>): Launched;
  /** The record of the run, as it is now. */
  record(): Promise<RunRecord>;
  /** Detail-types and native ids of what arrived on the bus. */
  said(): { type: string | undefined; nativeId: string }[];
  inRemote(...args: string[]): string;
  close(): Promise<void>;
}

export async function openAwsScene(
  engine: DynamoServer,
  {
    payload = {},
    record = {},
    runner = bundleFile('runner-aws'),
  }: { payload?: Partial<RunPayload>; record?: Partial<RunRecord>; runner?: string } = {},
): Promise<AwsScene> {
  const folder = sceneFolder('baton-aws-scene-');
  const remote = join(folder, 'remote.git');
  const runDir = join(folder, 'made', 'by the runner');
  mkdirSync(join(folder, 'home'));
  git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', remote);
  commitTo(folder, remote, 'main', 'README.md', 'a sample\n');
  const aws = await startAwsStub(engine.endpoint);
  const whole: RunPayload = {
    schemaVersion: 1,
    taskId: TASK_ID,
    attempt: 1,
    runToken: RUN_TOKEN,
    repository: remote,
    branch: BRANCH,
    prompt: 'Write a greeting',
    agentCommand: 'echo hello > greeting.txt',
    deadlineAt: new Date(Date.now() + 3_600_000).toISOString(),
    ...payload,
  };
  aws.objects.set(`the-bucket/${payloadObjectKey(REFERENCE)}`, JSON.stringify(whole));
  const table = await engine.createTable();
  const client = engine.client();
  const store = dynamoStore({ client, table, retentionDays: 90 });
  const tokenHash = createHash('sha256').update(RUN_TOKEN).digest('hex');
  await store.put(runKey(TASK_ID, 1), aRunRecord({ taskId: TASK_ID, tokenHash, ...record }), 'absent');

  const launched: Launched[] = [];
  return {
    aws,
    runDir,
    table,
    start(environment = {}) {
      const run = launch(runner, {
        PATH: process.env['PATH'] ?? '',
        HOME: join(folder, 'home'),
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_NOSYSTEM: '1',
        // As ECS, the task definition and the start of a run set them.
        AWS_REGION: 'eu-west-1',
        AWS_EXECUTION_ENV: 'AWS_ECS_FARGATE',
        AWS_ENDPOINT_URL: aws.url,
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${aws.url}/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN: 'may-ask-for-credentials',
        ECS_CONTAINER_METADATA_URI_V4: `${aws.url}/metadata`,
        ECS_CONTAINER_METADATA_URI: `${aws.url}/metadata`,
        ECS_AGENT_URI: `${aws.url}/agent`,
        BATON_BUS: 'the-bus',
        BATON_TABLE: table,
        BATON_PAYLOAD_BUCKET: 'the-bucket',
        BATON_TASK_ID: TASK_ID,
        BATON_ATTEMPT: '1',
        BATON_PAYLOAD: REFERENCE,
        BATON_RUN_DIR: runDir,
        BATON_RETRY_S: '20',
        ...environment,
      });
      launched.push(run);
      return run;
    },
    record: async () => runRecord.parse((await store.get(runKey(TASK_ID, 1)))?.value),
    said: () =>
      aws.entries.map(({ DetailType: type, Detail = '' }) => ({ type, nativeId: JSON.parse(Detail).data.nativeId })),
    inRemote: (...args) => git(remote, ...args),
    async close() {
      for (const run of launched) run.kill('SIGKILL');
      await Promise.all(launched.map(({ ended }) => ended));
      await aws.close();
      client.destroy();
      await putAway(folder);
    },
  };
}

/** Starts a runner with this environment and no other. */
export function launch(runner: string, environment: Record<string, string>): Launched {
  const child = spawn(process.execPath, [runner], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return {
    pid: child.pid ?? 0,
    output: () => output,
    ended: new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal }))),
    kill: (signal) => void child.kill(signal),
  };
}
