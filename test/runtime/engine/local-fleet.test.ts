import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import { FleetFault, type LocalFleetOptions } from '../../../runtime/engine/local-fleet-records.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { runDocument } from '../../../schemas/run-document.ts';
import { HOST_EXIT } from '../../../schemas/ssm-command.ts';
import { HOOK_WAIT_S } from '../../../schemas/worker.ts';
import { onLinux } from '../../agent/host-scene.ts';
import { programs } from '../../programs.ts';
import { eventually, lives } from './local-ecs-fixture.ts';
import { detailOf, type FleetWorld, fleetWorld, parametersOf } from './local-fleet-fixture.ts';

const worlds: FleetWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function aWorld(options: Partial<LocalFleetOptions> = {}): Promise<FleetWorld> {
  const world = await fleetWorld(options);
  worlds.push(world);
  return world;
}

async function aWorker(options: Partial<LocalFleetOptions> = {}): Promise<{ world: FleetWorld; worker: string }> {
  const world = await aWorld(options);
  const [worker = ''] = await world.ready();
  return { world, worker };
}

/** Goes on until it is killed, and says who it is. */
const GOES_ON = 'echo $$ > "$BESIDE/pid"; while :; do sleep 0.05; done';
/** Takes its time over SIGTERM, and leaves word of it. */
const SAVES = `trap 'echo saved > "$BESIDE/saved"; exit 143' TERM; ${GOES_ON}`;
const pidOf = (world: FleetWorld): Promise<number> =>
  eventually(() => Number(world.file('pid')) || undefined, 'the run');
const refusal = (kind: FleetFault['kind']) => expect.objectContaining({ name: 'FleetFault', kind });
const typesOf = (world: FleetWorld, instanceId: string): string[] =>
  world.events
    .filter(({ detail }) => detailOf(detail)['instance-id'] === instanceId)
    .map(({ 'detail-type': type, detail }) => String(detailOf(detail)['state'] ?? type));

onLinux('a fleet that begins', () => {
  it('makes as many workers as its group has places; each says that it is ready', async () => {
    const world = await aWorld({ capacity: 2 });
    const workers = await world.ready(2);
    expect(workers).toHaveLength(2);
    expect(world.announced.sort()).toEqual(workers.map((id) => [id, undefined]).sort());
    expect(typesOf(world, workers[0] ?? '')).toEqual(['pending', 'running']);
    expect(world.events[0]).toMatchObject({
      source: 'aws.ec2',
      'detail-type': 'EC2 Instance State-change Notification',
      resources: [expect.stringMatching(/^arn:aws:ec2:local:000000000000:instance\/i-[0-9a-f]{17}$/)],
      detail: { state: 'pending' },
    });
  });

  it('says of a boot that fails why, and has it until somebody replaces it', async () => {
    let boots = 0;
    const world = await aWorld({ failBoot: () => (boots++ === 0 ? 'the image cannot be pulled' : undefined) });
    const [failed = ''] = await eventually(() => world.announced[0] && [world.announced[0][0]], 'the boot');
    expect(world.announced).toEqual([[failed, 'the image cannot be pulled']]);
    await world.fleet.terminate(failed);
    await world.fleet.completeLifecycle(failed);
    const [next] = await world.ready();
    expect(next).not.toBe(failed);
  });

  it('says of a machine that cannot have workers what it lacks', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      const world = await aWorld();
      const [, why] = await eventually(() => world.announced[0], 'the boot');
      expect(why).toContain('no flock and no setsid here');
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('has its boot told again until that is taken', async () => {
    let tries = 0;
    const { worker } = await aWorker({
      announce: async () => {
        tries += 1;
        if (tries < 3) throw new Error('not now');
      },
    });
    expect(worker).not.toBe('');
    expect(tries).toBe(3);
  });
});

onLinux('a command', () => {
  it('runs the script of the host on its worker, and tells each status once', async () => {
    const { world, worker } = await aWorker();
    const command = await world.run(worker, 'echo "$BATON_NATIVE_ID" > "$BESIDE/who"; exit 7', { attempt: '3' });
    expect(command).toMatchObject({ status: 'Pending', responseCode: -1 });
    expect(await world.ended(command)).toMatchObject({ status: 'Failed', details: 'Failed', responseCode: 7 });
    expect(world.file('who')).toBe(`${worker}/${command.parameters['taskId']}/3\n`);
    expect(world.statuses(command)).toEqual(['InProgress', 'Failed']);
    expect(world.fleet.output(command)).toContain('nothing of');
    expect(world.events.at(-1)).toEqual({
      version: '0',
      id: expect.any(String),
      'detail-type': 'EC2 Command Invocation Status-change Notification',
      source: 'aws.ssm',
      account: '000000000000',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      region: 'local',
      resources: [`arn:aws:ec2:local:000000000000:instance/${worker}`],
      detail: {
        'command-id': command.commandId,
        'document-name': 'baton-run',
        'instance-id': worker,
        'requested-date-time': command.requestedAt,
        status: 'Failed',
      },
    });
  });

  it('that succeeds leaves a worker on which the next finds nothing of it', async () => {
    const { world, worker } = await aWorker();
    const first = await world.run(worker, 'echo secret > left');
    expect(await world.ended(first)).toMatchObject({ status: 'Success', responseCode: 0 });
    await world.ended(await world.run(worker, '{ ls -A; echo all; } > "$BESIDE/seen"'));
    expect(world.file('seen')).toBe('all\n');
  });

  it('that is sent twice for one attempt runs it once, and both tell the same', async () => {
    const { world, worker } = await aWorker();
    const parameters = parametersOf();
    const request = { instanceId: worker, document: 'baton-run', parameters, comment: '', deliverySeconds: 60 };
    const commands = await Promise.all([world.fleet.send(request), world.fleet.send(request)]);
    const ends = await Promise.all(commands.map(world.ended));
    expect(ends.map(({ status }) => status)).toEqual(['Success', 'Success']);
    expect(ends.filter((end) => existsSync(join(world.dataDir, 'runs', end.commandId)))).toHaveLength(1);
  });

  it('that is cancelled is killed without a word; its run ends all the same, with time to save its work', async () => {
    const { world, worker } = await aWorker();
    const command = await world.run(worker, SAVES);
    const pid = await pidOf(world);
    await world.fleet.cancel(command.commandId);
    expect(await world.ended(command)).toMatchObject({ status: 'Cancelled', responseCode: 137 });
    expect(world.statuses(command)).toEqual(['InProgress', 'Cancelling', 'Cancelled']);
    await eventually(() => !lives(pid), 'the end of the run');
    expect(world.file('saved')).toBe('saved\n');
  });

  it('that ends an attempt proves it by its success', async () => {
    const { world, worker } = await aWorker();
    const run = await world.run(worker, SAVES);
    const pid = await pidOf(world);
    const end = await world.run(worker, '', { taskId: run.parameters['taskId'] ?? '', action: 'end', payload: '-' });
    expect(await world.ended(end)).toMatchObject({ status: 'Success' });
    expect(lives(pid)).toBe(false);
    expect(await world.ended(run)).toMatchObject({ status: 'Failed', responseCode: 143 });
  });

  it('that takes longer than its document allows is timed out', async () => {
    const { world, worker } = await aWorker();
    const command = await world.run(worker, GOES_ON, { executionTimeout: '2' });
    expect(await world.ended(command)).toMatchObject({
      status: 'TimedOut',
      details: 'ExecutionTimedOut',
      responseCode: 137,
    });
  });

  it('whose script ends as if SSM had killed it is told as timed out, which it was not', async () => {
    const document = runDocument(['#!/bin/sh', 'exit 137'].join('\n'));
    const { world, worker } = await aWorker({ documents: { 'baton-run': document } });
    const command = await world.run(worker, 'true');
    expect(await world.ended(command)).toMatchObject({ status: 'TimedOut', responseCode: 137 });
  });

  it('whose script somebody else kills has no code', async () => {
    const document = runDocument(['#!/bin/sh', 'kill -9 $PPID $$'].join('\n'));
    const { world, worker } = await aWorker({ documents: { 'baton-run': document } });
    const command = await world.run(worker, 'true');
    expect(await world.ended(command)).toMatchObject({ status: 'Failed', responseCode: -1 });
  });

  it('whose run is killed is told as failed, by the code of its host', async () => {
    const { world, worker } = await aWorker();
    const command = await world.run(worker, 'kill -9 $$');
    expect(await world.ended(command)).toMatchObject({ status: 'Failed', responseCode: HOST_EXIT.killed });
  });

  it.each([
    ['Undeliverable', 'Failed'],
    ['Terminated', 'Cancelled'],
  ] as const)('can be %s, and never begins then', async (fate, status) => {
    const { world, worker } = await aWorker({ fate: () => fate });
    const command = await world.run(worker, GOES_ON);
    expect(await world.ended(command)).toMatchObject({ status, details: fate, responseCode: -1 });
    expect(world.statuses(command)).toEqual([status]);
  });

  it('that was cancelled before it began never begins', async () => {
    const { world, worker } = await aWorker();
    const command = await world.run(worker, GOES_ON);
    await world.fleet.cancel(command.commandId);
    expect(await world.ended(command)).toMatchObject({ status: 'Cancelled' });
    await world.fleet.cancel(command.commandId);
    expect(await world.fleet.command(command.commandId)).toMatchObject({ status: 'Cancelled' });
  });

  it('stays as it has ended, and is listed', async () => {
    const { world, worker } = await aWorker();
    const command = await world.run(worker, 'true');
    const ended = await world.ended(command);
    await world.fleet.cancel(command.commandId);
    expect(await world.fleet.commands()).toEqual([ended]);
  });
});

onLinux('a command that is refused', () => {
  it.each([
    ['to an instance that is not there', { instanceId: 'i-00000000000000000' }, 'unknown_instance'],
    ['with a document that is not there', { document: 'other' }, 'unknown_document'],
    ['with a parameter that the document does not have', { more: { other: 'x' } }, 'invalid_parameters'],
    ['with a parameter that does not match', { more: { taskId: '$(id)' } }, 'invalid_parameters'],
    ['with a parameter of two lines', { more: { attempt: '1\n2' } }, 'invalid_parameters'],
  ] as const)('is one %s', async (_, changes, kind) => {
    const { world, worker } = await aWorker();
    const { more = {}, ...rest } = { more: {}, ...changes };
    const parameters = parametersOf(more);
    const request = {
      instanceId: worker,
      document: 'baton-run',
      comment: '',
      deliverySeconds: 60,
      parameters,
      ...rest,
    };
    await expect(world.fleet.send(request)).rejects.toEqual(refusal(kind));
    expect(await world.fleet.commands()).toEqual([]);
  });

  it('is one without a parameter that has no default', async () => {
    const { world, worker } = await aWorker();
    const { taskId: _left, ...parameters } = parametersOf();
    const request = { instanceId: worker, document: 'baton-run', comment: '', deliverySeconds: 60, parameters };
    await expect(world.fleet.send(request)).rejects.toEqual(refusal('invalid_parameters'));
  });

  it('is one that a test wants refused', async () => {
    const { world, worker } = await aWorker({ failing: () => new FleetFault('throttled', 'Rate exceeded') });
    await expect(world.run(worker, 'true')).rejects.toEqual(refusal('throttled'));
  });
});

onLinux('a machine that is taken away', () => {
  it('as Spot capacity is warned, and ends with its runs when the notice is over; another takes its place', async () => {
    const { world, worker } = await aWorker({ limits: { spotNoticeMs: 1_000 } });
    const command = await world.run(worker, GOES_ON);
    const pid = await pidOf(world);
    expect(await world.fleet.interrupt(worker, 'spot')).toBe(true);
    await eventually(() => typesOf(world, worker).includes('EC2 Spot Instance Interruption Warning'), 'the warning');
    expect(lives(pid)).toBe(true);
    await world.inState(worker, 'terminated');
    expect(lives(pid)).toBe(false);
    expect(typesOf(world, worker).filter((type) => !type.startsWith('EC2 Command'))).toEqual([
      'pending',
      'running',
      'EC2 Spot Instance Interruption Warning',
      'shutting-down',
      'terminated',
    ]);
    // SSM does not notice.
    expect(await world.fleet.command(command.commandId)).toMatchObject({ status: 'InProgress' });
    const [next] = await world.ready();
    expect(next).not.toBe(worker);
    expect(await world.fleet.interrupt(worker, 'spot')).toBe(false);
  });

  it('as a host that dies ends its runs at once; EC2 says so later, SSM never', async () => {
    const { world, worker } = await aWorker({ limits: { lossNoticedMs: 1_000 } });
    const command = await world.run(worker, GOES_ON);
    const pid = await pidOf(world);
    await world.fleet.interrupt(worker, 'host');
    expect(lives(pid)).toBe(false);
    expect(typesOf(world, worker)).not.toContain('shutting-down');
    await world.inState(worker, 'terminated');
    expect(world.statuses(command)).toEqual(['InProgress']);
    await expect(world.run(worker, 'true')).rejects.toEqual(refusal('unknown_instance'));
  });

  it('only for SSM goes on with its run; its commands are never answered, and time out as if they had not arrived', async () => {
    const { world, worker } = await aWorker();
    const command = await world.run(worker, GOES_ON);
    const pid = await pidOf(world);
    await world.fleet.interrupt(worker, 'agent');
    const request = { instanceId: worker, document: 'baton-run', parameters: parametersOf(), comment: '' };
    const second = await world.fleet.send({ ...request, deliverySeconds: 1 });
    expect(await world.ended(second)).toMatchObject({
      status: 'TimedOut',
      details: 'DeliveryTimedOut',
      responseCode: -1,
    });
    expect(world.statuses(second)).toEqual(['TimedOut']);
    expect(lives(pid)).toBe(true);
    expect(await world.fleet.command(command.commandId)).toMatchObject({ status: 'InProgress' });
  });

  it('by its group waits for the hook, unless it is protected', async () => {
    const { world, worker } = await aWorker();
    await world.fleet.protect(worker, true);
    expect(await world.fleet.scaleIn()).toBeUndefined();
    await world.fleet.protect(worker, false);
    expect(await world.fleet.scaleIn()).toBe(worker);
    expect(world.events.at(-1)).toMatchObject({
      source: 'aws.autoscaling',
      'detail-type': 'EC2 Instance-terminate Lifecycle Action',
      detail: { EC2InstanceId: worker, AutoScalingGroupName: 'baton-fleet', LifecycleHookName: 'baton-busy' },
    });
    expect((await world.instance(worker)).state).toBe('running');
    await world.fleet.completeLifecycle(worker);
    await world.inState(worker, 'terminated');
    // The group is smaller now.
    expect((await world.fleet.instances()).filter(({ state }) => state === 'running')).toEqual([]);
    await expect(world.fleet.completeLifecycle(worker)).rejects.toEqual(refusal('invalid_parameters'));
  });

  it('by somebody is replaced, or not, as they say', async () => {
    const { world, worker } = await aWorker();
    await world.fleet.terminate(worker);
    expect(world.events.at(-1)).toMatchObject({ 'detail-type': 'EC2 Instance-terminate Lifecycle Action' });
    expect((await world.instance(worker)).state).toBe('running');
    await world.fleet.completeLifecycle(worker);
    await world.inState(worker, 'terminated');
    const [next = ''] = await world.ready();
    await world.fleet.terminate(next, { shrink: true });
    await world.fleet.completeLifecycle(next);
    await world.inState(next, 'terminated');
    expect(await world.fleet.instances()).toHaveLength(2);
    await expect(world.fleet.terminate('i-00000000000000000')).rejects.toEqual(refusal('unknown_instance'));
  });
});

onLinux('a machine whose launch waits for an answer', () => {
  const names = { fleet: 'main', group: 'baton-fleet', hook: 'baton-busy', launchHook: 'baton-launch' };

  it('is said to be made, boots meanwhile, and is in service once that is answered', async () => {
    const { world, worker } = await aWorker({ names });
    const made = world.events.filter((event) => event['detail-type'] === 'EC2 Instance-launch Lifecycle Action');
    expect(made).toMatchObject([
      { detail: { EC2InstanceId: worker, AutoScalingGroupName: 'baton-fleet', LifecycleHookName: 'baton-launch' } },
    ]);
    await expect(world.fleet.protect(worker, true)).rejects.toEqual(refusal('invalid_parameters'));
    expect(await world.fleet.scaleIn()).toBeUndefined();
    await world.fleet.completeLifecycle(worker, 'launch');
    await world.fleet.protect(worker, true);
    await expect(world.fleet.completeLifecycle(worker, 'launch')).rejects.toEqual(refusal('invalid_parameters'));
  });

  it('waits as long as the hooks of a deployment do', async () => {
    const { world, worker } = await aWorker({ names });
    const waitedS = (until: string | undefined, from: string): number =>
      (Date.parse(until ?? '') - Date.parse(from)) / 1_000;
    const { launching, launchedAt } = await world.instance(worker);
    expect(waitedS(launching?.until, launchedAt)).toBeCloseTo(HOOK_WAIT_S.launch, -1);
    const now = new Date().toISOString();
    const { leaving } = await world.fleet.terminate(worker);
    expect(waitedS(leaving?.at, now)).toBeCloseTo(HOOK_WAIT_S.terminate, -1);
  });

  it.each(['is given up', 'is never answered'])('and %s, is replaced', async (how) => {
    const { world, worker } = await aWorker({
      names,
      ...(how === 'is given up' ? {} : { limits: { launchHookMs: 1_500 } }),
    });
    if (how === 'is given up') await world.fleet.completeLifecycle(worker, 'launch', true);
    await world.inState(worker, 'terminated');
    expect((await world.ready())[0]).not.toBe(worker);
  });
});

onLinux('events on their way', () => {
  it('can be lost, come twice, or late', async () => {
    const weather: NonNullable<LocalFleetOptions['weather']> = ({ detail }) => {
      const { status } = detailOf(detail);
      return {
        copies: status === 'InProgress' ? 0 : status === 'Success' ? 2 : 1,
        delayMs: status === 'Success' ? 300 : 0,
      };
    };
    const { world, worker } = await aWorker({ weather });
    const command = await world.run(worker, 'true');
    await world.ended(command);
    expect(world.statuses(command)).toEqual([]);
    await eventually(() => world.statuses(command).length > 0, 'the late event');
    expect(world.statuses(command)).toEqual(['Success', 'Success']);
  });

  it('that nobody takes are lost', async () => {
    const troubles: string[] = [];
    const { world, worker } = await aWorker({
      bus: async () => {
        throw new Error('not now');
      },
      warn: (message) => troubles.push(message),
    });
    await world.ended(await world.run(worker, 'true'));
    expect(world.events).toEqual([]);
    expect(troubles).toContain('EC2 Command Invocation Status-change Notification was lost');
  });
});

onLinux('a world that comes back', () => {
  async function reopened(world: FleetWorld, options: Partial<LocalFleetOptions> = {}): Promise<FleetWorld> {
    const next = await world.reopen(options);
    worlds.push(next);
    return next;
  }

  it('finds its workers, and hears how commands ended meanwhile', async () => {
    const { world, worker } = await aWorker();
    const command = await world.run(
      worker,
      'echo $$ > "$BESIDE/pid"; until [ -e "$BESIDE/go" ]; do sleep 0.05; done; exit 9',
    );
    const pid = await pidOf(world);
    const next = await reopened(world);
    expect(lives(pid)).toBe(true);
    expect(await next.ready()).toEqual([worker]);
    expect(next.announced).toEqual([]);
    await next.fleet.cancel(command.commandId);
    expect(await next.ended(command)).toMatchObject({ status: 'Cancelled' });
  });

  it('begins what the last one had said to have begun, and had not: once', async () => {
    const store = memoryStore();
    const world = await aWorld({ store, supervisorCommand: ['/bin/sh', '-c', 'sleep 300'] });
    const [worker = ''] = await world.ready();
    const command = await world.run(worker, 'echo run >> "$BESIDE/runs"');
    await eventually(() => world.statuses(command).includes('InProgress'), 'its beginning');
    const next = await reopened(world, { supervisorCommand: programs.supervisor });
    expect(await next.ended(command)).toMatchObject({ status: 'Success' });
    expect(next.statuses(command)).toEqual(['Success']);
  });

  it('goes on with a group of the size that it had', async () => {
    const { world, worker } = await aWorker();
    await world.fleet.terminate(worker, { shrink: true });
    await world.fleet.completeLifecycle(worker);
    await world.inState(worker, 'terminated');
    const next = await reopened(world);
    expect(await next.fleet.instances()).toHaveLength(1);
  });

  it('goes on with an end that was under way', async () => {
    const { world, worker } = await aWorker({ limits: { spotNoticeMs: 1_500 } });
    await world.fleet.interrupt(worker, 'spot');
    const next = await reopened(world);
    await next.inState(worker, 'terminated');
    const [other] = await next.ready();
    expect(other).not.toBe(worker);
  });
});
