import { asgLaunchLifecycle, asgTerminateLifecycle } from '../../events/aws/asg-lifecycle.ts';
import { ec2InstanceState } from '../../events/aws/ec2-instance-state.ts';
import { ec2SpotWarning } from '../../events/aws/ec2-spot-warning.ts';
import { workerBootFailed } from '../../events/worker-boot-failed.ts';
import { workerRegistered } from '../../events/worker-registered.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { FLEET_DEFAULT, fleetGroupOf, HOOK_WAIT_S, type LifecycleHook, lifecycleHooks } from '../../schemas/worker.ts';
import { ComputeError } from '../errors.ts';
import type { Instances, Machines } from '../ports.ts';
import type { ControlPlane, Gate, Scene } from './scene.ts';
import type { HostSurroundings, SimulatedHost } from './simulated-host.ts';
import { simulatedHost } from './simulated-host.ts';

/** Machines that the fleet of one seed has at the most. */
const MACHINES_MAX = 4;
/** How long a machine boots, in milliseconds; those of the beginning are nearly up. */
const BOOT_MS = { first: 5_000, later: 120_000 } as const;
/** How long a machine takes to go down, in milliseconds. */
const GOES_DOWN_MAX_MS = 60_000;
/** From the warning to the end of a Spot machine, in milliseconds. */
const SPOT_NOTICE_MS = 120_000;
/** After what time Auto Scaling sees that a machine does not answer any more, in milliseconds: its health checks take minutes. */
const LOSS_NOTICED_MAX_MS = 600_000;
/** When something befalls a machine, in milliseconds after its boot: most while it works. */
const BEFALLS_WITHIN_MS = [60_000, 600_000, 4 * 3_600_000] as const;
/** Machines of one seed that something befalls at the most, boots that fail, and times that the group changes its size. */
const BLOWS_MAX = 3;
const BAD_BOOTS_MAX = 2;
const RESIZES_MAX = 3;

type Phase = 'boots' | 'in service' | 'is held' | 'goes down' | 'is gone';

export interface Machine {
  readonly worker: string;
  readonly host: SimulatedHost;
  phase: Phase;
  /** Since when nothing of it answers any more. */
  lostAtMs?: number;
  isProtected: boolean;
  /** Its group has it no more. */
  isForgotten: boolean;
  /** What a hook waits to go on with. */
  hook?: { readonly of: LifecycleHook; readonly goesOn: () => void };
}

/** Who watches what is asked of machines. */
export interface FleetEars {
  reachedOut(what: string): void;
  /** Nothing of a machine works any more; `isTold`: whether an event of EC2 says so. */
  machineGone(worker: string, isTold: boolean): void;
  /** A fleet becomes smaller by this machine. */
  machineTaken(machine: Machine): void;
}

export interface SimulatedFleet {
  /** Auto Scaling as one invocation of a handler sees it. */
  seenBy(gate: Gate): Machines & Instances;
  hostOf(worker: string): { readonly host?: SimulatedHost; readonly isKnown: boolean };
  /** An event of AWS sets out, and may be lost, come twice or late. */
  tell(event: Pick<Envelope, 'source' | 'detail-type' | 'detail'>, what: string): boolean;
  readonly machines: readonly Machine[];
}

/** EC2 and Auto Scaling as their documentation describes them, with the faults that the scene has: a group keeps its number. */
export function simulatedFleet(
  scene: Scene,
  stage: string,
  plane: ControlPlane,
  hosts: Omit<HostSurroundings, 'scene' | 'random'>,
  hear: FleetEars,
): SimulatedFleet {
  const { time, trace, has } = scene;
  const random = scene.random.fork('fleet');
  const machines: Machine[] = [];
  const isOnSpot = has('spot') && random.chance(0.6);
  let wanted = random.int(1, MACHINES_MAX);
  let blows = 0;
  let badBoots = 0;
  let events = 0;

  keepNumber('first');
  if (has('scale-in')) {
    for (let left = random.int(1, RESIZES_MAX); left > 0; left--)
      after(random.int(0, random.pick(BEFALLS_WITHIN_MS)), resize);
  }

  return { seenBy, hostOf, tell, machines };

  function seenBy(gate: Gate): Machines & Instances {
    return {
      async isThere(worker, fleet) {
        await comesBy(`describe ${worker}`);
        return fleet === FLEET_DEFAULT && listed(worker) !== undefined;
      },
      async isGone(worker) {
        await comesBy(`ask EC2 for ${worker}`);
        return listed(worker) === undefined;
      },
      async replace({ worker }) {
        await comesBy(`replace ${worker}`);
        // To tell a group how its machine stands, is no harm.
        if (gate.replay) hear.reachedOut(`machines replace ${worker}`);
        const machine = listed(worker);
        if (machine) takeAway(machine);
        await gate.point(`replaced ${worker}`);
      },
      async protect({ worker }, on) {
        await comesBy(`${on ? 'protect' : 'unprotect'} ${worker}`);
        const machine = listed(worker);
        if (machine?.phase !== 'in service') return machine?.phase === 'boots';
        machine.isProtected = on;
        await gate.point(`${on ? 'protected' : 'unprotected'} ${worker}`);
        return true;
      },
      async proceed({ worker }, to) {
        await comesBy(`let ${worker} ${to}`);
        const { hook } = listed(worker) ?? {};
        if (hook?.of === to) hook.goesOn();
        await gate.point(`has let ${worker} ${to}`);
      },
    };

    async function comesBy(what: string): Promise<void> {
      await gate.point(`machines ${what}`);
      await gate.store.durable();
      if (has('throttled-start') && random.chance(0.2))
        throw new ComputeError('compute_throttled', 'AutoScaling: Rate exceeded.');
    }
  }

  function listed(worker: string): Machine | undefined {
    return machines.find((one) => one.worker === worker && !one.isForgotten);
  }

  function hostOf(worker: string) {
    const machine = machines.find((one) => one.worker === worker);
    if (!machine || machine.phase === 'is gone') return { isKnown: false };
    // SSM takes commands for a machine that is lost, until it has missed it for a while.
    if (machine.lostAtMs !== undefined) return { isKnown: time.nowMs() - machine.lostAtMs < LOSS_NOTICED_MAX_MS / 2 };
    return machine.phase === 'boots' ? { isKnown: false } : { host: machine.host, isKnown: true };
  }

  /** As many machines as are wanted, where some are on their way out or lost and seen to be. */
  function keepNumber(when: keyof typeof BOOT_MS): void {
    const there = machines.filter(
      ({ phase, isForgotten }) => !isForgotten && (phase === 'boots' || phase === 'in service'),
    );
    for (let missing = wanted - there.length; missing > 0; missing--) launch(when);
  }

  function launch(when: keyof typeof BOOT_MS): void {
    const worker = `i-${(machines.length + 1).toString(16).padStart(8, '0')}`;
    const host = simulatedHost(worker, { ...hosts, scene, random: random.fork(worker) });
    const machine: Machine = { worker, host, phase: 'boots', isProtected: false, isForgotten: false };
    machines.push(machine);
    trace.line(`auto scaling launches ${worker}`);
    hold(machine, 'launch', () => takeAway(machine));
    after(random.int(1_000, BOOT_MS[when]), () => booted(machine));
  }

  /** What the boot script says, until somebody takes it. */
  function booted(machine: Machine): void {
    if (machine.phase !== 'boots' || machine.lostAtMs !== undefined) return;
    const { worker } = machine;
    const fails = has('boot-fails') && badBoots < BAD_BOOTS_MAX && random.chance(0.4);
    if (fails) badBoots++;
    // Without a launch hook Auto Scaling would keep what says nothing.
    if (fails && machine.hook && random.chance(0.5)) {
      trace.line(`${worker} does not boot, and says nothing`);
      return;
    }
    if (!machine.hook) machine.phase = 'in service';
    const { type } = fails ? workerBootFailed : workerRegistered;
    trace.line(`${worker} says ${type}`);
    const data = { fleet: FLEET_DEFAULT, worker, ...(fails ? { message: 'The image cannot be pulled.' } : {}) };
    const said = native('baton.agent', type, { metadata: aboutBoot(worker, type), data });
    for (let copies = has('duplicate') ? random.int(1, 2) : 1; copies > 0; copies--)
      after(random.int(1, random.chance(0.8) ? 1_000 : 60_000), () => void plane.publish(said));
    if (fails) return;
    if (has('host-death')) strikes(machine, lose);
    if (isOnSpot) strikes(machine, takeBack);
  }

  function aboutBoot(worker: string, type: string) {
    const id = `${worker}#${type}`;
    return { id, correlationId: worker, causationId: id, occurredAt: time.now(), schemaVersion: 1 };
  }

  /** Befalls this machine at some time, or does not. */
  function strikes(machine: Machine, blow: (machine: Machine) => void): void {
    if (!random.chance(0.6)) return;
    after(random.int(0, random.pick(BEFALLS_WITHIN_MS)), () => {
      if (blows >= BLOWS_MAX || !isUp(machine)) return;
      blows++;
      blow(machine);
    });
  }

  /** Nothing of it works any more, from one moment to the next; of that nobody may hear. */
  function lose(machine: Machine): void {
    trace.line(`${machine.worker} is lost`);
    machine.lostAtMs = time.nowMs();
    machine.host.lose();
    const isSilent = random.chance(0.4);
    if (!isSilent && random.chance(0.7)) told(machine, 'shutting-down');
    const isTold = !isSilent && told(machine, 'terminated');
    // Whoever looks may be answered with what nobody knows.
    if (isTold || !has('unknown-status')) hear.machineGone(machine.worker, isTold);
    after(random.int(1_000, LOSS_NOTICED_MAX_MS), () => {
      machine.phase = 'is gone';
      machine.isForgotten = true;
      delete machine.hook;
      keepNumber('later');
    });
  }

  /** Spot: a warning that may get lost, and the end two minutes later. */
  function takeBack(machine: Machine): void {
    const { worker } = machine;
    trace.line(`${worker} is taken back`);
    const detail = { 'instance-id': worker, 'instance-action': 'terminate' };
    tell({ source: ec2SpotWarning.source, 'detail-type': ec2SpotWarning.type, detail }, `${worker} is taken back`);
    after(SPOT_NOTICE_MS, () => goDown(machine));
  }

  /** Somebody wants another number. Those that work are protected, as far as Baton says so. */
  function resize(): void {
    if (wanted > 1 && random.chance(0.7)) {
      wanted--;
      const machine = machines.find((one) => one.phase === 'in service' && isUp(one) && !one.isProtected && !one.hook);
      trace.line(`auto scaling takes ${machine?.worker ?? 'nobody'} away`);
      if (!machine) return;
      hear.machineTaken(machine);
      takeAway(machine);
      return;
    }
    wanted++;
    trace.line(`auto scaling wants ${wanted} machines`);
    keepNumber('later');
  }

  /** Leaves its group, when the hook has been answered. */
  function takeAway(machine: Machine): void {
    if (machine.phase !== 'boots' && machine.phase !== 'in service') return;
    machine.phase = 'is held';
    delete machine.hook;
    hold(machine, 'terminate', () => goDown(machine));
    keepNumber('later');
  }

  /** Waits for an answer, or for the time after which none comes. */
  function hold(machine: Machine, of: LifecycleHook, otherwise: () => void): void {
    const { worker } = machine;
    const goesOn = (): void => {
      if (machine.hook !== hook) return;
      delete machine.hook;
      trace.line(`${worker} goes on: ${of}`);
      if (of === 'launch' && machine.phase === 'boots') machine.phase = 'in service';
      else if (of === 'terminate') goDown(machine);
    };
    const hook = { of, goesOn };
    machine.hook = hook;
    after(HOOK_WAIT_S[of] * 1_000, () => {
      if (machine.hook !== hook) return;
      delete machine.hook;
      trace.line(`nobody answers for ${worker}: ${of}`);
      otherwise();
    });
    const { source, type } = of === 'launch' ? asgLaunchLifecycle : asgTerminateLifecycle;
    const detail = {
      LifecycleActionToken: `token-${worker}-${of}`,
      AutoScalingGroupName: fleetGroupOf(stage, FLEET_DEFAULT),
      LifecycleHookName: lifecycleHooks[of],
      EC2InstanceId: worker,
      LifecycleTransition: `autoscaling:EC2_INSTANCE_${of === 'launch' ? 'LAUNCHING' : 'TERMINATING'}`,
    };
    tell({ source, 'detail-type': type, detail }, `${worker} waits: ${of}`);
  }

  function goDown(machine: Machine): void {
    if (machine.phase === 'goes down' || machine.phase === 'is gone') return;
    machine.phase = 'goes down';
    delete machine.hook;
    told(machine, 'shutting-down');
    machine.host.goDown();
    keepNumber('later');
    after(random.int(100, GOES_DOWN_MAX_MS), () => {
      machine.host.lose();
      machine.phase = 'is gone';
      machine.isForgotten = true;
      const isTold = told(machine, 'terminated');
      if (isTold || !has('unknown-status')) hear.machineGone(machine.worker, isTold);
    });
  }

  function isUp({ phase, lostAtMs }: Machine): boolean {
    return lostAtMs === undefined && phase !== 'goes down' && phase !== 'is gone';
  }

  function told({ worker }: Machine, state: string): boolean {
    const detail = { 'instance-id': worker, state };
    return tell(
      { source: ec2InstanceState.source, 'detail-type': ec2InstanceState.type, detail },
      `${worker} ${state}`,
    );
  }

  function tell({ source, 'detail-type': type, detail }: Parameters<SimulatedFleet['tell']>[0], what: string): boolean {
    const isLost = has('deaf') || (has('lose') && random.chance(0.15));
    trace.line(`aws says ${what}${isLost ? ' (lost)' : ''}`);
    if (isLost) return false;
    const event = native(source, type, detail);
    const copies = has('duplicate') && random.chance(0.5) ? random.int(2, 3) : 1;
    for (let copy = 0; copy < copies; copy++) after(onTheWayMs(), () => void plane.publish(event));
    return true;
  }

  function onTheWayMs(): number {
    if (has('delay') && random.chance(0.05)) return random.int(1_000, 1_800_000);
    if (has('reorder') && random.chance(0.3)) return random.int(0, 10_000);
    return random.int(1, 200);
  }

  function native(source: string, type: string, detail: unknown): Envelope {
    return {
      version: '0',
      id: `native-${++events}`,
      'detail-type': type,
      source,
      account: '000000000000',
      time: time.now(),
      region: 'local',
      resources: [],
      detail: detail as object,
    };
  }

  function after(ms: number, work: () => void): void {
    time.at(time.nowMs() + ms, work);
  }
}
