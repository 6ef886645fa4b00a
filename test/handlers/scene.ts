import { awsFleetWaits } from '../../lifecycle/worker.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { standInScreening } from '../../runtime/engine/stand-in-screening.ts';
import { fleetBackend } from '../../runtime/fleet-backend.ts';
import { payloadsOver } from '../../runtime/payloads.ts';
import type { Contexts, Ports, Settings } from '../../runtime/ports.ts';
import { entryEvents } from '../../runtime/published.ts';
import type { Reaction } from '../../runtime/react.ts';
import { runKey, slotKey, taskKey } from '../../runtime/records.ts';
import { configurationsOver, limitsOver, repositoriesOver } from '../../runtime/repositories.ts';
import { runsOver } from '../../runtime/runs.ts';
import { livesOver, sessionBackend } from '../../runtime/session-backend.ts';
import { slotsOver } from '../../runtime/slots.ts';
import { tasksOver } from '../../runtime/tasks.ts';
import { webhooksOver } from '../../runtime/webhooks.ts';
import { placesOver, workersOver } from '../../runtime/workers.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Slot } from '../../schemas/slot.ts';
import type { Task } from '../../schemas/task.ts';
import { aSession, aTaskId, at, testTimings } from '../builders.ts';
import { commandsTwin } from '../commands-twin.ts';
import { computeTwin } from '../compute-twin.ts';
import { definitionsTwin } from '../definitions-twin.ts';
import { machinesTwin } from '../machines-twin.ts';
import { sessionServiceTwin } from '../sessions-twin.ts';

/** A handler's world: the real ports over memory, a clock that the test moves, and a back end that records. */
export function aScene(options: { limit?: number; settings?: Partial<Settings> } = {}) {
  let seconds = 0;
  let limit = options.limit ?? 1;
  const store = memoryStore({ freezeValues: true });
  const clock = { now: () => at(seconds) };
  const armed: string[] = [];
  const ignored: string[] = [];
  const machines = machinesTwin();
  const warnings: { message: string; cause: unknown }[] = [];
  let duplicates = 0;
  const alarms = {
    arm: async (_taskId: string, when: string) => {
      armed.push(when);
    },
  };
  const settings: Settings = {
    stage: 'test',
    timings: testTimings,
    defaultAgentCommand: 'default-agent',
    agentCommandAllowed: true,
    screening: 'off',
    computes: ['ecs'],
    fleets: ['main'],
    slotKeyOf: ({ userId }) => `user:${userId}`,
    ...options.settings,
  };
  const runs = runsOver({ store, clock, secret: () => 'secret' });
  const tasks = tasksOver({ store, alarms, runs, clock, timings: () => testTimings });
  const repositories = repositoriesOver({ store });
  const configurations = configurationsOver({ store });
  const workers = workersOver({ store, clock, waits: awsFleetWaits });
  const limitOf = placesOver(
    workers,
    limitsOver(repositories, () => limit),
  );
  const slots = slotsOver({ store, tasks, clock, limitOf });
  const payloads = payloadsOver({ store, secret: () => 'secret' });
  const compute = computeTwin();
  const sessions = sessionServiceTwin();
  const { runtimeArn, qualifier } = aSession();
  const commands = commandsTwin(clock.now);
  const ec2 = fleetBackend({
    workers,
    commands: commands.service,
    machines: machines.machines,
    clock,
    waits: awsFleetWaits,
    region: 'eu-west-1',
    warn: (message, cause) => void warnings.push({ message, cause }),
  });
  const definitions = definitionsTwin();
  const webhooks = webhooksOver({ allowed: 'local' });
  const ports: Ports = {
    tasks,
    slots,
    workers,
    runs,
    payloads,
    repositories,
    configurations,
    settings,
    clock,
    webhooks,
    agentcore: sessionBackend({
      sessions: sessions.service,
      runtimeArn,
      qualifier,
      lifeOf: livesOver({ tasks, runs, clock, timings: () => testTimings }),
    }),
    ecs: compute.backend,
    ec2,
    machines: machines.machines,
    definitions: definitions.definitions,
    screening: standInScreening,
    contexts: noContexts,
  };
  const named: Readonly<Record<string, unknown>> = { ...ports };
  const world = {
    now: clock.now,
    republishAgeSeconds: () => testTimings.REPUBLISH_AGE_S,
    journal: {
      ignored: (_taskId: string, _cause: unknown, reason: string) => void ignored.push(reason),
      duplicate: () => void duplicates++,
    },
  };

  return {
    ...ports,
    runs,
    compute,
    sessions,
    commands,
    /** What Auto Scaling was asked, and how its machines stand. */
    scaling: machines,
    /** What the fleet's back end found strange. */
    warnings,
    taskDefinitions: definitions,
    armed,
    ignored,
    duplicates: () => duplicates,
    /** Moves the clock. */
    pass(by: number) {
      seconds += by;
    },
    setLimit(to: number) {
      limit = to;
    },

    /** One delivery; answers what is published. `instead` puts something between the handler and a port. */
    async deliver(
      reaction: Reaction,
      event: Envelope,
      { tries = 1, instead = {} }: { tries?: number; instead?: Partial<Ports> } = {},
    ): Promise<readonly BatonEvent[]> {
      const all: Readonly<Record<string, unknown>> = { ...named, ...instead };
      const own = Object.fromEntries(reaction.rule.uses.map((name) => [name, all[name]]));
      return reaction.run(event, own, world, { tries });
    },

    /** The same event three times, as a bus that delivers at least once may do; answers the detail-types of each. */
    async thrice(reaction: Reaction, event: Envelope): Promise<string[][]> {
      const told: string[][] = [];
      for (let n = 0; n < 3; n++) told.push(typesOf(await this.deliver(reaction, event)));
      return told;
    },

    /** Puts a task there as if its transitions had been made, with its alarm set for the earliest due date. */
    async has<T extends Task>(task: T): Promise<T> {
      const open = !('settledAt' in task && task.settledAt);
      await store.put(taskKey(task.taskId), task, 'any', { by: task.userId, at: task.submittedAt, open });
      return task;
    },
    async hasRun(record: RunRecord): Promise<RunRecord> {
      await store.put(runKey(record.taskId, record.attempt), record, 'any');
      return record;
    },
    task: async (taskId: string = aTaskId()) => tasks.get(taskId),
    record: async (attempt = 1, taskId: string = aTaskId()) => runs.get(taskId, attempt),
    slot: async (key = 'user:ada'): Promise<Slot | undefined> => (await store.get(slotKey(key)))?.value as Slot,
    store,
  };
}

/** Nothing can be fetched. */
const noContexts: Contexts = { fetch: async () => ({ outcome: 'unavailable', message: 'There is no such thing.' }) };

/** What a delivery published, by detail-type. */
export const typesOf = (events: readonly BatonEvent[]): string[] => events.map((event) => event['detail-type']);

/** The driving event of a task's latest entry: what the bus would deliver next. */
export function latestEvent(task: Task): BatonEvent {
  const entry = task.history.at(-1);
  const event = entry && entryEvents(task, entry).at(-1);
  if (!event) throw new Error(`the latest entry of ${task.taskId} says nothing`);
  return event;
}

/** Holders and waiters of a key, by lease. */
export const leasesOf = (slot: Slot | undefined) => ({
  holders: Object.keys(slot?.holders ?? {}),
  waiters: Object.keys(slot?.waiters ?? {}),
});
