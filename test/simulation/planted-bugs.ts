import { later } from '../../lifecycle/evolve.ts';
import { judgeReport } from '../../lifecycle/judge.ts';
import { isTerminal } from '../../lifecycle/states.ts';
import { nextAttemptAt } from '../../lifecycle/timings.ts';
import type { Ports } from '../../runtime/ports.ts';
import type { Plant } from '../../runtime/simulated-world.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import { leaseOf, type Slot } from '../../schemas/slot.ts';
import { type Rejection, type Task, task as taskSchema } from '../../schemas/task.ts';
import type { PlantedBug } from './planted-bug.ts';
import { definitionBugs } from './planted-definition-bugs.ts';
import { fleetBugs } from './planted-fleet-bugs.ts';
import { sessionBugs } from './planted-session-bugs.ts';

type Wiring = Parameters<NonNullable<Plant['wiring']>>[0];
type WiredPorts = Parameters<NonNullable<Plant['ports']>>[0];
type Reaction = Parameters<NonNullable<Plant['reactions']>>[0][number];

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

/** Changes every task on its way into the store. */
const writingTasks = (change: (task: Task, wiring: Wiring['settings']) => Task): Plant => ({
  wiring: (wiring) =>
    withPut(wiring, (put) => (key, value, expected, index) => {
      const task = value as Task | Rejection;
      const isTask = key.startsWith('TASK#') && task.status !== 'REJECTED';
      return put(key, isTask ? change(task, wiring.settings) : value, expected, index);
    }),
});

/** Worlds in which a run is on ECS unless its request names another back end: for what is rare there already. */
const onEcs: Plant['settings'] = (usual) => ({ ...usual, computes: ['ecs', 'agentcore', 'ec2'] });

/** The event without what says that it is replayed. */
function plain(event: Envelope): Envelope {
  const { 'replay-name': _name, ...rest } = event;
  const { metadata, ...detail } = event.detail as { metadata?: { replayOf?: string } };
  if (!metadata) return rest;
  const { replayOf: _replay, ...kept } = metadata;
  return { ...rest, detail: { ...detail, metadata: kept } };
}

const ungranted = (slot: Slot): Slot => ({
  ...slot,
  holders: Object.fromEntries(
    Object.entries(slot.holders).map(([lease, { grant: _grant, ...holder }]) => [lease, holder]),
  ),
});

/** Holders that an operation threw out come back, unless it gave their own place back or somebody got it. */
const kept = (before: Slot, after: Slot): Slot => ({
  ...after,
  holders:
    Object.keys(after.holders).length < Object.keys(before.holders).length
      ? { ...before.holders, ...after.holders }
      : after.holders,
});

const asIfEnded = <T extends Task | undefined>(task: T): T =>
  task && isTerminal(task) && task.run && !task.run.ended
    ? { ...task, run: { ...task.run, ended: { at: task.endedAt, proof: 'proven' as const } } }
    : task;

/** Mistakes that one could make in the handlers and ports, each put in where it would be made. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'a claim is granted to whoever asks',
    within: 50,
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
    within: 50,
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
    within: 50,
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
    faults: 'cancel,slow-agent,late-alarm',
    plant: reacting(
      undefined,
      (real) =>
        async (...delivery) =>
          (await real.run(...delivery)).filter((event) => event['detail-type'] !== 'SlotGranted'),
    ),
  },
  {
    name: 'a full key answers that the slot is held',
    within: 50,
    plant: porting('admit-task', (ports) => ({
      ...ports,
      slots: { ...ports.slots, take: async (...asked) => ({ ...(await ports.slots.take(...asked)), answer: 'held' }) },
    })),
  },
  {
    name: 'the slot goes back when the task ends, before its compute has ended',
    within: 50,
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
    within: 50,
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
    within: 50,
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
      settings: onEcs,
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
    within: 50,
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
  {
    name: 'a pause keeps its slot',
    within: 100,
    faults: 'rate-limit',
    plant: reacting('return-slot', (real) => async (event, ...rest) => {
      const { paused } = (event as BatonEvent<string, { paused?: boolean }>).detail.data;
      return paused ? [] : real.run(event, ...rest);
    }),
  },
  {
    name: 'a pause moves the deadline',
    within: 50,
    faults: 'rate-limit',
    plant: writingTasks((task) =>
      task.status === 'BACKOFF' && task.resumeAt !== undefined
        ? {
            ...task,
            deadlineAt: later(task.deadlineAt, 3_600),
            due: { ...task.due, deadline: later(task.deadlineAt, 3_600) },
          }
        : task,
    ),
  },
  {
    name: 'a pause uses up an attempt',
    within: 50,
    faults: 'rate-limit',
    plant: writingTasks((task) => {
      const { pauses: _pauses, ...rest } = task;
      return rest as Task;
    }),
  },
  {
    name: 'the wait before an attempt follows from the attempt after it',
    within: 50,
    faults: 'runner-crash,failing-start',
    plant: writingTasks((task, { timings }) =>
      task.status === 'BACKOFF' && task.resumeAt === undefined
        ? {
            ...task,
            due: {
              ...task.due,
              backoff: nextAttemptAt({ ...task, attempt: task.attempt + 1 }, task.history.at(-1)?.at ?? '', timings),
            },
          }
        : task,
    ),
  },
  {
    name: 'an agent that failed by itself is tried again unasked',
    within: 20,
    faults: 'duplicate',
    plant: {
      ports: (ports) => ({
        ...ports,
        tasks: {
          ...ports.tasks,
          decide: (taskId, cause, decision) =>
            ports.tasks.decide(taskId, cause, (task, ...rest) =>
              decision({ ...task, retryAgentFailure: true }, ...rest),
            ),
        },
      }),
    },
  },
  {
    name: 'the first word of an agent is asked of the task, not of the record of its run',
    within: 150,
    faults: 'silent-agent,configuration',
    plant: porting('wake-task', (ports) => ({
      ...ports,
      tasks: {
        ...ports.tasks,
        decide: (taskId, cause, decision) =>
          ports.tasks.decide(taskId, cause, (task, record, moment) => {
            const { firstOutputAt: _said, ...unsaid } = record ?? {};
            return decision(task, record && (unsaid as typeof record), moment);
          }),
      },
    })),
  },
  {
    name: 'the first word of an agent reaches its record by events alone',
    within: 200,
    faults: 'silent-agent,configuration,lose',
    plant: porting('outside', (ports) => ({ ...ports, runs: { ...ports.runs, firstWord: async () => 'kept' } })),
  },
  {
    name: 'the warning of Spot is taken for the end',
    within: 50,
    faults: 'spot',
    plant: reacting('observe-ecs-task', (real) => (event, ...rest) => {
      const detail = event.detail as { desiredStatus?: string; lastStatus: string };
      const lastStatus = detail.desiredStatus === 'STOPPED' ? 'STOPPED' : detail.lastStatus;
      return real.run({ ...event, detail: { ...detail, lastStatus } }, ...rest);
    }),
  },
  {
    name: 'a task that could not be screened passes',
    within: 50,
    faults: 'guardrail',
    plant: {
      reactions: (all) =>
        all.map((one) => {
          if (one.rule.name !== 'screen-task') return one;
          const run: Reaction['run'] = (event, ports, ...rest) => {
            const { screening } = ports as unknown as Pick<Ports, 'screening'>;
            const lenient: Ports['screening'] = {
              async screen(asked) {
                const verdict = await screening.screen(asked);
                return verdict.outcome === 'failed' ? { outcome: 'passed' } : verdict;
              },
            };
            return one.run(event, { ...ports, screening: lenient }, ...rest);
          };
          return { rule: one.rule, run };
        }),
    },
  },
  {
    name: 'admission does not ask whether the request was screened',
    within: 50,
    faults: 'guardrail',
    plant: {
      reactions: (all) =>
        all.map((one) => {
          if (one.rule.name !== 'admit-task') return one;
          const { where: _where, ...rule } = one.rule;
          const run: Reaction['run'] = (event, ports, ...rest) => {
            const { tasks } = ports as unknown as WiredPorts;
            const unasked = (task: Task | undefined) => {
              const { screening: _screening, ...rest } = task ?? {};
              return task && (rest as Task);
            };
            return one.run(
              event,
              { ...ports, tasks: { ...tasks, get: async (id: string) => unasked(await tasks.get(id)) } },
              ...rest,
            );
          };
          return { rule, run };
        }),
    },
  },
  {
    name: 'what a replay leads to is published as news',
    within: 50,
    faults: 'replay,lose,crash',
    plant: reacting(
      undefined,
      (real) =>
        async (...delivery) =>
          (await real.run(...delivery)).map((fact) => {
            const { replayOf: _replay, ...metadata } = fact.detail.metadata;
            return { ...fact, detail: { ...fact.detail, metadata } };
          }),
    ),
  },
  {
    name: 'a replay starts and stops what it tells of',
    within: 50,
    faults: 'replay',
    plant: {
      reactions: (all) => all.map((one) => ({ ...one, run: (event, ...rest) => one.run(plain(event), ...rest) })),
    },
  },
  {
    name: 'a redriven request is handled under a new id',
    within: 400,
    faults: 'crash,redrive',
    plant: reacting(
      'accept-task',
      (real) => (event, ports, world, delivery) =>
        real.run(delivery.tries === 1 ? event : { ...event, id: `${event.id}/redriven` }, ports, world, delivery),
    ),
  },
  {
    name: 'a grant is forgotten when the limit of its key changes',
    within: 50,
    faults: 'changed-limit,crash,lose,configuration',
    plant: {
      wiring: (wiring) => ({
        ...wiring,
        store: {
          ...wiring.store,
          put: async (key, value, expected, index) => {
            if (!slotKeyIn(key) || expected === 'absent') return wiring.store.put(key, value, expected, index);
            const before = (await wiring.store.get(key))?.value as Slot | undefined;
            const next = value as Slot;
            return wiring.store.put(
              key,
              before && before.limit !== next.limit ? ungranted(next) : next,
              expected,
              index,
            );
          },
        },
      }),
    },
  },
  {
    name: 'a write that failed counts as made',
    within: 150,
    faults: 'throttle,lost-answer',
    plant: {
      wiring: (wiring) =>
        withPut(wiring, (put) => async (key, value, expected, index) => {
          try {
            return await put(key, value, expected, index);
          } catch (error) {
            if (!key.startsWith('TASK#')) throw error;
            return { outcome: 'written', revision: 0 };
          }
        }),
    },
  },
  {
    name: 'a write whose answer was lost is made again over what stands there',
    within: 400,
    faults: 'lost-answer,duplicate,reorder',
    plant: {
      wiring: (wiring) =>
        withPut(wiring, (put) => async (key, value, expected, index) => {
          const result = await put(key, value, expected, index);
          return result.outcome === 'conflict' && result.unsure ? put(key, value, 'any', index) : result;
        }),
    },
  },
  {
    name: 'a lease that is stale is never evicted',
    within: 150,
    faults: 'crash,duplicate,cancel,reorder',
    plant: {
      wiring: (wiring, caller) =>
        caller === 'outside'
          ? wiring
          : {
              ...wiring,
              store: {
                ...wiring.store,
                put: async (key, value, expected, index) => {
                  if (!slotKeyIn(key) || expected === 'absent') return wiring.store.put(key, value, expected, index);
                  const before = (await wiring.store.get(key))?.value as Slot | undefined;
                  return wiring.store.put(key, before ? kept(before, value as Slot) : value, expected, index);
                },
              },
            },
    },
  },
  {
    name: 'a task is read from the listing, which lags',
    within: 50,
    faults: 'stale-index,crash,duplicate,reorder',
    plant: {
      wiring: (wiring, caller) =>
        caller === 'admit-task' || caller === 'wake-task'
          ? {
              ...wiring,
              store: {
                ...wiring.store,
                get: async (key) =>
                  key.startsWith('TASK#')
                    ? ((await wiring.store.query({ limit: 1_000 })).find((one) => one.key === key) ?? undefined)
                    : wiring.store.get(key),
              },
            }
          : wiring,
    },
  },
  {
    name: 'a record that is closed takes a report',
    within: 50,
    faults: 'frozen-runner,ignores-stop,lying-agent,cancel',
    plant: {
      ports: (ports, caller) =>
        caller !== 'outside'
          ? ports
          : {
              ...ports,
              runs: {
                ...ports.runs,
                report: async (signal, told) => {
                  const answer = await ports.runs.report(signal, told);
                  return answer === 'fenced' ? 'stored' : answer;
                },
              },
            },
    },
  },
  {
    name: 'a claimant is said to have outlived an attempt that is not over',
    within: 150,
    faults: 'lying-agent',
    plant: porting('announce-orphan', (ports) => ({
      ...ports,
      runs: {
        ...ports.runs,
        async noteOutlived(signal) {
          const noted = await ports.runs.noteOutlived(signal);
          const { claim } = (await ports.runs.get(signal.taskId, signal.attempt)) ?? {};
          return noted ?? (claim?.nativeId === signal.nativeId ? { at: claim.at, before: false } : undefined);
        },
      },
    })),
  },
  {
    name: 'nobody hears of a run that outlived its end',
    within: 50,
    faults: 'lives-on',
    plant: reacting('announce-orphan', () => async () => []),
  },
  {
    name: 'older code writes a record without what newer code had written',
    within: 20,
    faults: 'mixed-code',
    plant: writingTasks((task) => taskSchema.parse(task)),
  },
  ...definitionBugs,
  ...sessionBugs,
  ...fleetBugs,
];

/** A key like that of any other slot, for reading what stands there. */
const slotKeyIn = (key: string): boolean => key.startsWith('SLOT#');

const renamed = (fact: BatonEvent, id: string): BatonEvent => ({
  ...fact,
  id,
  detail: { ...fact.detail, metadata: { ...fact.detail.metadata, id } },
});
