import { reactions } from '../../handlers/index.ts';
import { AGENT_CONTAINER, readEcsTask } from '../../lifecycle/ecs-task.ts';
import { earliestDue } from '../../lifecycle/evolve.ts';
import { isSettled, runOf } from '../../lifecycle/states.ts';
import { eventPatternOf } from '../../rules/event-pattern.ts';
import { alarmEvent } from '../../runtime/alarm-event.ts';
import { judgePut } from '../../runtime/engine/record-page.ts';
import { compilePattern } from '../../runtime/matcher.ts';
import type {
  ComputeBackend,
  Definitions,
  RecordStore,
  Settings,
  StartRun,
  StoredRecord,
} from '../../runtime/ports.ts';
import type { Reaction, Surroundings } from '../../runtime/react.ts';
import { taskKey } from '../../runtime/records.ts';
import type { Broken, Complain } from '../../runtime/simulation/promise-names.ts';
import { runWritten } from '../../runtime/simulation/run-promises.ts';
import { slotWritten } from '../../runtime/simulation/slot-promises.ts';
import { taskWritten } from '../../runtime/simulation/task-promises.ts';
import type { WatchedRun } from '../../runtime/simulation/watched-run.ts';
import { wire } from '../../runtime/simulation/wiring.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { EcsHandle } from '../../schemas/run-handle.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Slot } from '../../schemas/slot.ts';
import type { DuePurpose, Task } from '../../schemas/task.ts';
import { aFailedReport, aReport, at, testTimings } from '../builders.ts';
import { definitionsTwin } from '../definitions-twin.ts';

/** What may happen in one search, besides the deliveries: each is a number of times. */
export interface Bounds {
  readonly tasks: number;
  readonly attempts: number;
  readonly places: number;
  /** Ends of runs without a report. */
  readonly losses: number;
  readonly cancels: number;
  /** States after which the search ends, whether it has seen all or not. */
  readonly states: number;
  /** What happened before the search begins: each names the first move that changes anything and has these words. */
  readonly before?: readonly string[];
  /** Default: those that are shipped. */
  readonly reactions?: readonly Reaction[];
}

export interface Found {
  readonly states: number;
  readonly moves: number;
  /** Steps from the first state to the farthest. */
  readonly depth: number;
  /** Nothing was left to look at. */
  readonly complete: boolean;
  readonly broken: readonly (Broken & { readonly way: readonly string[] })[];
  /** States from which no state can be reached in which every task is settled; only where the search was complete. */
  readonly stuck: readonly string[];
  readonly ends: Readonly<Record<string, number>>;
}

interface Run {
  readonly spec: StartRun;
  readonly arn: string;
  readonly status: 'PENDING' | 'RUNNING' | 'STOPPED';
  readonly claims: 'not yet' | 'claimed' | 'fenced';
  readonly reported: boolean;
  readonly toldToStop?: boolean;
  readonly exitCode?: number;
}

/** One state of everything: records, what was ever said, and what runs. Never changed, only replaced. */
interface State {
  readonly records: ReadonlyMap<string, StoredRecord>;
  /** Every event that was ever published: each may be delivered at any time, any number of times, or never. */
  readonly said: ReadonlyMap<string, Envelope>;
  readonly runs: ReadonlyMap<string, Run>;
  readonly nowMs: number;
  readonly losses: number;
  readonly cancels: number;
}

interface Node {
  readonly state: State;
  readonly key: string;
  readonly depth: number;
  readonly from: Node | undefined;
  readonly move: string;
}

const settings = (places: number): Settings & { places: number } => ({
  stage: 'test',
  timings: testTimings,
  defaultAgentCommand: 'scripted',
  agentCommandAllowed: true,
  screening: 'off',
  computes: ['ecs'],
  fleets: ['main'],
  slotKeyOf: () => 'user:all',
  places,
});

/** Looks at every order of everything, breadth first, with the shipped handlers: each delivery is one step. */
export async function everyOrder(bounds: Bounds): Promise<Found> {
  const targets = (bounds.reactions ?? reactions).map((reaction) => {
    const { detail } = eventPatternOf(reaction.rule);
    return { reaction, matches: detail ? compilePattern(detail) : () => true };
  });
  const first = await begun(bounds, targets);
  const seen = new Map<string, string[]>([[first.key, []]]);
  const ends: Record<string, number> = {};
  const ended = new Set<string>();
  const broken: (Broken & { way: string[] })[] = [];
  let layer = [first];
  let moves = 0;
  let depth = 0;
  let complete = true;
  while (layer.length > 0 && broken.length === 0) {
    const next: Node[] = [];
    for (const node of layer) {
      const from = node.key;
      if (isOver(node.state, bounds)) {
        ended.add(from);
        const told = tasksIn(node.state)
          .map(({ status }) => status)
          .sort()
          .join(' ');
        ends[told] = (ends[told] ?? 0) + 1;
      }
      for (const [move, make] of movesOf(node.state, bounds, targets)) {
        moves++;
        const complaints: Broken[] = [];
        const state = await make((promise, taskId, message) => complaints.push({ promise, taskId, message }));
        if (state === node.state && complaints.length === 0) continue;
        const key = keyOf(state);
        const known = seen.get(key);
        if (known) {
          if (key !== from) known.push(from);
        } else if (seen.size >= bounds.states) {
          complete = false;
        } else {
          seen.set(key, [from]);
          next.push({ state, key, depth: node.depth + 1, from: node, move });
        }
        for (const one of [...complaints, ...idle(state)]) broken.push({ ...one, way: [...wayOf(node), move] });
        if (broken.length > 0) break;
      }
      if (broken.length > 0) break;
    }
    if (next.length > 0) depth++;
    layer = next;
  }
  return { states: seen.size, moves, depth, complete, broken, ends, stuck: complete ? cannotEnd(seen, ended) : [] };
}

/** The state from which the search begins. */
async function begun(bounds: Bounds, targets: Targets): Promise<Node> {
  const state = firstState(bounds);
  let node: Node = { state, key: keyOf(state), depth: 0, from: undefined, move: 'begin' };
  for (const words of bounds.before ?? []) {
    let next: Node | undefined;
    for (const [move, make] of movesOf(node.state, bounds, targets)) {
      if (next || !move.includes(words)) continue;
      const state = await make(unexpected);
      const key = keyOf(state);
      if (key !== node.key) next = { state, key, depth: 0, from: node, move };
    }
    if (!next) throw new Error(`nothing that can happen has the words "${words}"`);
    node = next;
  }
  return node;
}

const unexpected: Complain = (promise, _taskId, message) => {
  throw new Error(`${promise}: ${message}`);
};

/** States from which no end can be reached, by going back from the ends. */
function cannotEnd(seen: ReadonlyMap<string, readonly string[]>, ended: ReadonlySet<string>): string[] {
  const good = new Set(ended);
  const look = [...ended];
  for (let key = look.pop(); key !== undefined; key = look.pop()) {
    for (const before of seen.get(key) ?? []) {
      if (good.has(before)) continue;
      good.add(before);
      look.push(before);
    }
  }
  return [...seen.keys()].filter((key) => !good.has(key));
}

const wayOf = (node: Node): string[] => (node.from ? [...wayOf(node.from), node.move] : []);

const tasksIn = ({ records }: State): Task[] =>
  [...records].filter(([key]) => key.startsWith('TASK#')).map(([, { value }]) => value as Task);

const isOver = (state: State, { tasks }: Bounds): boolean => {
  const all = tasksIn(state);
  return all.length === tasks && all.every(isSettled);
};

/** A task that is not settled and has nothing due would wait for ever. */
const idle = (state: State): Broken[] =>
  tasksIn(state)
    .filter((task) => !isSettled(task) && earliestDue(task) === undefined)
    .map(({ taskId, status }) => ({ promise: 'ends', taskId, message: `${status} has nothing due` }));

function firstState({ tasks, attempts }: Bounds): State {
  const said = new Map<string, Envelope>();
  for (let number = 1; number <= tasks; number++) {
    const data = { repository: '/sample', prompt: 'do', userId: 'u', idempotencyKey: `k${number}`, attempts };
    const event = envelope('baton.request', 'TaskRequested', `request-${number}`, { data });
    said.set(event.id, event);
  }
  return { records: new Map(), said, runs: new Map(), nowMs: Date.parse(at(0)), losses: 0, cancels: 0 };
}

/** Wake-ups that only say again what was said: here nothing is ever lost, only late. */
const saysAgain = new Set<string>(['step', 'queue', 'settle'] satisfies DuePurpose[]);

type Make = (complain: Complain) => Promise<State>;
type Targets = readonly { reaction: Reaction; matches: (detail: never) => boolean }[];

/** Everything that can happen next. */
function* movesOf(state: State, bounds: Bounds, targets: Targets): Iterable<[string, Make]> {
  for (const [id, event] of state.said) {
    for (const { reaction, matches } of targets) {
      const isOn = reaction.rule.on.some(
        ({ source, type }) => source === event.source && type === event['detail-type'],
      );
      if (!isOn || !matches(event.detail as never)) continue;
      yield [`${reaction.rule.name} takes ${id}`, (complain) => deliver(state, bounds, reaction, event, complain)];
    }
  }
  for (const task of tasksIn(state)) yield* movesOfTask(state, bounds, task, targets);
  for (const run of state.runs.values()) yield* movesOfRun(state, bounds, run);
}

function* movesOfTask(state: State, bounds: Bounds, task: Task, targets: Targets): Iterable<[string, Make]> {
  if (isSettled(task)) return;
  const { taskId } = task;
  const wake = targets.find(({ reaction }) => reaction.rule.name === 'wake-task')?.reaction;
  for (const [purpose, due] of Object.entries(task.due) as [DuePurpose, string][]) {
    if (saysAgain.has(purpose)) continue;
    const then = { ...state, nowMs: Math.max(state.nowMs, Date.parse(due)) };
    const event = alarmEvent(taskId, task.armedAt ?? due);
    if (wake) yield [`${taskId} wakes for ${purpose}`, (complain) => deliver(then, bounds, wake, event, complain)];
  }
  if (state.cancels < bounds.cancels && !state.said.has(`cancel-${taskId}`)) {
    const event = envelope('baton.request', 'TaskCancelRequested', `cancel-${taskId}`, { data: { taskId } });
    yield [
      `${taskId} is cancelled`,
      async () => ({ ...state, cancels: state.cancels + 1, said: new Map(state.said).set(event.id, event) }),
    ];
  }
}

function* movesOfRun(state: State, bounds: Bounds, run: Run): Iterable<[string, Make]> {
  const { arn, status, claims, reported } = run;
  const name = `${run.spec.taskId}#${run.spec.attempt}`;
  const signal = { taskId: run.spec.taskId, attempt: run.spec.attempt, nativeId: arn };
  if (status === 'STOPPED') return;
  const stops =
    (exitCode: number, losses = 0): Make =>
    async () =>
      native({ ...state, losses: state.losses + losses }, { ...run, status: 'STOPPED', exitCode });
  if (status === 'PENDING') yield [`${name} comes up`, async () => native(state, { ...run, status: 'RUNNING' })];
  if (claims === 'fenced') yield [`${name} leaves`, stops(79)];
  if (run.toldToStop) yield [`${name} stops`, stops(143)];
  if (reported) yield [`${name} exits`, stops(0)];
  else if (state.losses < bounds.losses) yield [`${name} is lost`, stops(137, 1)];
  if (status !== 'RUNNING') return;
  if (claims === 'not yet') {
    yield [
      `${name} claims`,
      (complain) =>
        within(state, bounds, complain, async (ports, { say, put }) => {
          const answer = await ports.runs.claim(signal);
          put({ ...run, claims: answer === 'fenced' ? 'fenced' : 'claimed' });
          if (answer !== 'fenced') say(agentSays('RunClaimed', signal, 0));
        }),
    ];
  }
  if (claims !== 'claimed' || reported) return;
  for (const report of [aReport({ result: { ...aReport().result, commit: null } }), aFailedReport()]) {
    yield [
      `${name} reports ${report.outcome}`,
      (complain) =>
        within(state, bounds, complain, async (ports, { say, put }) => {
          const answer = await ports.runs.report(signal, report);
          put(answer === 'fenced' ? { ...run, claims: 'fenced' } : { ...run, reported: true });
          if (answer !== 'fenced') say(agentSays('RunReported', signal, 1));
        }),
    ];
  }
}

function deliver(
  state: State,
  bounds: Bounds,
  reaction: Reaction,
  event: Envelope,
  complain: Complain,
): Promise<State> {
  return within(state, bounds, complain, async (ports, { say, world }) => {
    try {
      for (const fact of await reaction.run(event, ports as never, world, { tries: 1 })) say(fact);
    } catch (error) {
      complain('unknown is loud', '', `${reaction.rule.name} threw on ${event.id}: ${String(error)}`);
    }
  });
}

interface Hands {
  say(event: Envelope): void;
  put(run: Run): void;
  readonly world: Surroundings;
}

/** Does one thing over a state and answers the next one, or the same if it did nothing; every write is looked at as the simulation looks at it. */
async function within(
  state: State,
  bounds: Bounds,
  complain: Complain,
  work: (
    ports: ReturnType<typeof wire> & { ecs: ComputeBackend; definitions: Definitions },
    hands: Hands,
  ) => Promise<void>,
): Promise<State> {
  const records = new Map(state.records);
  const said = new Map(state.said);
  const runs = new Map(state.runs);
  const now = (): string => new Date(state.nowMs).toISOString();
  const store = storeOver(records, runs, complain);
  const deployment = settings(bounds.places);
  const ports = wire({
    store,
    alarms: { arm: async () => undefined },
    clock: { now },
    settings: deployment,
    secret: 'test',
    limitOf: () => deployment.places,
  });
  const say = (event: Envelope): void => {
    const name = nameOf(event);
    if (!said.has(name)) said.set(name, event);
  };
  const world: Surroundings = {
    now,
    republishAgeSeconds: () => testTimings.REPUBLISH_AGE_S,
    journal: { ignored: () => undefined, duplicate: () => undefined },
  };
  await work(
    { ...ports, ecs: backEnd(runs), definitions: definitionsTwin().definitions },
    { say, world, put: (run) => void runs.set(run.arn, run) },
  );
  const isSame = isUnchanged(state.records, records) && isUnchanged(state.said, said) && isUnchanged(state.runs, runs);
  return isSame ? state : { ...state, records, said, runs };
}

const isUnchanged = (before: ReadonlyMap<string, unknown>, now: ReadonlyMap<string, unknown>): boolean =>
  now.size === before.size && [...now].every(([key, value]) => before.get(key) === value);

function storeOver(
  records: Map<string, StoredRecord>,
  runs: ReadonlyMap<string, Run>,
  complain: Complain,
): RecordStore {
  const values = { get: (key: string) => records.get(key)?.value } as ReadonlyMap<string, unknown>;
  const taskOf = (taskId: string) => values.get(taskKey(taskId)) as Task | undefined;
  const runsOf = (taskId: string) =>
    [...runs.values()]
      .filter(({ spec }) => spec.taskId === taskId)
      .map(
        ({ arn, spec, status }): WatchedRun => ({ nativeId: arn, spec, stopped: status === 'STOPPED', livesOn: false }),
      );
  return {
    get: async (key) => records.get(key),
    async put(key, value, expected) {
      const before = records.get(key);
      const result = judgePut(before, expected);
      if (result.outcome === 'conflict') return result;
      records.set(key, { key, value, revision: result.revision });
      const around = { records: values, complain, pushes: new Set<string>(), firstWords: new Map(), runsOf };
      if (key.startsWith('TASK#')) taskWritten(before?.value as Task | undefined, value as Task, around);
      if (key.startsWith('RUN#')) runWritten(before?.value as RunRecord | undefined, value as RunRecord, complain);
      if (key.startsWith('SLOT#')) slotWritten(before?.value as Slot | undefined, value as Slot, { taskOf, complain });
      return result;
    },
    delete: async (key) => void records.delete(key),
    list: async (prefix) => [...records.values()].filter(({ key }) => key.startsWith(prefix)),
    query: async () => [],
    durable: async () => undefined,
    close: async () => undefined,
  };
}

function backEnd(runs: Map<string, Run>): ComputeBackend {
  return {
    async start(spec) {
      const arn = `arn:aws:ecs:test:0:task/${spec.clientToken}`;
      if (!runs.has(arn)) runs.set(arn, { spec, arn, status: 'PENDING', claims: 'not yet', reported: false });
      return { outcome: 'started', handle: handleOf(arn) };
    },
    // Nothing but an observation proves an end: the run goes when its own move says so.
    async stop(handle) {
      const run = runs.get((handle as EcsHandle).taskArn);
      if (!run) return 'not_found';
      if (run.status === 'STOPPED') return 'already_ended';
      runs.set(run.arn, { ...run, toldToStop: true });
      return 'stopping';
    },
    async ask({ startedBy }) {
      return [...runs.values()]
        .filter(({ spec }) => spec.startedBy === startedBy)
        .flatMap((run) => readEcsTask(detailOf(run)).observation ?? []);
    },
  };
}

const handleOf = (taskArn: string): EcsHandle => ({
  backend: 'ecs',
  taskArn,
  clusterArn: 'c',
  taskDefinitionArn: 'd',
  region: 'test',
});

const detailOf = ({ arn, spec, status, exitCode }: Run) => ({
  taskArn: arn,
  clusterArn: 'c',
  taskDefinitionArn: 'd',
  startedBy: spec.startedBy,
  lastStatus: status,
  desiredStatus: status === 'STOPPED' ? 'STOPPED' : 'RUNNING',
  version: { PENDING: 1, RUNNING: 2, STOPPED: 3 }[status],
  ...(status === 'STOPPED' ? { stopCode: 'EssentialContainerExited' } : {}),
  containers: [{ name: AGENT_CONTAINER, ...(exitCode === undefined ? {} : { exitCode }) }],
});

/** The run changes, and its back end says so. */
function native(state: State, run: Run): State {
  const event = envelope('aws.ecs', 'ECS Task State Change', `${run.arn}#${run.status}`, detailOf(run));
  return {
    ...state,
    runs: new Map(state.runs).set(run.arn, run),
    said: new Map(state.said).set(event.id, event),
  };
}

const agentSays = (type: string, signal: { taskId: string; attempt: number; nativeId: string }, seq: number) => {
  const { taskId, attempt, nativeId } = signal;
  const id = `${nativeId}#${attempt}#${seq}`;
  const metadata = { id, taskId, attempt, correlationId: taskId, causationId: id, occurredAt: at(0), schemaVersion: 1 };
  return envelope('baton.agent', type, id, { metadata, data: { ...signal, seq } });
};

const envelope = (source: string, type: string, id: string, detail: object): Envelope => ({
  version: '0',
  id,
  'detail-type': type,
  source,
  account: '0',
  time: at(0),
  region: 'test',
  resources: [],
  detail,
});

/** Events that differ only in when they were said are one. */
const nameOf = (event: Envelope): string => {
  const { metadata } = event.detail as Partial<BatonEvent['detail']>;
  if (event.source !== 'baton' || !metadata) return event.id;
  return `${metadata.taskId}#${metadata.attempt}#${metadata.version ?? ''}#${event['detail-type']}`;
};

/** Our own facts count once for each attempt: which step said them shows in the history. */
const kindOf = (event: Envelope): string => {
  const { metadata } = event.detail as Partial<BatonEvent['detail']>;
  return event.source === 'baton' && metadata
    ? `${metadata.taskId}#${metadata.attempt}#${event['detail-type']}`
    : event.id;
};

/** What tells one state from another: of times only whether they have come. */
function keyOf(state: State): string {
  const records = [...state.records].map(([key, { value }]) => [key, shapeOf(key, value, state.nowMs)]);
  const runs = [...state.runs.values()].map((run) => [run.arn, run.status, run.claims, run.reported, run.toldToStop]);
  const said = new Set([...state.said.values()].map(kindOf));
  return JSON.stringify([records.sort(byFirst), [...said].sort(), runs.sort(byFirst), state.losses, state.cancels]);
}

const byFirst = (a: unknown[], b: unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);

function shapeOf(key: string, value: unknown, nowMs: number): unknown {
  if (key.startsWith('TASK#')) return shapeOfTask(value as Task, nowMs);
  if (key.startsWith('RUN#')) {
    const { claim, noClaim, closed, report } = value as RunRecord;
    return [claim?.nativeId, noClaim, closed, report?.outcome];
  }
  if (key.startsWith('SLOT#')) {
    const { holders, waiters } = value as Slot;
    const grants = Object.entries(holders).map(([lease, { grant }]) => [lease, grant !== undefined]);
    return [
      grants.sort(byFirst),
      Object.entries(waiters)
        .sort(([, a], [, b]) => a.order - b.order)
        .map(([lease]) => lease),
    ];
  }
  return 'there';
}

function shapeOfTask(task: Task, nowMs: number): unknown {
  const run = runOf(task);
  const due = Object.entries(task.due)
    .filter(([purpose]) => !saysAgain.has(purpose))
    .map(([purpose, when]) => (Date.parse(when) <= nowMs ? `${purpose}!` : purpose));
  return [
    task.status,
    task.version,
    task.attempt,
    'intent' in task ? task.intent : '',
    due.sort(),
    run && [
      run.handle !== undefined,
      run.endedIds,
      run.ended?.proof,
      Math.min(run.stopRequests ?? 0, 1),
      Math.min(run.proofWaits ?? 0, 5),
      run.seen,
    ],
    task.history.map((entry) => entry.transition),
    task.history.at(-1)?.proven,
    isSettled(task),
  ];
}
