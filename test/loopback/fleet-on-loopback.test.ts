import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingInstancesCommand,
} from '@aws-sdk/client-auto-scaling';
import { SendCommandCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterEach, expect, it } from '@jest/globals';
import { awsEndpoint } from '../../runtime/endpoint/aws/aws-endpoint.ts';
import { eventBridgeService } from '../../runtime/endpoint/aws/eventbridge.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { runDocument } from '../../schemas/run-document.ts';
import { onLinux } from '../agent/host-scene.ts';
import { eventually, linesOf } from '../flows/scene.ts';
import { clientConfig } from '../runtime/aws/wire.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import type { DeployedFleet } from './deployed-fleets.ts';
import { MACHINE_CALLS, MACHINE_KEY } from './fleet-machine.ts';
import { type FleetFaults, type FleetOnLoopback, fleetOnLoopback } from './fleet-on-loopback.ts';

const root = new URL('../../', import.meta.url).pathname;
const hostScript = (name: string): string => readFileSync(join(root, 'agent/host', `${name}.sh`), 'utf8');
const TABLE = 'the-table';
const fleet: DeployedFleet = {
  name: 'builders',
  group: 'the-group',
  machines: 1,
  hooks: { launch: { name: 'at-launch', waitSeconds: 60 }, terminate: { name: 'at-the-end', waitSeconds: 60 } },
  userData: [
    '#!/bin/bash',
    "export BATON_FLEET='builders' BATON_IMAGE='example.com/agent:1' BATON_LOG_GROUP='/logs' BATON_BUS='the-bus'",
    `export BATON_TABLE='${TABLE}' BATON_PAYLOAD_BUCKET='the-bucket'`,
    hostScript('boot'),
  ].join('\n'),
  role: 'the-role',
  tags: {},
};

let folder: string;
let opened: { fleet: FleetOnLoopback; server: Server } | undefined;
afterEach(async () => {
  await opened?.fleet.close();
  opened?.server.close();
  opened?.server.closeAllConnections();
  opened = undefined;
  await putAway(folder);
});

/** A fleet whose containers write down what they are told. */
async function open(faults: FleetFaults = {}, fleets: readonly DeployedFleet[] = [fleet]) {
  folder = sceneFolder();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const events: Envelope[] = [];
  const publish = async (published: readonly Envelope[]) => void events.push(...published);
  const [told, clock] = [join(folder, 'told'), { now: () => new Date().toISOString() }];
  const says =
    'echo "$BATON_TABLE $AWS_REGION $AWS_ENDPOINT_URL $BATON_NATIVE_ID $AWS_ACCESS_KEY_ID"; cat "$BATON_CREDENTIALS_FILE"';
  const one = fleetOnLoopback({
    ...{
      clock,
      url,
      publish,
      deployment: { fleets, documents: [{ name: 'a-run', content: runDocument(hostScript('run')) }] },
    },
    dataDir: join(folder, 'data'),
    supervisorCommand: [process.execPath, join(root, 'dist/supervisor.js')],
    containersCommand: [process.execPath, join(root, 'dist/local-containers.js')],
    runnerCommand: ['/bin/sh', '-c', `{ ${says}; } > ${told}`],
    ...faults,
  });
  opened = { fleet: one, server };
  const place = { account: '000000000000', region: 'us-east-1' };
  const buses = [{ name: 'the-bus', publish }];
  const bus = eventBridgeService({ place, buses, rules: [], now: clock.now, warn: () => undefined });
  server.on('request', awsEndpoint([bus, ...one.services]));
  return {
    ...{ fleet: one, url, events, told: () => linesOf(told) },
    calls: () => linesOf(join(folder, 'data', MACHINE_CALLS)),
    of: (type: string): Promise<Envelope> =>
      eventually(
        () => events.find((event) => event['detail-type'] === type),
        `${type}; there are ${JSON.stringify(events)}`,
      ),
    config: clientConfig(url),
  };
}

const workerIn = ({ detail }: Envelope): string => (detail as { data: { worker: string } }).data.worker;

onLinux('a machine of the deployed fleet', () => {
  it('runs the user data of its template, and is of its group and region for everybody who asks', async () => {
    const world = await open();
    const worker = workerIn(await world.of('WorkerRegistered'));
    expect((await world.of('WorkerRegistered')).source).toBe('baton.agent');
    const { detail, region, resources } = await world.of('EC2 Instance-launch Lifecycle Action');
    expect(detail).toMatchObject({
      AutoScalingGroupName: 'the-group',
      LifecycleHookName: 'at-launch',
      EC2InstanceId: worker,
    });
    expect([region, resources]).toEqual(['us-east-1', [expect.stringMatching(/^arn:aws:autoscaling:us-east-1:/)]]);
    const scaling = new AutoScalingClient(world.config);
    const described = await scaling.send(new DescribeAutoScalingInstancesCommand({ InstanceIds: [worker] }));
    expect(described.AutoScalingInstances).toMatchObject([
      { AutoScalingGroupName: 'the-group', LifecycleState: 'Pending:Wait', AvailabilityZone: 'us-east-1-a' },
    ]);
    await scaling.send(
      new CompleteLifecycleActionCommand({
        ...{ AutoScalingGroupName: 'the-group', LifecycleHookName: 'at-launch', InstanceId: worker },
        LifecycleActionResult: 'CONTINUE',
      }),
    );
    expect((await world.fleet.machines.instances())[0]?.launching).toBeUndefined();
    scaling.destroy();
  });

  it('runs the deployed document: its container has what the template says, and the keys of its role from a file', async () => {
    const world = await open();
    const worker = workerIn(await world.of('WorkerRegistered'));
    const taskId = `t${'0'.repeat(24)}`;
    const parameters = {
      action: 'run',
      taskId,
      attempt: '1',
      payload: `${taskId}.${'A'.repeat(43)}`,
      executionTimeout: '60',
    };
    const ssm = new SSMClient(world.config);
    await ssm.send(
      new SendCommandCommand({
        ...{ DocumentName: 'a-run', InstanceIds: [worker] },
        Parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
      }),
    );
    ssm.destroy();
    const ended = await eventually(
      () => world.events.find(({ detail }) => (detail as { status?: string }).status === 'Success'),
      'its end',
    );
    expect(ended).toMatchObject({
      ...{ source: 'aws.ssm', region: 'us-east-1' },
      resources: [`arn:aws:ec2:us-east-1:000000000000:instance/${worker}`],
    });
    const [environment, keys = '{}'] = world.told();
    expect(environment).toBe(`${TABLE} us-east-1 ${world.url} ${worker}/${taskId}/1 `);
    expect(JSON.parse(keys)).toMatchObject({ Version: 1, AccessKeyId: MACHINE_KEY });
    expect(world.calls().filter((call) => call.includes('baton:task-id'))).toHaveLength(2);
  });

  it('tells no credentials to who asks without a token', async () => {
    const worker = workerIn(await (await open()).of('WorkerRegistered'));
    const curl = join(folder, 'data/workers', worker, 'bin/curl');
    const url = 'http://169.254.169.254/latest/meta-data/iam/security-credentials/the-role';
    const asked = (...more: string[]) => execFileSync(curl, [...more, url], { encoding: 'utf8' });
    expect(() => asked()).toThrow('Command failed');
    expect(asked('--header', `X-aws-ec2-metadata-token: token-of-${worker}`)).toContain(MACHINE_KEY);
  });

  it('says by its own script that its boot failed', async () => {
    const world = await open({ failBoot: () => 'anything' });
    const { detail } = await world.of('WorkerBootFailed');
    expect(detail).toMatchObject({
      data: { fleet: 'builders', message: expect.stringMatching(/^The boot failed at line/) },
    });
    expect(world.events.map((event) => event['detail-type'])).not.toContain('WorkerRegistered');
  });
});

it('a deployment without a fleet has no service of it', async () => {
  const world = await open({}, []);
  expect(world.fleet.services).toEqual([]);
  expect(() => world.fleet.machines).toThrow('no fleet is deployed');
  expect(await world.fleet.interrupt('i-1', 'host')).toBe(false);
});
