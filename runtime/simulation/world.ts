import { awsTimings, embeddedTimings } from '../../lifecycle/timings.ts';
import type { Compute } from '../../schemas/compute.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import { FLEET_DEFAULT } from '../../schemas/worker.ts';
import type { DeadLetter } from '../engine/event-bus.ts';
import { memoryArchive } from '../engine/memory-archive.ts';
import { type MemoryStore, memoryStore } from '../engine/memory-store.ts';
import type { AgentcoreBackend, Settings } from '../ports.ts';
import type { Reaction } from '../react.ts';
import { taskKey } from '../records.ts';
import { livesOver, type SessionBackendOptions, sessionBackend } from '../session-backend.ts';
import { configureRepositories } from './configurations.ts';
import { letOthersDeploy } from './deployers.ts';
import { drawn, type FaultName } from './faults.ts';
import { letLie } from './liar.ts';
import { type Life, type LifeOptions, openLife, type Plant, stackOf } from './life.ts';
import { limitsOf } from './limits.ts';
import { outsidePorts } from './outside-ports.ts';
import { controlPlane } from './plane.ts';
import type { Broken } from './promise-names.ts';
import { type Promises, watchPromises } from './promises.ts';
import { type Random, seededRandom } from './random.ts';
import { replayAtAnyTime } from './replays.ts';
import type { Gate, Scene } from './scene.ts';
import { type SessionBody, type SimulatedAgentcore, simulatedAgentcore } from './simulated-agentcore.ts';
import { simulatedDefinitions } from './simulated-definitions.ts';
import { type SimulatedEc2, simulatedEc2 } from './simulated-ec2.ts';
import { type EcsRun, type SimulatedEcs, simulatedEcs } from './simulated-ecs.ts';
import { simulatedRegistry } from './simulated-registry.ts';
import {
  type Remote,
  type RunnerOptions,
  type RunnerProcess,
  simulatedRunner,
  type Witness,
} from './simulated-runner.ts';
import { openTrace } from './trace.ts';
import { EPOCH_MS, virtualTime } from './virtual-time.ts';
import { weatherOf } from './weather.ts';
import type { WiredPorts } from './wiring.ts';
import { startWorkload } from './workload.ts';

export type { Plant } from './life.ts';

/** Steps after which a world that does not come to rest is given up: a healthy one takes some hundred per task. */
const STEPS_MAX_PER_TASK = 50_000;
/** Simulated time after which a world that does not come to rest is given up: the longest task, and the latest repetition of its events after it. */
const REST_WITHIN_MS = 60 * 3_600_000;
/** How long after its deadline a task may take to settle: stops, proofs, late events and somebody who redrives. */
const SETTLE_WITHIN_S = 4 * 3_600;
/** Most times that the whole process dies in one seed, and the chance of it at one step. */
const DEATHS_MAX = 4;
const DEATH_PER_STEP = 1 / 300;
/** Faults that delay what Baton does, so that nothing can be said of how soon it does it. */
const DELAYING = [
  'delay',
  'late-alarm',
  'crash',
  'world-crash',
  'throttle',
  'throttled-start',
  'time-out',
  'redrive',
  'lost-answer',
  'late-handle',
] as const satisfies readonly FaultName[];
/** Faults by which a call may fail, so that what it was to tell may remain untold. */
const REFUSING = ['throttle', 'throttled-start', 'time-out', 'lost-answer'] as const satisfies readonly FaultName[];
/** Trace lines that a finding carries. */
const LINES_OF_A_FINDING = 80;

export interface WorldOptions {
  readonly seed: number;
  readonly tasks: number;
  readonly faults: ReadonlySet<FaultName>;
  readonly reactions: readonly Reaction[];
  readonly plant?: Plant;
  /** Hears every line of the trace. */
  readonly trace?: (line: string) => void;
}

/** The first broken promise of a seed: what, whose, when, and what came before. */
export interface Finding extends Broken {
  readonly seed: number;
  readonly step: number;
  readonly trace: readonly string[];
}

export interface WorldResult {
  readonly seed: number;
  readonly steps: number;
  /** Simulated milliseconds from the first request to rest. */
  readonly simulatedMs: number;
  /** SHA-256 over the whole trace. */
  readonly traceHash: string;
  /** Tasks by their last status. */
  readonly ended: Readonly<Record<string, number>>;
  readonly finding?: Finding;
}

/** Runs the world of one seed until nothing is planned any more, or a promise breaks. */
export async function runWorld(options: WorldOptions): Promise<WorldResult> {
  const { plant } = options;
  const random = seededRandom(`seed ${options.seed}`);
  const inPlay = drawn(options.faults, random.fork('faults'));
  const has = (fault: FaultName): boolean => inPlay.has(fault);
  const time = virtualTime({ random: random.fork('time'), shuffled: has('reorder') });
  const trace = openTrace(time.now, options.trace);
  const timings = random.chance(0.5) ? embeddedTimings : awsTimings;
  const scene: Scene = { time, trace, timings, random, has };
  const usual: Settings = {
    stage: 'simulated',
    timings,
    defaultAgentCommand: 'scripted',
    agentCommandAllowed: true,
    screening: has('guardrail') ? 'required' : 'off',
    computes: computesOf(random.fork('computes')),
    fleets: [FLEET_DEFAULT],
    slotKeyOf: ({ userId }) => `user:${userId}`,
  };
  const crashes = random.fork('crashes');
  const limits = limitsOf(scene);
  const weather = weatherOf(scene);
  const archive = memoryArchive(time.nowMs);
  let steps = 0;
  let finding: Finding | undefined;
  let life: Life | undefined;
  let deaths = 0;

  trace.line(`seed ${options.seed}, ${options.tasks} tasks, faults: ${[...inPlay].join(' ') || 'none'}`);
  const promises: Promises = watchPromises({
    nowMs: time.nowMs,
    later: (ms, work) => void time.at(time.nowMs() + ms, work),
    runsOf: (taskId) => [
      ...ecs.runsOf(taskId),
      ...bodiesOf(taskId),
      ...ec2.runs.filter(({ spec }) => spec.taskId === taskId),
    ],
    bodies: () => agentcore.bodies,
    machines: () => ec2.machines,
    commands: () => ec2.commands,
    timings,
    isCalm: !DELAYING.some(has),
    isHeard: !REFUSING.some(has),
    registry: () => registry,
    stage: usual.stage,
    isUp: () => life !== undefined,
    hasPassed: (taskId, of) => outside.hasPassed(taskId, of),
    settleWithinSeconds: SETTLE_WITHIN_S,
    broken,
  });
  const outside = outsidePorts(scene, promises.reachedOut);
  const plane = controlPlane({
    scene,
    weather,
    lifeNow: () => life,
    surprised: (what, error) =>
      broken({ promise: 'unknown is loud', taskId: '', message: `${what} threw: ${stackOf(error)}` }),
  });
  const registry = simulatedRegistry(scene, promises);
  letOthersDeploy(scene, usual.stage, registry);
  const { records, complain } = promises;
  const definitionsSeenBy = simulatedDefinitions({
    scene,
    stage: usual.stage,
    registry,
    records,
    complain,
    plant: plant?.definitions,
  });
  const remote: Remote = new Map();
  let booted = 0;
  const ecs = taskBackEnd();
  const agentcore = sessionsBackEnd();
  const ec2 = fleetBackEnd();
  const lifeOptions: LifeOptions = {
    scene,
    weather,
    reactions: options.reactions,
    settings: plant?.settings?.(usual) ?? usual,
    limitOf: limits.limitOf,
    promises,
    archive,
    outside: (gate: Gate, own: WiredPorts) => ({
      ...outside.seenBy(gate),
      agentcore: sessionsSeenBy(gate, own),
      ecs: ecs.seenBy(gate),
      definitions: definitionsSeenBy(gate),
      ...ec2.seenBy(gate, own),
    }),
    broken,
    repeats: random.pick([0.03, 0.03, 0.2]),
    plant,
  };

  await live(memoryStore(storeOptions()));
  const taskIds = startWorkload(scene, plane, options.tasks, usual.computes[0] ?? 'ecs');
  if (has('changed-limit')) limits.change();
  configureRepositories(scene, plane);
  if (has('replay')) replayAtAnyTime(scene, plane, archive);
  if (has('lying-agent')) letLie(scene, plane, { taskIds, records, complain });
  while (!finding && time.step()) {
    steps++;
    await everythingElse();
    if (steps > STEPS_MAX_PER_TASK * options.tasks)
      broken({ promise: 'ends', taskId: '', message: `no rest after ${steps} steps` });
    if (time.nowMs() - EPOCH_MS > REST_WITHIN_MS) broken({ promise: 'ends', taskId: '', message: 'no rest in time' });
    if (life && has('world-crash') && deaths < DEATHS_MAX && crashes.chance(DEATH_PER_STEP)) die(life);
  }
  if (!finding) {
    for (const taskId of taskIds) answered(taskId);
    for (const key of records.keys()) if (key.startsWith('TASK#')) wasAsked(key.slice('TASK#'.length));
    promises.quiet();
  }
  const ended = endsOf(promises);
  trace.line(`rest after ${steps} steps: ${JSON.stringify(ended)}`);
  return {
    seed: options.seed,
    steps,
    simulatedMs: time.nowMs() - EPOCH_MS,
    traceHash: trace.hash(),
    ended,
    ...(finding ? { finding } : {}),
  };

  function broken(what: Broken): void {
    if (finding) return;
    trace.line(`BROKEN ${what.promise}: ${what.taskId} ${what.message}`);
    finding = { ...what, seed: options.seed, step: steps, trace: trace.last(LINES_OF_A_FINDING) };
  }

  function taskBackEnd(): SimulatedEcs {
    const boot = ({ nativeId, spec: { environment } }: EcsRun, ended: (exitCode: number) => void) =>
      runner({ nativeId, body: nativeId, environment, witness: promises, ended });
    return simulatedEcs(scene, plane, boot, promises, registry);
  }

  function sessionsBackEnd(): SimulatedAgentcore {
    return simulatedAgentcore(scene, bootSession, promises);
  }

  function fleetBackEnd(): SimulatedEc2 {
    return simulatedEc2({ scene, stage: usual.stage, plane, promises, plant, runner });
  }

  /** What the image does when it is invoked: it has a claim count once, since another container may have the same name. */
  function bootSession(session: SessionBody, ended: () => void): RunnerProcess {
    const { nativeId, number, invocation } = session;
    const witness: Witness = {
      ...promises,
      claimed(signal, body) {
        session.claims = true;
        session.claimedAtMs = time.nowMs();
        promises.claimed(signal, body);
      },
    };
    const environment = { ...invocation.environment, BATON_CLAIM: 'once' };
    return runner({ nativeId, body: `${nativeId}/${number}`, environment, witness, ended });
  }

  function runner(
    about: Pick<RunnerOptions, 'nativeId' | 'body' | 'environment' | 'witness' | 'isAskedAbout' | 'ended'>,
  ): RunnerProcess {
    return simulatedRunner({ ...about, scene, plane, remote, random: random.fork(`runner ${++booted}`) });
  }

  function bodiesOf(taskId: string): readonly SessionBody[] {
    return agentcore.bodies.filter(({ spec }) => spec.taskId === taskId);
  }

  /** The back end of sessions, as it is shipped, over the simulated service. */
  function sessionsSeenBy(gate: Gate, { tasks, runs, clock }: WiredPorts): AgentcoreBackend {
    const under: SessionBackendOptions = {
      sessions: agentcore.seenBy(gate),
      runtimeArn: agentcore.runtimeArn(),
      qualifier: 'DEFAULT',
      lifeOf: livesOver({ tasks, runs, clock, timings: () => timings }),
    };
    return sessionBackend(plant?.sessions?.(under) ?? under);
  }

  function storeOptions() {
    const disk = random.fork(`disk ${deaths}`);
    return {
      recordLog: has('world-crash'),
      freezeValues: true,
      sync: () => time.sleep(has('world-crash') ? disk.int(1, 5) : 0),
    };
  }

  /** The process over what is on disk, from now to its end. */
  async function live(raw: MemoryStore): Promise<void> {
    life = openLife(raw, deaths + 1, lifeOptions);
    life.recover().catch(opensNot);
  }

  function opensNot(error: unknown): void {
    broken({ promise: 'unknown is loud', taskId: '', message: `the world does not open: ${stackOf(error)}` });
  }

  /** The whole process dies; what was not on disk yet is lost from some point on. */
  function die(dying: Life): void {
    deaths++;
    dying.end();
    const { applied, durable } = dying.raw.snapshotLog();
    const lost = crashes.int(0, applied - durable);
    trace.line(`the world dies and loses ${lost} of ${applied - durable} writes`);
    const survivor = dying.raw.restartAfterLosing(lost);
    life = undefined;
    void dying.engine.stop();
    const restart = (): void => {
      void survivor
        .list('', { limit: Number.MAX_SAFE_INTEGER })
        .then((records) => {
          promises.died(records);
          trace.line(`the world opens again with ${records.length} records`);
          return live(survivor);
        })
        .catch(opensNot);
    };
    time.at(time.nowMs() + crashes.int(50, crashes.chance(0.8) ? 20_000 : 3_600_000), restart);
  }

  function wasAsked(taskId: string): void {
    if (!taskIds.includes(taskId)) broken({ promise: 'ends', taskId, message: 'nobody asked for this task' });
  }

  /** A request that reached the disk is a task, a rejection, or a dead letter. */
  function answered(taskId: string): void {
    if (promises.records.has(taskKey(taskId))) return;
    const isDead = [...promises.records].some(
      ([key, value]) => key.startsWith('DEAD#') && (value as DeadLetter).rule === 'accept-task',
    );
    if (!isDead) broken({ promise: 'no lost step', taskId, message: 'a request was never answered' });
  }
}

/** Which back end is taken when a request names none: in a quarter of the worlds the fleet. */
function computesOf(random: Random): readonly Compute[] {
  const others: readonly Compute[] = random.chance(0.5) ? ['ecs', 'agentcore'] : ['agentcore', 'ecs'];
  return random.chance(0.25) ? ['ec2', ...others] : [...others, 'ec2'];
}

/** Tasks by their last status. */
function endsOf({ records }: Promises): Record<string, number> {
  const ended: Record<string, number> = {};
  for (const [key, value] of records) {
    if (!key.startsWith('TASK#')) continue;
    const { status } = value as Task | Rejection;
    ended[status] = (ended[status] ?? 0) + 1;
  }
  return ended;
}

/** Lets all that waits for nothing but its turn run to its next wait. */
const everythingElse = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
