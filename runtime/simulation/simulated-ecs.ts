import { createHash } from 'node:crypto';
import type { EcsTaskStateChangeDetail } from '../../events/aws/ecs-task-state-change.ts';
import { ecsTaskStateChange } from '../../events/aws/ecs-task-state-change.ts';
import { AGENT_CONTAINER, readEcsTask } from '../../lifecycle/ecs-task.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { because } from '../../schemas/reason.ts';
import { type EcsHandle, ownHandle } from '../../schemas/run-handle.ts';
import { ComputeError } from '../errors.ts';
import type { EcsBackend, StartEcsRun } from '../ports.ts';
import type { ControlPlane, Gate, Scene } from './scene.ts';
import type { SimulatedRegistry } from './simulated-registry.ts';
import type { RunnerProcess } from './simulated-runner.ts';
import type { WatchedRun } from './watched-run.ts';

/** Exit code of a process that SIGKILL ended (128 + 9). */
const KILLED = 137;
/** How long ECS shows a stopped task: about an hour. */
const STOPPED_KEPT_MS = 3_600_000;
/** Or shorter: nobody promises the hour. */
const STOPPED_KEPT_LEAST_MS = 60_000;
/** From the warning that Spot capacity is taken back to the end of the task: two minutes. */
const SPOT_NOTICE_MS = 120_000;
/** How long a new task may be invisible to questions: they are answered from a copy that lags. */
const INVISIBLE_MAX_MS = 8_000;

/** One ECS task, with the process inside. */
export interface EcsRun extends WatchedRun {
  readonly spec: StartEcsRun;
  readonly visibleFromMs: number;
  version: number;
  lastStatus: string;
  desiredStatus: string;
  stopCode?: string | undefined;
  stoppedReason?: string | undefined;
  exitCode?: number;
  containers: boolean;
  process?: RunnerProcess;
  /** ECS says that the task has left its host; nothing of it runs any more, unless it lives on. */
  stopped: boolean;
  /** Its process went on when its end was told. */
  livesOn: boolean;
  /** Nobody can ask about it any more. */
  forgotten: boolean;
  /** Ends without an event. */
  silent: boolean;
}

export interface SimulatedEcs {
  /** ECS as one invocation of a handler sees it. */
  seenBy(gate: Gate): EcsBackend;
  runsOf(taskId: string): readonly EcsRun[];
  readonly runs: readonly EcsRun[];
}

/** Who watches what is asked of the back end. */
export interface EcsEars {
  startAsked(spec: StartEcsRun): void;
  stopAsked(run: WatchedRun): void;
  /** Somebody reached it during a replay. */
  reachedOut(what: string): void;
}

const CLUSTER = 'arn:aws:ecs:local:000000000000:cluster/baton';

const handleOf = (run: EcsRun): EcsHandle => ({
  backend: 'ecs',
  taskArn: run.nativeId,
  clusterArn: CLUSTER,
  taskDefinitionArn: run.spec.definition,
  region: 'local',
});

/** Only what runs on Spot capacity can be taken back. */
const isOnSpot = ({ spec }: EcsRun): boolean => spec.capacityProvider === 'FARGATE_SPOT';

/** ECS as its documentation describes it, with the faults that the scene has. `boot` starts the process inside a task. */
export function simulatedEcs(
  scene: Scene,
  plane: ControlPlane,
  boot: (run: EcsRun, ended: (exitCode: number) => void) => RunnerProcess,
  hear: EcsEars,
  registry: SimulatedRegistry,
): SimulatedEcs {
  const { time, trace } = scene;
  const random = scene.random.fork('ecs');
  const runs: EcsRun[] = [];

  return { seenBy, runs, runsOf: (taskId) => runs.filter((run) => run.spec.taskId === taskId) };

  function seenBy(gate: Gate): EcsBackend {
    return {
      async start(spec) {
        await gate.point(`ecs.start ${spec.startedBy}`);
        await gate.store.durable();
        if (gate.replay) hear.reachedOut(`a start of ${spec.startedBy}`);
        throttle();
        hear.startAsked(spec);
        const known = runs.find((run) => run.spec.clientToken === spec.clientToken);
        const { gone } = registry.revision(spec.definition) ?? {};
        if (!known && gone && gone.refusedFromMs <= time.nowMs()) {
          trace.line(`ecs refuses ${spec.startedBy}: ${spec.definition} is gone`);
          return { outcome: 'refused', reason: because('start_refused', 'TaskDefinition is inactive') };
        }
        if (!known && scene.has('failing-start') && random.chance(0.15)) {
          trace.line(`ecs refuses ${spec.startedBy}`);
          return { outcome: 'refused', reason: because('start_refused', 'ECS refuses this start.') };
        }
        if (!known && scene.has('no-capacity') && random.chance(0.2)) {
          trace.line(`ecs has no room for ${spec.startedBy}`);
          const reason = random.chance(0.5)
            ? because('no_capacity', 'Capacity is unavailable at this time.')
            : because('start_throttled', 'You have reached the limit of starts.');
          return { outcome: 'refused', reason };
        }
        const run = known ?? create(spec);
        if (!known && scene.has('duplicate-run') && random.chance(0.25)) create(spec);
        if (scene.has('late-handle') && random.chance(0.3)) {
          if (random.chance(0.4)) throw new ComputeError('compute_unavailable', 'The answer to the start was lost.');
          await gate.sleep(random.int(1_000, 240_000));
        }
        await gate.point(`ecs.start answered ${run.nativeId}`);
        return { outcome: 'started', handle: handleOf(run) };
      },
      async stop(given) {
        const handle = ownHandle('ecs', given);
        await gate.point(`ecs.stop ${handle.taskArn}`);
        await gate.store.durable();
        if (gate.replay) hear.reachedOut(`a stop of ${handle.taskArn}`);
        throttle();
        const run = runs.find(({ nativeId }) => nativeId === handle.taskArn);
        if (!run || !isShown(run)) return 'not_found';
        if (run.stopped) return 'already_ended';
        hear.stopAsked(run);
        requestStop(run);
        return 'stopping';
      },
      async ask({ startedBy, handle: given }) {
        const handle = given && ownHandle('ecs', given);
        await gate.point(`ecs.ask ${startedBy}`);
        throttle();
        const found = runs.filter(
          (run) => isShown(run) && (run.spec.startedBy === startedBy || run.nativeId === handle?.taskArn),
        );
        return found.flatMap((run) => readEcsTask(detailOf(run)).observation ?? []);
      },
    };
  }

  function throttle(): void {
    if (scene.has('throttled-start') && random.chance(0.2)) {
      throw new ComputeError('compute_throttled', 'Rate exceeded.');
    }
  }

  function isShown(run: EcsRun): boolean {
    return !run.forgotten && run.visibleFromMs <= time.nowMs();
  }

  function create(spec: StartEcsRun): EcsRun {
    const hex = createHash('sha256').update(`${spec.clientToken}/${runs.length}`).digest('hex').slice(0, 32);
    const lag = scene.has('delay') || scene.has('reorder') ? random.int(0, INVISIBLE_MAX_MS) : 0;
    const run: EcsRun = {
      nativeId: `arn:aws:ecs:local:000000000000:task/baton/${hex}`,
      spec,
      visibleFromMs: time.nowMs() + lag,
      version: 1,
      lastStatus: 'PROVISIONING',
      desiredStatus: 'RUNNING',
      containers: true,
      stopped: false,
      livesOn: false,
      forgotten: false,
      silent: scene.has('silent-death') && random.chance(0.3),
    };
    runs.push(run);
    trace.line(`ecs creates ${run.nativeId} ${spec.startedBy} from ${spec.definition} on ${spec.capacityProvider}`);
    tell(run);
    time.at(time.nowMs() + random.int(50, 2_000), () => change(run, 'PENDING'));
    time.at(time.nowMs() + random.int(2_000, 6_000), () => comeUp(run));
    return run;
  }

  function comeUp(run: EcsRun): void {
    if (run.stopped) return;
    if (run.desiredStatus === 'STOPPED') {
      stop(run);
      return;
    }
    if (scene.has('failing-start') && random.chance(0.15)) {
      run.containers = false;
      stop(run, 'TaskFailedToStart', 'CannotPullContainerError: pull image manifest has been retried 5 times');
      return;
    }
    change(run, 'RUNNING');
    run.process = boot(run, (exitCode) => {
      if (run.stopped) return;
      run.exitCode = exitCode;
      stop(run, 'EssentialContainerExited', 'Essential container in task exited');
    });
    if (scene.has('runner-crash') && random.chance(0.1)) {
      time.at(time.nowMs() + random.int(0, 600_000), () => loseHost(run));
    }
    if (scene.has('lives-on') && random.chance(0.3)) {
      time.at(time.nowMs() + random.int(0, random.chance(0.5) ? 60_000 : 3_600_000), () => loseHost(run));
    }
    if (isOnSpot(run) && scene.has('spot') && random.chance(0.6)) {
      time.at(time.nowMs() + random.int(0, random.chance(0.5) ? 60_000 : 3_600_000), () => takeBack(run));
    }
  }

  /** Spot: told while the task still runs, then SIGTERM, then the end, of which nobody may hear. */
  function takeBack(run: EcsRun): void {
    if (run.stopped || run.desiredStatus === 'STOPPED') return;
    trace.line(`spot capacity of ${run.nativeId} is taken back`);
    run.desiredStatus = 'STOPPED';
    run.stopCode = 'SpotInterruption';
    run.stoppedReason = 'Your Spot Task was interrupted.';
    if (random.chance(0.15)) run.silent = true;
    tell(run, 1);
    run.process?.terminate();
    time.at(time.nowMs() + SPOT_NOTICE_MS, () => kill(run));
  }

  /** Spot or host failure: the process is gone at once, with no exit code. */
  function loseHost(run: EcsRun): void {
    if (run.stopped) return;
    trace.line(`host lost under ${run.nativeId}`);
    end(run);
    const codes = ['InfrastructureHealth', 'TerminationNotice'] as const;
    stop(run, isOnSpot(run) && random.chance(0.5) ? 'SpotInterruption' : random.pick(codes), 'The host went away.');
  }

  function requestStop(run: EcsRun): void {
    if (run.desiredStatus === 'STOPPED') return;
    run.desiredStatus = 'STOPPED';
    run.stopCode = 'UserInitiated';
    run.stoppedReason = 'Stopped by Baton';
    trace.line(`ecs stops ${run.nativeId}`);
    tell(run, 1);
    if (!run.process) return;
    const ignores = scene.has('ignores-stop') && random.chance(0.4);
    if (ignores) {
      trace.line(`${run.nativeId} ignores the stop`);
      if (random.chance(0.5)) return;
      time.at(time.nowMs() + random.int(1, 3_600) * 1_000, () => kill(run));
      return;
    }
    run.process.terminate();
    time.at(time.nowMs() + 30_000, () => kill(run));
  }

  function kill(run: EcsRun): void {
    if (run.stopped) return;
    end(run);
    run.exitCode = KILLED;
    stop(run);
  }

  /** The process is gone, or ECS takes it for gone: its host does not answer and lives. */
  function end(run: EcsRun): void {
    if (!run.process) return;
    run.livesOn = scene.has('lives-on') && random.chance(0.6);
    if (run.livesOn) trace.line(`${run.nativeId} lives on`);
    else run.process.kill();
  }

  function stop(run: EcsRun, stopCode?: string, stoppedReason?: string): void {
    if (run.stopped) return;
    run.stopped = true;
    run.desiredStatus = 'STOPPED';
    run.stopCode ??= stopCode;
    run.stoppedReason ??= stoppedReason;
    if (scene.has('unknown-status') && random.chance(0.2)) run.stopCode = 'SolarFlare';
    change(run, 'STOPPED');
    const keptMs = run.silent && random.chance(0.5) ? 0 : random.pick([STOPPED_KEPT_LEAST_MS, STOPPED_KEPT_MS]);
    time.at(time.nowMs() + keptMs, () => {
      run.forgotten = true;
    });
  }

  function change(run: EcsRun, status: string): void {
    if (run.lastStatus === 'STOPPED' || (run.stopped && status !== 'STOPPED')) return;
    if (scene.has('unknown-status') && random.chance(0.2)) {
      const known = run.lastStatus;
      run.lastStatus = 'HIBERNATING';
      tell(run, 1);
      run.lastStatus = known;
    }
    run.lastStatus = status;
    tell(run, 1);
  }

  /** Publishes the task as it is now, the way EventBridge does: at least once, in any order, or, with the fault, not at all. */
  function tell(run: EcsRun, versions = 0): void {
    run.version += versions;
    const detail = detailOf(run);
    const event: Envelope = {
      version: '0',
      id: `native-${run.nativeId.slice(-8)}-${run.version}`,
      'detail-type': ecsTaskStateChange.type,
      source: ecsTaskStateChange.source,
      account: '000000000000',
      time: time.now(),
      region: 'local',
      resources: [run.nativeId],
      detail,
    };
    const isLost = scene.has('deaf') || (run.stopped && run.silent) || (scene.has('lose') && random.chance(0.15));
    trace.line(
      `ecs says ${run.nativeId} ${run.lastStatus} v${run.version} ${run.stopCode ?? ''}${isLost ? ' (lost)' : ''}`,
    );
    if (isLost) return;
    const times = scene.has('duplicate') && random.chance(0.5) ? random.int(2, 3) : 1;
    for (let copy = 0; copy < times; copy++) {
      time.at(time.nowMs() + onTheWay(), () => void plane.publish(event));
    }
  }

  /** How long an event travels, in milliseconds. */
  function onTheWay(): number {
    if (scene.has('delay') && random.chance(0.05)) return random.int(1_000, 1_800_000);
    if (scene.has('reorder') && random.chance(0.3)) return random.int(0, 10_000);
    return random.int(1, 200);
  }

  function detailOf(run: EcsRun): EcsTaskStateChangeDetail {
    return {
      taskArn: run.nativeId,
      clusterArn: CLUSTER,
      taskDefinitionArn: run.spec.definition,
      startedBy: run.spec.startedBy,
      lastStatus: run.lastStatus,
      desiredStatus: run.desiredStatus,
      version: run.version,
      ...(run.stopCode === undefined ? {} : { stopCode: run.stopCode }),
      ...(run.stoppedReason === undefined ? {} : { stoppedReason: run.stoppedReason }),
      containers: run.containers
        ? [
            { name: 'sidecar', ...(run.stopped ? { exitCode: 0 } : {}) },
            { name: AGENT_CONTAINER, ...(run.stopped && run.exitCode !== undefined ? { exitCode: run.exitCode } : {}) },
          ]
        : [],
    };
  }
}
