import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SSMClient } from '@aws-sdk/client-ssm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rules } from '../../../rules/index.ts';
import { startRunOnEc2 } from '../../../rules/start-run-on-ec2.ts';
import { fleetChecks } from '../../../runtime/aws/fleet-checks.ts';
import { autoScalingService } from '../../../runtime/endpoint/aws/auto-scaling.ts';
import type { AwsService } from '../../../runtime/endpoint/aws/aws-service.ts';
import { eventBridgeService } from '../../../runtime/endpoint/aws/eventbridge.ts';
import { listedRules } from '../../../runtime/endpoint/aws/listed-rules.ts';
import { ssmService } from '../../../runtime/endpoint/aws/ssm.ts';
import type { InstanceRecord } from '../../../runtime/engine/local-fleet-records.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { workerKey } from '../../../runtime/records.ts';
import { because } from '../../../schemas/reason.ts';
import type { Worker } from '../../../schemas/worker.ts';
import { at } from '../../builders.ts';
import { type Served, served } from './served.ts';
import { type Answer, anError, aWire } from './wire.ts';

const place = { account: '000000000000', region: 'eu-west-1' };
const nobody = { send: fails, cancel: fails, command: fails, commands: fails, output: () => '' };
const noMachine = { terminate: fails, protect: fails, completeLifecycle: fails };
async function fails(): Promise<never> {
  throw new Error('nobody asks for this');
}

interface Deployed {
  readonly rules: typeof rules;
  readonly documents: readonly string[];
  /** Stage of the one group; without one there is none. */
  readonly stage: string | undefined;
  readonly machines: readonly Pick<InstanceRecord, 'state' | 'launching'>[];
  readonly workers: readonly Worker[];
}
const usual: Deployed = {
  rules,
  documents: ['baton-test-run'],
  stage: 'test',
  machines: [{ state: 'running' }, { state: 'running', launching: { token: 't', until: at(9) } }],
  workers: [],
};

let store: ReturnType<typeof memoryStore>;
let service: Served | undefined;
beforeEach(() => {
  store = memoryStore();
});
afterEach(async () => {
  await service?.close();
  service = undefined;
});

const partsAt = (client: Served['client']) => ({
  events: new EventBridgeClient(client),
  ssm: new SSMClient(client),
  scaling: new AutoScalingClient(client),
  store,
});

/** What the checks find in such a deployment: a sentence each, or what is missing and what to do. */
async function found(changes: Partial<Deployed> = {}): Promise<Record<string, string>> {
  const { documents, stage, machines, workers, rules: deployed } = { ...usual, ...changes };
  for (const worker of workers) await store.put(workerKey(worker.worker), worker, 'absent');
  const buses = [{ name: 'baton-test', publish: async () => undefined }];
  const instances = machines.map((one, number) => ({
    ...{ schemaVersion: 1 as const, instanceId: idOf(number), fleet: 'main', launchedAt: at(0), changedAt: at(0) },
    ...one,
  }));
  const names = { fleet: 'main', group: 'baton-test-fleet-main', hook: 'h', ...(stage === undefined ? {} : { stage }) };
  const services: AwsService[] = [
    eventBridgeService({ place, now: () => at(0), buses, rules: listedRules(deployed, 'baton-test', place) }),
    ssmService({ ...nobody, documents: () => documents }),
    autoScalingService({ ...noMachine, instances: async () => instances }, names, place, machines.length),
  ];
  service = await served(services);
  const told: Record<string, string> = {};
  for (const { name, look } of await fleetChecks('test', partsAt(service.client))) {
    told[name] = await look().catch(({ message, remedy }) => `${message} → ${remedy}`);
  }
  return told;
}

const idOf = (number: number): string => `i-0000000000000000${number}`;
const base = (number: number, fleet = 'main') => ({ worker: idOf(number), fleet, since: at(0) });
const idle = (number: number, fleet?: string): Worker => ({ ...base(number, fleet), state: 'idle' });
const works = (number: number): Worker => ({
  ...base(number),
  ...{ state: 'claimed', owner: { taskId: 't0', attempt: 1 }, claimedAt: at(0), expiresAt: at(9) },
});
const reason = because('boot_failed', 'It did not boot.');

describe('a deployment without fleets', () => {
  it('is not asked for anything of one', async () => {
    expect(await found({ rules: rules.filter((rule) => rule !== startRunOnEc2), documents: [] })).toEqual({});
  });
});

describe('a deployment with a fleet', () => {
  it('is well with a document, a group, and workers, be they idle or not', async () => {
    const leaving = { at: at(1), reason: because('spot_interrupted', 'Spot takes it.') };
    const machines = Array.from({ length: 5 }, (_, number) => ({
      ...{ state: 'running' as const },
      ...(number === 0 ? { launching: { token: 't', until: at(9) } } : {}),
    }));
    const workers = [idle(1), works(2), works(3), { ...idle(4), leaving }];
    expect(await found({ machines, workers })).toEqual({
      'run document': 'the document baton-test-run is there',
      fleets: 'main is the group baton-test-fleet-main, with 4 of 5 machines in service',
      workers: 'main has 4 registered, 1 idle',
    });
  });

  // A machine whose end nobody told keeps its record.
  it('counts no worker that its group does not have, be it dead or of a fleet that is gone', async () => {
    const workers = [idle(1), idle(7), idle(8, 'earlier')];
    expect(await found({ workers })).toMatchObject({ workers: 'main has 1 registered, 1 idle' });
  });

  it('has no worker where its group has no machine, whatever is recorded', async () => {
    const told = await found({ machines: [], workers: [idle(1)] });
    expect(told['workers']).toMatch(/^main has no worker → .*-fleet-main`/);
  });

  it('lacks its document', async () => {
    expect(await found({ documents: ['baton-run'], workers: [idle(1)] })).toMatchObject({
      'run document': expect.stringMatching(/^there is no document baton-test-run → Deploy /),
      workers: 'main has 1 registered, 1 idle',
    });
  });

  it.each([['main'], [undefined]])('lacks its groups where there is one of stage %s', async (stage) => {
    expect(await found({ stage, workers: [idle(1)] })).toMatchObject({
      fleets: expect.stringMatching(/^there is no Auto Scaling group with the tags .*baton:stage=test → Deploy /),
      workers: expect.stringMatching(/^no fleet has a worker → /),
    });
  });

  it('has nobody to run its tasks while no worker has registered', async () => {
    const booting: Worker = { ...base(1), state: 'booting' };
    const workers: Worker[] = [
      booting,
      { ...base(2), state: 'quarantined', reason },
      { ...base(3), state: 'gone', reason },
    ];
    expect((await found({ workers }))['workers']).toMatch(
      /^main has no worker, 1 boot → Tasks on ec2 wait .*`baton workers --stage test`.*--auto-scaling-group-name baton-test-fleet-main`/,
    );
  });

  it('has one fleet without a worker beside one that has some', async () => {
    await store.put(workerKey(idOf(1)), idle(1, 'spare'), 'absent');
    const group = (fleet: string, id: string): string =>
      `<member><AutoScalingGroupName>baton-test-fleet-${fleet}</AutoScalingGroupName><Instances><member><InstanceId>${id}</InstanceId></member></Instances><Tags><member><Key>baton:fleet</Key><Value>${fleet}</Value></member></Tags></member>`;
    const xml = `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups>${group('spare', idOf(1))}${group('main', idOf(2))}</AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`;
    const wire = await aWire(({ text }) =>
      new URLSearchParams(text).get('Action') === 'DescribeAutoScalingGroups' ? { xml } : { body: {} },
    );
    const workers = (await fleetChecks('test', partsAt(wire.client))).find(({ name }) => name === 'workers');
    await expect(workers?.look()).rejects.toMatchObject({
      message: 'main has no worker; spare has 1 registered, 1 idle',
      remedy: expect.stringContaining('baton-test-fleet-main`'),
    });
  });
});

describe('a deployment that may not be asked', () => {
  async function told(answers: Readonly<Record<string, Answer>>): Promise<string[]> {
    const wire = await aWire(({ operation, text }) => {
      const name = new URLSearchParams(text).get('Action') ?? operation;
      return answers[name] ?? anError('AccessDeniedException', 'not authorized to perform it', 403);
    });
    const checks = await fleetChecks('test', partsAt(wire.client));
    return Promise.all(checks.map(async ({ name, look }) => `${name}: ${await look().catch(({ code }) => code)}`));
  }

  it('about its rules is told as that, and of nothing else', async () => {
    expect(await told({})).toEqual(['fleets: service_denied']);
  });

  it('about its fleets is told as that for each, and its workers are counted all the same', async () => {
    await store.put(workerKey(idOf(1)), idle(1), 'absent');
    const xml =
      '<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>';
    expect(await told({ DescribeRule: { body: {} }, DescribeAutoScalingGroups: { status: 403, xml } })).toEqual([
      'run document: service_denied',
      'fleets: service_denied',
      'workers: main has 1 registered, 1 idle',
    ]);
  });

  it('that has a document which is not ready, says so', async () => {
    const answers = { DescribeRule: { body: {} }, DescribeDocument: { body: { Document: { Status: 'Failed' } } } };
    expect(await told(answers)).toContain('run document: service_refused');
  });
});
