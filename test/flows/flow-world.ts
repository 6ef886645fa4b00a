import type { World } from '../../runtime/embedded-world.ts';
import type { ListOptions } from '../../runtime/endpoint/task-desk.ts';
import type { DeadLetter } from '../../runtime/engine/event-bus.ts';
import type { TaskJournal } from '../../runtime/engine/journal.ts';
import type { Interruption } from '../../runtime/engine/local-ecs.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { TaskRequest } from '../../schemas/task-request.ts';
import type { TaskSummary, TaskView } from '../../schemas/task-view.ts';

/** What a story needs of the world that it is told in: what producers and operators may ask, and a few looks inside. */
export interface FlowWorld {
  /** What the runs of this world say who started them, and where; no cluster where ECS is not deployed. */
  readonly stage: string;
  readonly clusterArn: string;
  submit(request: TaskRequest): Promise<TaskView>;
  cancel(taskId: string, reason?: string): Promise<TaskView>;
  view(taskId: string): Promise<TaskView>;
  list(options?: ListOptions): Promise<TaskSummary[]>;
  logPath(taskId: string, attempt?: number): Promise<string>;
  /** Hears every event on every bus. */
  listen(hear: (event: Envelope) => void): () => void;
  /** Takes the machine away under the task's run, as AWS does. False if it does not run. */
  interrupt(taskId: string, how: Interruption): Promise<boolean>;
  /** How many tasks are not settled. */
  unsettled(): number | Promise<number>;
  /** Puts events where their source puts them, as they are. */
  publish(events: readonly Envelope[]): Promise<void>;
  /** Nothing is on its way to a handler. */
  isQuiet(): boolean;
  /** What was ignored about a task, and how many duplicates were absorbed. */
  journal(taskId: string): Promise<TaskJournal>;
  /** Deliveries that were given up. */
  deadLetters(): readonly DeadLetter[];
  /** The events of deliveries that were given up, where an operator finds them. */
  keptLetters(): Promise<readonly Envelope[]>;
  /** What went wrong so far, given up or not: tells why a story did not end as it should. */
  troubles(): readonly string[];
  /** What functions wrote into their logs; a world of one process has none. */
  logged(): readonly string[];
  /** The value of a record. */
  record(key: string): Promise<unknown>;
  /** Records of any kind that handlers write. */
  recordCount(): Promise<number>;
  /** Payloads that are kept. */
  payloadCount(): Promise<number>;
  close(): Promise<void>;
}

/** The embedded world with the same looks inside. */
export type EmbeddedFlowWorld = World & FlowWorld;

/** Records that a test may ever leave behind. */
const RECORDS_MAX = 1_000;

export function embeddedFlowWorld(world: World, deadLetters: () => readonly DeadLetter[]): EmbeddedFlowWorld {
  const { bus, journal, store } = world.engine;
  const records = async (prefix: string) => (await store.list(prefix, { limit: RECORDS_MAX })).map(({ key }) => key);
  return {
    ...world,
    stage: 'local',
    clusterArn: 'arn:aws:ecs:local:000000000000:cluster/baton',
    publish: (events) => bus.publish(events),
    isQuiet: () => bus.pending() === 0,
    journal: (taskId) => journal.read(taskId),
    deadLetters,
    keptLetters: async () => (await bus.deadLetters()).map(({ event }) => event),
    troubles: () => deadLetters().map(({ rule, error }) => `${rule}: ${error.code}: ${error.message}`),
    record: async (key) => (await store.get(key))?.value,
    logged: () => [],
    // What was ignored is kept beside the records.
    recordCount: async () => (await records('')).filter((key) => !key.startsWith('JOURNAL#')).length,
    payloadCount: async () => (await records('PAYLOAD#')).length,
  };
}
