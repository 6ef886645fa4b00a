import { later } from '../../lifecycle/evolve.ts';
import { beats, lookAtLife } from '../../lifecycle/life-signs.ts';
import { isTerminal, runOf } from '../../lifecycle/states.ts';
import { awsTimings } from '../../lifecycle/timings.ts';
import { ComputeError } from '../../runtime/errors.ts';
import type { AgentcoreBackend } from '../../runtime/ports.ts';
import { SessionTrouble } from '../../runtime/session-backend.ts';
import type { Plant } from '../../runtime/simulated-world.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Rejection, Task, TaskRun } from '../../schemas/task.ts';
import type { PlantedBug } from './planted-bug.ts';

type WiredPorts = Parameters<NonNullable<Plant['ports']>>[0];
type Under = Parameters<NonNullable<Plant['sessions']>>[0];

/** Changes what a wake-up sees of a task whose runner beats, and of the record of its run. */
const lookingAt = (
  change: (
    task: Task,
    run: TaskRun,
    record: RunRecord | undefined,
  ) => { readonly task?: Task; readonly record?: RunRecord | undefined },
): Plant => ({
  ports: (ports, caller) =>
    caller !== 'wake-task'
      ? ports
      : {
          ...ports,
          tasks: {
            ...ports.tasks,
            decide: (taskId, cause, decision) =>
              ports.tasks.decide(taskId, cause, (task, record, moment) => {
                const run = runOf(task);
                const seen = run && beats(task) ? { task, record, ...change(task, run, record) } : { task, record };
                return decision(seen.task, seen.record, moment);
              }),
          },
        },
});

/** Changes what tasks have due on their way into the store. */
const writingDue = (change: (task: Task) => Task['due']): Plant => ({
  wiring: (wiring) => ({
    ...wiring,
    store: {
      ...wiring.store,
      put: (key, value, expected, index) => {
        const task = value as Task | Rejection;
        const isTask = key.startsWith('TASK#') && task.status !== 'REJECTED';
        return wiring.store.put(key, isTask ? { ...task, due: change(task) } : value, expected, index);
      },
    },
  }),
});

/** Changes what is asked of sessions, and what is answered. */
const asking = (change: (under: Under) => Partial<Under['sessions']>): Plant => ({
  sessions: (under) => ({ ...under, sessions: { ...under.sessions, ...change(under) } }),
});

/** What the run looks like whose signs are these since a time, for more looks than silence needs. */
function seenSince(run: TaskRun, record: RunRecord, at: string): TaskRun {
  const { seen } = lookAtLife({ dispatchedAt: run.dispatchedAt }, record, at, awsTimings);
  return { ...run, life: { ...seen, looks: 100 } };
}

/** What a start sees of its back end. */
const starting = (change: (real: AgentcoreBackend) => Partial<AgentcoreBackend>): Plant => ({
  reactions: (all) =>
    all.map((one) => {
      if (one.rule.name !== 'start-run-on-agentcore') return one;
      const run: typeof one.run = (event, ports, ...rest) => {
        const { agentcore } = ports as unknown as { agentcore: AgentcoreBackend };
        return one.run(event, { ...ports, agentcore: { ...agentcore, ...change(agentcore) } }, ...rest);
      };
      return { rule: one.rule, run };
    }),
});

/** Mistakes that one could make where runs are known by their signs of life alone. */
export const sessionBugs: readonly PlantedBug[] = [
  {
    name: 'a claim counts again for another container of the same session',
    within: 150,
    faults: 'session-again,silent-death',
    plant: {
      ports: (ports, caller) =>
        caller !== 'outside'
          ? ports
          : {
              ...ports,
              runs: {
                ...ports.runs,
                async claim(signal) {
                  const answer = await ports.runs.claim(signal);
                  return answer === 'already' ? 'claimed' : answer;
                },
              },
            },
    },
  },
  {
    name: 'the silence of a run is measured by its own clock',
    within: 50,
    faults: 'clock-skew',
    plant: lookingAt((task, run, record) =>
      record?.claim ? { task: withRun(task, seenSince(run, record, record.heartbeatAt ?? record.claim.at)) } : {},
    ),
  },
  {
    name: 'a beat is not looked for',
    within: 50,
    faults: 'clock-skew',
    plant: lookingAt((_task, _run, record) => {
      const { heartbeatAt: _beat, ...rest } = record ?? {};
      return { record: record && (rest as RunRecord) };
    }),
  },
  {
    name: 'silence is judged before anybody has claimed',
    within: 150,
    faults: 'frozen-runner',
    plant: lookingAt((task, run, record) => {
      if (!record || record.claim || task.status !== 'STARTING') return {};
      const claimed = { ...record, claim: { nativeId: run.startedBy, at: run.dispatchedAt } };
      const seen = seenSince(run, claimed, run.dispatchedAt);
      return { task: { ...task, status: 'RUNNING', run: seen }, record: claimed };
    }),
  },
  {
    name: 'a run that nobody has claimed counts as alive',
    within: 50,
    faults: 'frozen-runner',
    plant: lookingAt((_task, run, record) =>
      record && !record.claim
        ? { record: { ...record, claim: { nativeId: run.startedBy, at: run.dispatchedAt } } }
        : {},
    ),
  },
  {
    name: 'nobody looks again after the first look',
    within: 50,
    faults: 'silent-death',
    plant: writingDue((task) => {
      const { life: _look, ...due } = task.due;
      return runOf(task)?.life ? due : task.due;
    }),
  },
  {
    name: 'a run on ECS is looked at for life',
    within: 20,
    plant: writingDue((task) =>
      task.status === 'RUNNING' && !beats(task) ? { ...task.due, life: later(task.deadlineAt, 1) } : task.due,
    ),
  },
  {
    name: 'a session is left to its time-out when its task has ended',
    within: 50,
    faults: 'clock-skew',
    plant: writingDue((task) => {
      const { exit: _exit, ...due } = task.due;
      return isTerminal(task) && beats(task) ? due : task.due;
    }),
  },
  {
    name: 'a session that was told to stop counts as gone',
    within: 50,
    faults: 'cancel',
    plant: asking(({ sessions }) => ({
      async stop(session) {
        await sessions.stop(session).catch(() => undefined);
        throw new SessionTrouble('gone', new ComputeError('compute_invalid', 'It was told to stop.'));
      },
    })),
  },
  {
    name: 'a session that is not there is no proof that it is gone',
    within: 50,
    faults: 'clock-skew',
    plant: asking(({ sessions }) => ({
      stop: (session) =>
        sessions.stop(session).catch((error: unknown) => {
          if (!(error instanceof SessionTrouble && error.fault === 'gone')) throw error;
        }),
    })),
  },
  {
    name: 'a stop goes to the runtime that is configured by then',
    within: 100,
    faults: 'new-base,slow-agent',
    plant: asking(({ sessions, runtimeArn }) => ({ stop: (session) => sessions.stop({ ...session, runtimeArn }) })),
  },
  {
    name: 'a start that comes again starts, whatever its task does by then',
    within: 50,
    faults: 'duplicate',
    plant: {
      reactions: (all) =>
        all.map((one) => {
          if (one.rule.name !== 'start-run-on-agentcore') return one;
          const run: typeof one.run = async (event, ports, world, delivery) => {
            const { tasks, agentcore } = ports as unknown as WiredPorts & { agentcore: AgentcoreBackend };
            const { taskId, attempt } = (event as BatonEvent).detail.metadata;
            const task = await tasks.get(taskId ?? '');
            const handle = task && runOf(task)?.handle;
            if (handle?.backend === 'agentcore')
              await agentcore.start({
                taskId: taskId ?? '',
                attempt: attempt ?? 1,
                startedBy: '',
                clientToken: '',
                environment: {},
                command: [],
                session: handle,
              });
            return one.run(event, ports, world, delivery);
          };
          return { rule: one.rule, run };
        }),
    },
  },
  {
    name: 'a refusal counts although an earlier try may have gone through',
    within: 500,
    faults: 'late-handle',
    plant: asking(({ sessions }) => ({
      invoke: (session, payload) =>
        sessions.invoke(session, payload).catch((error: unknown) => {
          throw error instanceof SessionTrouble ? new SessionTrouble(error.fault, error.error) : error;
        }),
    })),
  },
  {
    name: 'what a strange image left behind counts as never started',
    within: 100,
    faults: 'unknown-status',
    plant: starting((real) => ({
      async start(run) {
        const answer = await real.start(run);
        if (answer.outcome !== 'refused') return answer;
        const { isLeft: _left, ...over } = answer;
        return over;
      },
    })),
  },
  {
    name: 'no room for a session uses up an attempt',
    within: 50,
    faults: 'no-capacity',
    plant: starting((real) => ({
      async start(run) {
        const answer = await real.start(run);
        return answer.outcome === 'refused' ? { outcome: 'refused', reason: answer.reason } : answer;
      },
    })),
  },
];

const withRun = (task: Task, run: TaskRun): Task => ({ ...task, run }) as Task;
