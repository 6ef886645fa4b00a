import { judgeReport } from '../../lifecycle/judge.ts';
import { isTerminal } from '../../lifecycle/states.ts';
import type { Plant } from '../../runtime/simulated-world.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { leaseOf } from '../../schemas/slot.ts';
import type { Task } from '../../schemas/task.ts';

type Wiring = Parameters<NonNullable<Plant['wiring']>>[0];
type WiredPorts = Parameters<NonNullable<Plant['ports']>>[0];
type Reaction = Parameters<NonNullable<Plant['reactions']>>[0][number];

export interface PlantedBug {
  /** What is wrong, as one would find it in a review. */
  readonly name: string;
  /** Within how many seeds (from 1, four tasks) it must be found. */
  readonly within: number;
  /** Where some faults make it likelier; default all. */
  readonly faults?: string;
  readonly plant: Plant;
}

/** A store whose puts are changed on their way. */
const withPut = (wiring: Wiring, put: (real: Wiring['store']['put']) => Wiring['store']['put']): Wiring => ({
  ...wiring,
  store: { ...wiring.store, put: put(wiring.store.put) },
});

/** Changes the reaction of one rule, or of all. */
const reacting = (rule: string | undefined, change: (real: Reaction) => Reaction['run']): Plant => ({
  reactions: (all) => all.map((one) => (!rule || one.rule.name === rule ? { rule: one.rule, run: change(one) } : one)),
});

/** Changes the ports of one rule. */
const porting = (rule: string, change: (ports: WiredPorts) => WiredPorts): Plant => ({
  ports: (ports, caller) => (caller === rule ? change(ports) : ports),
});

const asIfEnded = <T extends Task | undefined>(task: T): T =>
  task && isTerminal(task) && task.run && !task.run.ended
    ? { ...task, run: { ...task.run, ended: { at: task.endedAt, proof: 'proven' as const } } }
    : task;

/** Mistakes that one could make in the handlers and ports, each put in where it would be made. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'a claim is granted to whoever asks',
    within: 20,
    plant: {
      ports: (ports) => ({
        ...ports,
        runs: {
          ...ports.runs,
          claim: async (signal) => ((await ports.runs.claim(signal)) === 'fenced' ? 'claimed' : 'already'),
        },
      }),
    },
  },
  {
    name: 'the run record of an attempt that is over is never closed',
    within: 20,
    plant: {
      wiring: (wiring) =>
        withPut(wiring, (put) => (key, value, expected, index) => {
          if (!key.startsWith('RUN#')) return put(key, value, expected, index);
          const { closed: _closed, ...open } = value as { closed?: boolean };
          return put(key, open, expected, index);
        }),
    },
  },
  {
    name: 'a write that lost a race counts as done, and its facts are published',
    within: 20,
    plant: {
      wiring: (wiring) =>
        withPut(wiring, (put) => async (key, value, expected, index) => {
          const result = await put(key, value, expected, index);
          const isLost = key.startsWith('TASK#') && result.outcome === 'conflict' && expected !== 'absent';
          return isLost ? { outcome: 'written', revision: 0 } : result;
        }),
    },
  },
  {
    name: 'accepting writes over the task that stands under the id',
    within: 20,
    plant: {
      wiring: (wiring) =>
        withPut(
          wiring,
          (put) => (key, value, expected, index) =>
            put(key, value, key.startsWith('TASK#') && expected === 'absent' ? 'any' : expected, index),
        ),
    },
  },
  {
    name: 'a wake-up does not set its successor',
    within: 20,
    plant: {
      wiring: (wiring, caller) =>
        caller === 'wake-task' ? { ...wiring, alarms: { arm: async () => undefined } } : wiring,
    },
  },
  {
    name: 'the alarm is set after the write',
    within: 50,
    plant: {
      wiring: (wiring) => {
        let due: Parameters<Wiring['alarms']['arm']> | undefined;
        const set = withPut(wiring, (put) => async (key, value, expected, index) => {
          const result = await put(key, value, expected, index);
          const now = due;
          due = undefined;
          if (key.startsWith('TASK#') && now) await wiring.alarms.arm(...now);
          return result;
        });
        return {
          ...set,
          alarms: {
            arm: async (...asked) => {
              due = asked;
            },
          },
        };
      },
    },
  },
  {
    name: 'who is promoted is never told',
    within: 50,
    plant: reacting(
      undefined,
      (real) =>
        async (...delivery) =>
          (await real.run(...delivery)).filter((event) => event['detail-type'] !== 'SlotGranted'),
    ),
  },
  {
    name: 'a full key answers that the slot is held',
    within: 20,
    plant: porting('admit-task', (ports) => ({
      ...ports,
      slots: { ...ports.slots, take: async (...asked) => ({ ...(await ports.slots.take(...asked)), answer: 'held' }) },
    })),
  },
  {
    name: 'the slot goes back when the task ends, before its compute has ended',
    within: 20,
    plant: reacting('settle-task', (real) => async (event, ports, ...rest) => {
      const { taskId, attempt } = (event as BatonEvent).detail.metadata;
      const { tasks, slots } = ports as unknown as WiredPorts;
      const task = await tasks.get(taskId ?? '');
      if (task) await slots.release(task.slotKey, leaseOf(task.taskId, attempt ?? 1), { id: 'early', type: 'early' });
      return real.run(event, ports, ...rest);
    }),
  },
  {
    name: 'a task settles without proof that its compute has ended',
    within: 20,
    plant: porting('settle-task', (ports) => ({
      ...ports,
      tasks: {
        ...ports.tasks,
        get: async (taskId) => asIfEnded(await ports.tasks.get(taskId)),
        decide: (taskId, cause, decision) =>
          ports.tasks.decide(taskId, cause, (task, ...rest) => decision(asIfEnded(task), ...rest)),
      },
    })),
  },
  {
    name: 'a report is believed as the event tells it, without the record',
    within: 20,
    plant: porting('judge-report', (ports) => ({
      ...ports,
      tasks: {
        ...ports.tasks,
        decide: (taskId, cause) =>
          ports.tasks.decide(taskId, cause, (task, record, { at }) =>
            judgeReport(
              task,
              record?.report && { ...record, report: { ...record.report, outcome: 'succeeded' as const } },
              at,
              'report',
            ),
          ),
      },
    })),
  },
  {
    name: 'a run that does not show yet counts as gone',
    within: 400,
    faults: 'delay,cancel,reorder',
    plant: {
      wiring: (wiring) => ({
        ...wiring,
        settings: { ...wiring.settings, timings: { ...wiring.settings.timings, START_MISSING_S: 0 } },
      }),
    },
  },
  {
    name: 'a run that was given up is not reported',
    within: 50,
    plant: reacting(
      undefined,
      (real) =>
        async (...delivery) =>
          (await real.run(...delivery)).filter((event) => event['detail-type'] !== 'RunOrphaned'),
    ),
  },
  {
    name: 'a fact gets a new id when it is published again',
    within: 50,
    plant: reacting(undefined, (real) => async (event, ports, world, delivery) => {
      const facts = await real.run(event, ports, world, delivery);
      return delivery.tries === 1 ? facts : facts.map((fact) => renamed(fact, `${fact.id}/${delivery.tries}`));
    }),
  },
  {
    name: 'the input of a run outlives its task',
    within: 50,
    plant: { ports: (ports) => ({ ...ports, payloads: { ...ports.payloads, delete: async () => undefined } }) },
  },
  {
    name: 'nobody says again what has no proof',
    within: 400,
    plant: reacting(undefined, (real) => async (event, ports, world, delivery) => {
      const isAlarm = event['detail-type'] === 'AlarmRang';
      const facts = await real.run(
        event,
        ports,
        { ...world, republishAgeSeconds: () => Infinity },
        { ...delivery, tries: 1 },
      );
      return isAlarm ? facts.filter((fact) => fact.time >= event.time) : facts;
    }),
  },
];

const renamed = (fact: BatonEvent, id: string): BatonEvent => ({
  ...fact,
  id,
  detail: { ...fact.detail, metadata: { ...fact.detail.metadata, id } },
});
