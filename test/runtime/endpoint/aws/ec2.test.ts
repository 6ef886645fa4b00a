import {
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeAutoScalingInstancesCommand,
  SetInstanceProtectionCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { afterEach, describe, expect, it } from '@jest/globals';
import { autoScalingService } from '../../../../runtime/endpoint/aws/auto-scaling.ts';
import { ec2Service } from '../../../../runtime/endpoint/aws/ec2.ts';
import {
  FleetFault,
  type FleetFaultKind,
  type InstanceRecord,
} from '../../../../runtime/engine/local-fleet-records.ts';
import { at } from '../../../builders.ts';
import { served } from '../../aws/served.ts';
import { place } from './aws-server.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const names = { fleet: 'main', group: 'baton-fleet', hook: 'baton-busy', launchHook: 'baton-launch', stage: 'test' };
const TOKEN = '00000000-0000-4000-8000-000000000000';
const OTHER_TOKEN = '00000000-0000-4000-8000-000000000004';
const anInstance = (number: number, changes: Partial<InstanceRecord> = {}): InstanceRecord => ({
  schemaVersion: 1,
  instanceId: `i-0000000000000000${number}`,
  fleet: 'main',
  state: 'running',
  launchedAt: at(0),
  changedAt: at(0),
  ...changes,
});
const all = [
  anInstance(1),
  anInstance(2, { isProtected: true, leaving: { why: 'scaled in', at: at(9), shrink: true, token: TOKEN } }),
  anInstance(3, { state: 'terminated', fleet: 'other<&>' }),
  anInstance(4, { launching: { token: OTHER_TOKEN, until: at(9) } }),
];

async function services(fault?: FleetFaultKind, minSize?: number) {
  const did: unknown[] = [];
  const act = (...what: unknown[]): void => {
    if (fault) throw new FleetFault(fault, 'because');
    did.push(what);
  };
  const fleet = {
    instances: async () => all,
    terminate: async (id: string, options?: object) => {
      act('terminate', id, options);
      return anInstance(1);
    },
    protect: async (id: string, isProtected: boolean) => act('protect', id, isProtected),
    completeLifecycle: async (id: string, of?: string, abandon?: boolean) => act('complete', id, of, abandon),
  };
  const service = await served([ec2Service(fleet, place), autoScalingService(fleet, names, place, minSize)]);
  const client = new AutoScalingClient(service.client);
  open.push({
    close: async () => {
      client.destroy();
      await service.close();
    },
  });
  return { client, did, service };
}

describe('instances that are described', () => {
  /** Without the SDK's client, which is larger than all others together: a form out, XML back. */
  async function described(asked: Record<string, string>): Promise<{ status: number; text: string }> {
    const { service } = await services();
    const answer = await fetch(service.client.endpoint, {
      method: 'POST',
      headers: { authorization: 'AWS4-HMAC-SHA256 Credential=x/20260101/local/ec2/aws4_request' },
      body: new URLSearchParams({ Action: 'DescribeInstances', Version: '2016-11-15', ...asked }),
    });
    return { status: answer.status, text: await answer.text() };
  }
  const idsIn = (text: string): string[] =>
    [...text.matchAll(/<instanceId>(.*?)<\/instanceId>/g)].map(([, id = '']) => id);

  it('are all of them, each in a reservation of its own', async () => {
    const { status, text } = await described({});
    expect(status).toBe(200);
    expect(text).toMatch(
      /^<\?xml .*\?>\n<DescribeInstancesResponse xmlns="http:\/\/ec2\.amazonaws\.com\/doc\/2016-11-15\/"><requestId>/,
    );
    expect(idsIn(text)).toEqual(all.map(({ instanceId }) => instanceId));
    expect(text).toContain('<instanceState><code>16</code><name>running</name></instanceState>');
    expect(text).toContain('<tagSet><item><key>baton:fleet</key><value>other&lt;&amp;&gt;</value></item></tagSet>');
  });

  it.each([
    [{ 'InstanceId.1': 'i-00000000000000002' }, ['i-00000000000000002']],
    [
      { 'Filter.1.Name': 'instance-state-name', 'Filter.1.Value.1': 'pending', 'Filter.1.Value.2': 'terminated' },
      ['i-00000000000000003'],
    ],
    [
      { 'Filter.1.Name': 'tag:baton:fleet', 'Filter.1.Value.1': 'main' },
      ['i-00000000000000001', 'i-00000000000000002', 'i-00000000000000004'],
    ],
  ])('are those that are asked for: %j', async (asked, ids) => {
    expect(idsIn((await described(asked)).text)).toEqual(ids);
  });

  it('must be there, and filtered by what is known', async () => {
    const { status, text } = await described({ 'InstanceId.1': 'i-00000000000000009' });
    expect(status).toBe(400);
    expect(text).toContain('<Response><Errors><Error><Type>Sender</Type><Code>InvalidInstanceID.NotFound</Code>');
    const strange = { 'Filter.1.Name': 'color', 'Filter.1.Value.1': 'red' };
    expect((await described(strange)).text).toContain('<Code>InvalidParameterValue</Code>');
  });
});

describe('a group', () => {
  it('is described with its tags, its size and its instances', async () => {
    const { client } = await services(undefined, 2);
    const { AutoScalingGroups } = await client.send(new DescribeAutoScalingGroupsCommand({}));
    expect(AutoScalingGroups).toMatchObject([
      {
        ...{ AutoScalingGroupName: 'baton-fleet', MinSize: 2, DesiredCapacity: 2 },
        Tags: [
          { Key: 'baton:fleet', Value: 'main', PropagateAtLaunch: true },
          { Key: 'baton:stage', Value: 'test' },
        ],
        Instances: [
          { InstanceId: 'i-00000000000000001', LifecycleState: 'InService' },
          { LifecycleState: 'Terminating:Wait' },
          { LifecycleState: 'Pending:Wait' },
        ],
      },
    ]);
  });

  it.each([
    ['tag-key', 'baton:fleet', 1],
    ['tag-key', 'color', 0],
    ['tag-value', 'main', 1],
    ['tag-value', 'red', 0],
    ['tag:baton:stage', 'test', 1],
    ['tag:baton:stage', 'main', 0],
    ['tag:toString', 'x', 0],
  ])('is found by its tags: %s = %s', async (Name, value, found) => {
    const { client } = await services();
    const asked = {
      Filters: [
        { Name: 'tag-key', Values: ['baton:stage'] },
        { Name, Values: [value] },
      ],
    };
    const { AutoScalingGroups } = await client.send(new DescribeAutoScalingGroupsCommand(asked));
    expect(AutoScalingGroups).toHaveLength(found);
  });

  it('is found by its name, and filtered by what is known', async () => {
    const { client } = await services();
    const named = (name: string) =>
      client.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }));
    expect((await named('baton-fleet')).AutoScalingGroups).toHaveLength(1);
    expect((await named('other')).AutoScalingGroups).toEqual([]);
    const strange = new DescribeAutoScalingGroupsCommand({ Filters: [{ Name: 'color', Values: ['red'] }] });
    await expect(client.send(strange)).rejects.toMatchObject({ name: 'ValidationError' });
  });
});

describe('instances of a group', () => {
  it('are listed with what becomes of them', async () => {
    const { client } = await services();
    const { AutoScalingInstances } = await client.send(new DescribeAutoScalingInstancesCommand({}));
    expect(AutoScalingInstances).toMatchObject([
      {
        InstanceId: 'i-00000000000000001',
        LifecycleState: 'InService',
        HealthStatus: 'HEALTHY',
        ProtectedFromScaleIn: false,
      },
      { InstanceId: 'i-00000000000000002', LifecycleState: 'Terminating:Wait', ProtectedFromScaleIn: true },
      { InstanceId: 'i-00000000000000004', LifecycleState: 'Pending:Wait' },
    ]);
    const one = new DescribeAutoScalingInstancesCommand({ InstanceIds: ['i-00000000000000002'] });
    expect((await client.send(one)).AutoScalingInstances).toHaveLength(1);
  });

  it.each([true, false])('are ended, and replaced unless the group shall shrink and may: %s', async (shrink) => {
    const { client, did } = await services(undefined, 1);
    const input = { InstanceId: 'i-00000000000000001', ShouldDecrementDesiredCapacity: shrink };
    const { Activity } = await client.send(new TerminateInstanceInAutoScalingGroupCommand(input));
    expect(Activity).toMatchObject({ AutoScalingGroupName: 'baton-fleet', StatusCode: 'InProgress', Progress: 0 });
    expect(did).toEqual([['terminate', 'i-00000000000000001', { shrink }]]);
  });

  it('are as many as the group must have, so that none is ended without another', async () => {
    const { client, did } = await services();
    const end = (InstanceId: string) =>
      client.send(new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: true }));
    await expect(end('i-00000000000000001')).rejects.toMatchObject({
      name: 'ValidationError',
      message:
        "Currently, desiredSize equals minSize (2). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
      $metadata: { httpStatusCode: 400 },
    });
    expect(did).toEqual([]);
  });

  it('are protected, several at once', async () => {
    const { client, did } = await services();
    const InstanceIds = ['i-00000000000000001', 'i-00000000000000002'];
    const input = { AutoScalingGroupName: 'baton-fleet', InstanceIds, ProtectedFromScaleIn: false };
    await client.send(new SetInstanceProtectionCommand(input));
    expect(did).toEqual(InstanceIds.map((id) => ['protect', id, false]));
  });

  it.each([{ LifecycleActionToken: TOKEN }, { InstanceId: 'i-00000000000000002' }])(
    'that wait for the hook go on when it is answered: %j',
    async (who) => {
      const { client, did } = await services();
      const input = {
        AutoScalingGroupName: 'baton-fleet',
        LifecycleHookName: 'baton-busy',
        LifecycleActionResult: 'CONTINUE',
      };
      await client.send(new CompleteLifecycleActionCommand({ ...input, ...who }));
      expect(did).toEqual([['complete', 'i-00000000000000002', 'terminate', false]]);
    },
  );

  it.each(['CONTINUE', 'ABANDON'])('that wait to begin do, or are given up: %s', async (LifecycleActionResult) => {
    const { client, did } = await services();
    const AutoScalingGroupName = 'baton-fleet';
    const input = { AutoScalingGroupName, LifecycleHookName: 'baton-launch', LifecycleActionResult };
    await client.send(new CompleteLifecycleActionCommand({ ...input, InstanceId: 'i-00000000000000004' }));
    await client.send(new CompleteLifecycleActionCommand({ ...input, LifecycleActionToken: OTHER_TOKEN }));
    const done = ['complete', 'i-00000000000000004', 'launch', LifecycleActionResult === 'ABANDON'];
    expect(did).toEqual([done, done]);
  });

  it.each([
    ['unknown_instance', 'ValidationError', 400],
    ['throttled', 'Throttling', 400],
    ['denied', 'AccessDenied', 403],
    ['internal', 'InternalFailure', 500],
  ] as const)('are refused as the SDK knows it: %s', async (kind, name, status) => {
    const { client } = await services(kind);
    const input = { InstanceId: 'i-00000000000000001', ShouldDecrementDesiredCapacity: false };
    await expect(client.send(new TerminateInstanceInAutoScalingGroupCommand(input))).rejects.toMatchObject({
      name,
      message: expect.stringContaining('because'),
      $metadata: { httpStatusCode: status },
    });
  });

  it('belong to the group, and the hook is its own', async () => {
    const { client, did } = await services();
    const InstanceIds = ['i-00000000000000001'];
    const strange = { AutoScalingGroupName: 'other', InstanceIds, ProtectedFromScaleIn: true };
    await expect(client.send(new SetInstanceProtectionCommand(strange))).rejects.toMatchObject({
      name: 'ValidationError',
    });
    const action = {
      AutoScalingGroupName: 'baton-fleet',
      LifecycleHookName: 'other',
      LifecycleActionResult: 'CONTINUE',
      LifecycleActionToken: TOKEN,
    };
    await expect(client.send(new CompleteLifecycleActionCommand(action))).rejects.toMatchObject({
      name: 'ValidationError',
    });
    expect(did).toEqual([]);
  });
});
