import { awsTimings, embeddedTimings } from '../../lifecycle/timings.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import { createEngine, type Engine } from '../engine/engine.ts';
import type { DeadLetter } from '../engine/event-bus.ts';
import { type MemoryStore, memoryStore } from '../engine/memory-store.ts';
import type { Scheduler } from '../engine/scheduler.ts';
import { BatonError } from '../errors.ts';
import type { Alarms, Contexts, RecordStore, Screening, Settings, Webhooks } from '../ports.ts';
import type { Reaction } from '../react.ts';
import { taskKey } from '../records.ts';
import { drawn, type FaultName } from './faults.ts';
import { openGate, underFaults } from './invocation.ts';
import type { Broken } from './promise-names.ts';
import { type Promises, watchPromises } from './promises.ts';
import { seededRandom } from './random.ts';
import { type ControlPlane, type Gate, type Scene, Unreachable } from './scene.ts';
import { simulatedEcs } from './simulated-ecs.ts';
import { simulatedRunner } from './simulated-runner.ts';
import { openTrace } from './trace.ts';
import { EPOCH_MS, virtualTime } from './virtual-time.ts';
import { type WiredPorts, type Wiring, wire } from './wiring.ts';
import { startWorkload } from './workload.ts';

/** Steps after which a world that does not come to rest is given up: a healthy one takes some hundred per task. */
const STEPS_MAX_PER_TASK = 50_000;
/** Simulated time after which a world that does not come to rest is given up: the longest task, and the latest repetition of its events after it. */
const REST_WITHIN_MS = 30 * 3_600_000;
/** How long after its deadline a task may take to settle: stops, proofs, late events and somebody who redrives. */
const SETTLE_WITHIN_S = 4 * 3_600;
/** When somebody looks after dead letters of alarms, in milliseconds. */
const REDRIVE_AFTER_MS = 600_000;
/** Most times that the whole process dies in one seed, and the chance of it at one step. */
const DEATHS_MAX = 4;
const DEATH_PER_STEP = 1 / 300;
/** Trace lines that a finding carries. */
const LINES_OF_A_FINDING = 80;

/** A mistake put in on purpose, to see that the simulation finds it. */
export interface Plant {
  /** What the ports of one caller (a rule's name, or `outside` for runners) stand on. */
  readonly wiring?: (wiring: Wiring, caller: string) => Wiring;
  readonly ports?: (ports: WiredPorts, caller: string) => WiredPorts;
  readonly reactions?: (reactions: readonly Reaction[]) => readonly Reaction[];
}

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

/** Every receiver takes what it is sent. */
const webhooks: Webhooks = { post: async () => ({ outcome: 'delivered' }) };
/** Nothing is found in any text, and every text is there. */
const screening: Screening = { screen: async () => ({ outcome: 'passed' }) };
const contexts: Contexts = { fetch: async (address) => ({ outcome: 'fetched', text: `What ${address} says.` }) };

/** One life of the process: from opening to the next crash. */
interface Life {
  readonly number: number;
  readonly raw: MemoryStore;
  readonly store: RecordStore;
  readonly engine: Engine;
  readonly random: ReturnType<typeof seededRandom>;
  /** Rejects when this life ends. */
  readonly over: Promise<never>;
  readonly end: () => void;
}

/** Runs the world of one seed until nothing is planned any more, or a promise breaks. */
export async function runWorld(options: WorldOptions): Promise<WorldResult> {
  const random = seededRandom(`seed ${options.seed}`);
  const inPlay = drawn(options.faults, random.fork('faults'));
  const has = (fault: FaultName): boolean => inPlay.has(fault);
  const time = virtualTime({ random: random.fork('time'), shuffled: has('reorder') });
  const trace = openTrace(time.now, options.trace);
  const timings = random.chance(0.5) ? embeddedTimings : awsTimings;
  const scene: Scene = { time, trace, timings, random, has };
  const limits = new Map<string, number>();
  const settings: Settings = {
    stage: 'simulated',
    timings,
    defaultAgentCommand: 'scripted',
    agentCommandAllowed: true,
    screening: 'off',
    computes: ['ecs'],
    slotKeyOf: ({ userId }) => `user:${userId}`,
  };
  const crashes = random.fork('crashes');
  /** Share of our own facts that the bus delivers once more, much later. */
  const repeats = random.pick([0.03, 0.03, 0.2]);
  let steps = 0;
  let finding: Finding | undefined;
  let life: Life | undefined;
  let deaths = 0;
  let lives = 0;

  trace.line(`seed ${options.seed}, ${options.tasks} tasks, faults: ${[...inPlay].join(' ') || 'none'}`);
  const limitRandom = random.fork('limits');
  const limitOf = (key: string): number => {
    const known = limits.get(key) ?? limitRandom.int(1, 3);
    limits.set(key, known);
    return known;
  };
  const promises: Promises = watchPromises({
    nowMs: time.nowMs,
    later: (ms, work) => void time.at(time.nowMs() + ms, work),
    runsOf: (taskId) => ecs.runsOf(taskId),
    settleWithinSeconds: SETTLE_WITHIN_S,
    broken,
  });
  const plane: ControlPlane = { ask, publish };
  let booted = 0;
  const ecs = simulatedEcs(
    scene,
    plane,
    (run, ended) =>
      simulatedRunner({
        scene,
        plane,
        witness: promises,
        random: random.fork(`runner ${++booted}`),
        nativeId: run.arn,
        environment: run.spec.environment,
        ended,
      }),
    promises.stopAsked,
  );

  open(memoryStore(storeOptions())).catch(opensNot);
  const taskIds = startWorkload(scene, plane, options.tasks);
  if (has('changed-limit')) changeLimits();
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
    promises.quiet();
  }
  const ended: Record<string, number> = {};
  for (const [key, value] of promises.records) {
    if (!key.startsWith('TASK#')) continue;
    const { status } = value as Task | Rejection;
    ended[status] = (ended[status] ?? 0) + 1;
  }
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

  function opensNot(error: unknown): void {
    broken({ promise: 'unknown is loud', taskId: '', message: `the world does not open: ${stackOf(error)}` });
  }

  function storeOptions() {
    const disk = random.fork(`disk ${lives}`);
    return {
      recordLog: has('world-crash'),
      freezeValues: true,
      sync: () => time.sleep(has('world-crash') ? disk.int(1, 5) : 0),
    };
  }

  /** Starts the process over what is on disk. */
  async function open(raw: MemoryStore): Promise<void> {
    const number = ++lives;
    const own = random.fork(`life ${number}`);
    let isOver = false;
    let end: () => void = () => undefined;
    const over = new Promise<never>((_, reject) => {
      end = () => {
        isOver = true;
        reject(new Unreachable('the world died'));
      };
    });
    over.catch(() => undefined);
    const alive = (work: () => void) => () => {
      if (!isOver) work();
    };
    const scheduler: Scheduler = {
      nowMs: time.nowMs,
      soon: (work) => void time.at(time.nowMs() + (has('reorder') ? own.int(0, 5) : 0), alive(work)),
      at: (timeMs, work) => time.at(timeMs, alive(work)),
    };
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => scheduler.at(time.nowMs() + ms, resolve));
    const store = watched(raw, () => !isOver);
    const engine: Engine = createEngine({
      store: slowToRead(store, sleep, own),
      scheduler,
      reactions: (options.plant?.reactions?.(options.reactions) ?? options.reactions).map((reaction) =>
        underFaults(reaction, {
          scene: { ...scene, random: own },
          store,
          sleep,
          portsAt,
          publish: (events) => engine.bus.publish(events),
          failed: (rule, event, error) =>
            broken({
              promise: 'unknown is loud',
              taskId: '',
              message: `${rule} threw on ${event['detail-type']} ${event.id}: ${stackOf(error)}`,
            }),
        }),
      ),
      settings,
      secret: 'simulated',
      limitOf,
      // Handlers get theirs through the gate of each invocation; this one answers nobody.
      outside: () => ({
        ecs: ecs.seenBy({ point: async () => undefined, sleep, store }),
        webhooks,
        screening,
        contexts,
      }),
      copies: (event) => (isDoubled(event) ? 2 : 1),
      onDeadLetter: (letter) => {
        if (!isOver) deadLetter(letter);
      },
    });
    engine.bus.listen((event) => {
      promises.heard(event);
      if (has('duplicate') && event.source === 'baton' && own.chance(repeats)) {
        // EventBridge delivers at least once, and the second time may be hours later.
        scheduler.at(time.nowMs() + own.int(1_000, own.chance(0.5) ? 60_000 : 4 * 3_600_000), () => {
          trace.line(`the bus says ${event.id} again`);
          engine.bus.publish([event]).catch(() => undefined);
        });
      }
    });
    life = { number, raw, store, engine, random: own, over, end };
    await Promise.race([engine.recover(), over]).catch(() => undefined);
    if (!isOver) promises.reopened();

    function portsAt(gate: Gate, rule: string): Readonly<Record<string, unknown>> {
      return { ...portsOver(gate, engine, rule), ecs: ecs.seenBy(gate), webhooks, screening, contexts };
    }

    function isDoubled(event: Envelope): boolean {
      if (event['detail-type'] === 'AlarmRang') return has('twice-alarm') && own.chance(0.3);
      return has('duplicate') && own.chance(0.3);
    }

    function deadLetter(letter: DeadLetter): void {
      trace.line(`dead letter of ${letter.rule}: ${letter.event.id} ${letter.error.code} ${letter.error.message}`);
      if (letter.event['detail-type'] !== 'AlarmRang') return;
      const { taskId } = (letter.event.detail as { data: { taskId: string } }).data;
      promises.redriveIsDue(taskId);
      scheduler.at(time.nowMs() + REDRIVE_AFTER_MS, () => {
        trace.line(`somebody redrives ${letter.event.id}`);
        engine.bus.publish([letter.event]).then(
          () => promises.redriven(taskId),
          () => undefined,
        );
      });
    }
  }

  function portsOver(gate: Gate, engine: Engine, caller: string): WiredPorts {
    const { plant } = options;
    const set: Alarms = {
      async arm(taskId, at) {
        await gate.point(`arm ${at}`);
        await engine.alarms.arm(taskId, at);
        promises.armed(taskId, at);
      },
    };
    const wiring: Wiring = {
      store: gate.store,
      alarms: set,
      clock: { now: time.now },
      settings,
      secret: 'simulated',
      limitOf,
    };
    const wired = wire(plant?.wiring?.(wiring, caller) ?? wiring);
    return plant?.ports?.(wired, caller) ?? wired;
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
          return open(survivor);
        })
        .catch(opensNot);
    };
    time.at(time.nowMs() + crashes.int(50, crashes.chance(0.8) ? 20_000 : 3_600_000), restart);
  }

  async function ask<T>(what: string, question: (ports: WiredPorts) => Promise<T>): Promise<T> {
    const asked = life;
    if (!asked) throw new Unreachable('the world is down');
    const { scheduleSleep, gate } = callerOf(asked, what);
    await Promise.race([scheduleSleep(), asked.over]);
    try {
      const answer = await Promise.race([question(portsOver(gate, asked.engine, 'outside')), asked.over]);
      await Promise.race([asked.store.durable(), asked.over]);
      if (has('crash') && asked.random.chance(0.05)) throw new Unreachable('the answer was lost');
      return answer;
    } catch (error) {
      if (error instanceof Unreachable || (error instanceof BatonError && error.code === 'store_closed')) {
        throw new Unreachable(String(error));
      }
      broken({ promise: 'unknown is loud', taskId: '', message: `${what} threw: ${stackOf(error)}` });
      throw new Unreachable(String(error));
    }
  }

  function callerOf(asked: Life, what: string) {
    const sleep = (ms: number): Promise<void> => time.sleep(ms);
    const calm: Scene = { ...scene, has: (fault) => fault !== 'crash' && has(fault) };
    const gate = openGate(what, { scene: calm, store: asked.store, sleep }, asked.random);
    return { gate, scheduleSleep: () => sleep(asked.random.int(1, 20)) };
  }

  async function publish(event: Envelope): Promise<void> {
    for (;;) {
      const open = life;
      if (open) {
        try {
          await Promise.race([open.engine.bus.publish([event]), open.over]);
          await Promise.race([open.store.durable(), open.over]);
          return;
        } catch (error) {
          if (!(error instanceof Unreachable || (error instanceof BatonError && error.code === 'store_closed')))
            throw error;
        }
      }
      await time.sleep(1_000);
    }
  }

  /** Lets the promises see every write, and brings what was written to disk after a moment. */
  function watched(raw: MemoryStore, isAlive: () => boolean): RecordStore {
    let flushes = false;
    const flushSoon = (): void => {
      if (!has('world-crash') || flushes) return;
      flushes = true;
      time.at(time.nowMs() + crashes.int(2, 40), () => {
        flushes = false;
        if (isAlive()) raw.durable().catch(() => undefined);
      });
    };
    return {
      ...raw,
      async put(key, value, expected, index) {
        const before = promises.records.get(key);
        const result = await raw.put(key, value, expected, index);
        if (result.outcome === 'written' && isAlive()) {
          if (!key.startsWith('JOURNAL#')) trace.line(`  put ${key}${statusOf(value)}`);
          promises.wrote(key, before, value);
          if (key.startsWith('DEAD#')) deadLettered(key, value as DeadLetter);
          flushSoon();
        }
        return result;
      },
      async delete(key) {
        const before = promises.records.get(key);
        await raw.delete(key);
        if (before !== undefined && isAlive()) {
          trace.line(`  delete ${key}`);
          promises.wrote(key, before, undefined);
          flushSoon();
        }
      },
    };
  }

  /** Only what died on its way, or what the back end refused for now, may end as a dead letter. */
  function deadLettered(key: string, letter: DeadLetter): void {
    const isInjected = letter.error.code === 'unexpected' ? has('crash') : letter.error.code.startsWith('compute_');
    if (!isInjected)
      broken({
        promise: 'unknown is loud',
        taskId: '',
        message: `${key}: ${letter.error.code} ${letter.error.message}`,
      });
  }

  /** A request that reached the disk is a task, a rejection, or a dead letter. */
  function answered(taskId: string): void {
    if (promises.records.has(taskKey(taskId))) return;
    const isDead = [...promises.records].some(
      ([key, value]) => key.startsWith('DEAD#') && (value as DeadLetter).rule === 'accept-task',
    );
    if (!isDead) broken({ promise: 'no lost step', taskId, message: 'a request was never answered' });
  }

  function changeLimits(): void {
    const random = scene.random.fork('changed limits');
    for (let change = 0; change < 6; change++) {
      time.at(time.nowMs() + random.int(0, 4 * 3_600_000), () => {
        for (const key of limits.keys()) limits.set(key, random.int(1, 4));
        trace.line(`limits are ${JSON.stringify([...limits])}`);
      });
    }
  }
}

/** Reading many records takes time: a crash may come in the middle of taking up what was left. */
function slowToRead(
  store: RecordStore,
  sleep: (ms: number) => Promise<void>,
  random: { int(from: number, to: number): number },
): RecordStore {
  return {
    ...store,
    async list(prefix, options) {
      await sleep(random.int(0, 20));
      return store.list(prefix, options);
    },
    async query(options) {
      await sleep(random.int(0, 20));
      return store.query(options);
    },
  };
}

/** Lets all that waits for nothing but its turn run to its next wait. */
const everythingElse = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

const statusOf = (value: unknown): string => {
  const { status, version } = value as { status?: string; version?: number };
  return status === undefined ? '' : ` ${status} v${version ?? 0}`;
};
