import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startedByOf } from '../../lifecycle/ecs-task.ts';
import type { StartEcsRun } from '../../runtime/ports.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { eventually, linesOf } from '../flows/scene.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import type { Deployment } from './deployment.ts';
import { type EcsOnLoopback, ecsOnLoopback } from './ecs-on-loopback.ts';

const CLUSTER = 'arn:aws:ecs:us-east-1:000000000000:cluster/some-agents';
const DEFINITION = 'arn:aws:ecs:us-east-1:000000000000:task-definition/some-agent:1';
const deployment: Deployment = {
  functions: [],
  rules: [],
  queues: [],
  mappings: [],
  tables: [],
  buckets: [],
  buses: [],
  secrets: [],
  scheduleGroups: [],
  clusters: [{ name: 'some-agents', arn: CLUSTER }],
  taskDefinitions: [
    {
      family: 'some-agent',
      tags: {},
      definition: {
        family: 'some-agent',
        containerDefinitions: [{ name: 'agent', environment: [{ name: 'BATON_TABLE', value: 'the-table' }] }],
      },
    },
  ],
  runtimes: [],
  documents: [],
  fleets: [],
};

let ecs: EcsOnLoopback;
let folder: string;
afterEach(async () => {
  await ecs.close();
  await putAway(folder);
});

/** A container that writes down what it is told. */
function open() {
  folder = sceneFolder();
  const told = join(folder, 'told');
  const events: Envelope[] = [];
  const root = new URL('../../dist/supervisor.js', import.meta.url).pathname;
  ecs = ecsOnLoopback({
    clock: { now: () => new Date().toISOString() },
    deployment,
    url: 'http://127.0.0.1:1',
    dataDir: join(folder, 'data'),
    environment: { AWS_REGION: 'us-east-1' },
    runnerCommand: [
      '/bin/sh',
      '-c',
      `echo "$BATON_TABLE $AWS_REGION $BATON_ATTEMPT $ECS_CONTAINER_METADATA_URI_V4" > ${told}`,
    ],
    supervisorCommand: [process.execPath, root],
    publish: async (published) => void events.push(...published),
    warn: () => undefined,
  });
  return { told, events };
}

const TASK_ID = `t${'0'.repeat(24)}`;
const run: StartEcsRun = {
  taskId: TASK_ID,
  attempt: 1,
  startedBy: startedByOf('loopback', TASK_ID, 1),
  clientToken: `${TASK_ID}-1`,
  environment: { BATON_ATTEMPT: '1' },
  command: [],
  definition: DEFINITION,
  capacityProvider: 'FARGATE',
  tags: { one: 'own' },
};

describe('a task of the deployed task definition', () => {
  it('goes by the ARNs of the deployment in answers, events and metadata, and is found by them', async () => {
    const { told, events } = open();
    const started = await ecs.tasks.startOnce(run);
    if (started.outcome !== 'started' || started.handle.backend !== 'ecs') throw new Error('it was to start');
    const { taskArn } = started.handle;
    expect(taskArn).toMatch(/^arn:aws:ecs:us-east-1:000000000000:task\/some-agents\/[0-9a-f]{32}$/);
    expect(started.handle).toMatchObject({ clusterArn: CLUSTER, taskDefinitionArn: DEFINITION });
    await eventually(
      () => events.find(({ detail }) => (detail as { lastStatus: string }).lastStatus === 'STOPPED'),
      'its end',
    );

    for (const { region, resources, detail } of events) {
      expect([region, resources]).toEqual(['us-east-1', [taskArn]]);
      expect(detail).toMatchObject({
        taskArn,
        clusterArn: CLUSTER,
        taskDefinitionArn: DEFINITION,
        group: 'family:some-agent',
      });
    }
    expect(JSON.stringify(events)).not.toContain(':local:');
    expect(await ecs.tasks.describe(taskArn)).toMatchObject({ taskArn, lastStatus: 'STOPPED' });
    expect(ecs.tasks.taskArns(run.startedBy)).toEqual([taskArn]);
    expect(await ecs.tasks.tags(taskArn)).toMatchObject({ one: 'own' });

    const [table, region, attempt, metadata = ''] = linesOf(told)[0]?.split(' ') ?? [];
    expect([table, region, attempt]).toEqual(['the-table', 'us-east-1', '1']);
    expect(ecs.metadata(`${new URL(metadata).pathname}/task`)).toMatchObject({ TaskARN: taskArn, Cluster: CLUSTER });
    expect(ecs.metadata('/anything/else')).toBeUndefined();
  });
});
