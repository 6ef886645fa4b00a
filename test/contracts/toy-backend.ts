import * as z from 'zod';
import { defineNativeEvent } from '../../events/define.ts';
import { runCheckRequested } from '../../events/run-check-requested.ts';
import { runEnded } from '../../events/run-ended.ts';
import { runExited } from '../../events/run-exited.ts';
import { runStarted } from '../../events/run-started.ts';
import { runStopAnswered } from '../../events/run-stop-answered.ts';
import { runStopRequested } from '../../events/run-stop-requested.ts';
import { taskCompleted } from '../../events/task-completed.ts';
import { taskFailed } from '../../events/task-failed.ts';
import { taskHydrated } from '../../events/task-hydrated.ts';
import { judge, judgeMissing, judgeRefusedStart } from '../../lifecycle/judge.ts';
import { ignore, mark, step } from '../../lifecycle/move.ts';
import { runOf } from '../../lifecycle/states.ts';
import { defineRule } from '../../rules/rule.ts';
import { type Outcome, refused, said } from '../../runtime/outcome.ts';
import type { ComputeBackend, Tasks } from '../../runtime/ports.ts';
import { looseEvent } from '../../runtime/published.ts';
import { causeOf, type Reaction, react, subject } from '../../runtime/react.ts';
import { because } from '../../schemas/reason.ts';
import { nativeIdOf, type RunHandle } from '../../schemas/run-handle.ts';
import { type RunObservation, runObservation } from '../../schemas/run-observation.ts';

/**
 * A back end that Baton does not ship, added from outside: its own native event, its own rules and reactions, its own port `toy`.
 * Nothing that is shipped knows of it. Its handles have the shape that the union of handles has.
 */
export const toyRunChanged = defineNativeEvent({
  type: 'Toy Run Changed',
  source: 'aws.toy',
  summary: 'The toy says that a run changed.',
  schema: z.looseObject({
    id: z.string(),
    of: z.string(),
    number: z.int(),
    state: z.enum(['winding', 'ticking', 'stopped']),
    how: z.enum(['by_itself', 'broken', 'never_wound', 'switched_off']).optional(),
    code: z.int().optional(),
    handle: runObservation.shape.handle,
  }),
});
type ToyDetail = z.infer<typeof toyRunChanged.schema>;

const where = { data: { compute: ['toy'] } } as const;
const judged = [runStarted, runExited, runEnded, runStopRequested, taskCompleted, taskFailed];

const startOnToy = defineRule({
  name: 'start-run-on-toy',
  summary: 'Winds up the toy.',
  on: [taskHydrated],
  where,
  emits: [runEnded],
  uses: ['tasks', 'toy'],
  kind: 'effect',
});
const observeToy = defineRule({
  name: 'observe-toy',
  summary: 'Judges what the toy says.',
  on: [toyRunChanged],
  where: { of: [{ prefix: 'toy/' }] },
  emits: judged,
  uses: ['tasks'],
  kind: 'state',
});
const stopOnToy = defineRule({
  name: 'stop-run-on-toy',
  summary: 'Switches the toy off.',
  on: [runStopRequested],
  where,
  emits: [runStopAnswered, ...judged],
  uses: ['tasks', 'toy'],
  kind: 'effect',
});
const checkOnToy = defineRule({
  name: 'check-run-on-toy',
  summary: 'Looks whether the toy still ticks.',
  on: [runCheckRequested],
  where,
  emits: judged,
  uses: ['tasks', 'toy'],
  kind: 'effect',
});

const nameOf = (taskId: string, attempt: number): string => `toy/${taskId}/${attempt}`;

export const toyReactions: readonly Reaction[] = [
  react(startOnToy, async (event, ports) => {
    const { taskId, version } = subject(event);
    const cause = causeOf(event);
    const outcome = await ports.tasks.decide(taskId, cause, (task, _record, { at }) => {
      if (task.status !== 'HYDRATED' || task.version !== version) return ignore('task_has_moved_on');
      const run = { attempt: task.attempt, startedBy: nameOf(taskId, task.attempt), dispatchedAt: at };
      return step('start', { run }, []);
    });
    if (outcome.kind !== 'moved' || outcome.task.status !== 'STARTING') return outcome;
    const { attempt, run, input } = outcome.task;
    const started = await toyOf(ports).start({
      taskId,
      attempt,
      startedBy: run.startedBy,
      clientToken: `${taskId}-${attempt}`,
      environment: { BATON_TASK_ID: taskId, BATON_ATTEMPT: String(attempt), BATON_PAYLOAD: input },
      command: ['run'],
    });
    if (started.outcome === 'refused') {
      const refusal = { id: `${cause.id}#refused`, type: 'StartRefused' };
      return [
        outcome,
        await ports.tasks.decide(taskId, refusal, (now, record, { at }) =>
          judgeRefusedStart(now, record, { attempt, at, reason: started.reason }),
        ),
      ];
    }
    const arrival = { id: `${cause.id}#handle`, type: 'HandleArrived' };
    await ports.tasks.decide(taskId, arrival, (now) =>
      now.status === 'STARTING' ? mark({ run: { ...now.run, handle: started.handle } }) : ignore('handle_came_late'),
    );
    return outcome;
  }),

  react(observeToy, async (event, { tasks }) => {
    const seen = readToy(event.detail);
    const cause = { id: `${event.detail.id}#${event.detail.number}`, type: event['detail-type'] };
    return tasks.decide(seen.taskId, cause, (task, record, { at }) => judge(task, record, seen, at));
  }),

  react(stopOnToy, async (event, ports) => {
    const { taskId, attempt, correlationId } = subject(event);
    const { handle, reason, compute } = event.detail.data;
    const cause = causeOf(event);
    const task = await ports.tasks.get(taskId);
    if (!task) return refused('unknown_task');
    const known = handle ?? runOf(task)?.handle;
    if (!known) return refused('no_run_is_expected');
    const outcome = await toyOf(ports).stop(known, reason.message);
    const fact = runStopAnswered.of({ compute, outcome, nativeId: nativeIdOf(known) });
    const about = {
      id: `${cause.id}#${nativeIdOf(known)}#RunStopAnswered`,
      taskId,
      cause,
      correlationId,
      at: event.time,
    };
    const told: Outcome[] = [said([looseEvent(fact, about)])];
    if (outcome !== 'stopping') told.push(...(await ask(ports, taskId, attempt, cause.id, known)));
    return told;
  }),

  react(checkOnToy, async (event, ports) => {
    const { taskId, attempt } = subject(event);
    const task = await ports.tasks.get(taskId);
    return ask(ports, taskId, attempt, causeOf(event).id, task && runOf(task)?.handle);
  }),
];

interface Needs {
  readonly tasks: Tasks;
  readonly toy: unknown;
}

/** The port from outside, as its own reactions know it. */
const toyOf = ({ toy }: { readonly toy: unknown }): ComputeBackend => toy as ComputeBackend;

async function ask(
  ports: Needs,
  taskId: string,
  attempt: number,
  causeId: string,
  handle?: RunHandle,
): Promise<Outcome[]> {
  const found = await toyOf(ports).ask({ startedBy: nameOf(taskId, attempt), ...(handle ? { handle } : {}) });
  const outcomes: Outcome[] = [];
  for (const one of found) {
    const cause = { id: `${causeId}#${one.nativeId}#${one.phase}`, type: 'RunAsked' };
    outcomes.push(await ports.tasks.decide(taskId, cause, (now, record, { at }) => judge(now, record, one, at)));
  }
  if (found.length > 0) return outcomes;
  const cause = { id: `${causeId}#missing`, type: 'RunAsked' };
  return [
    await ports.tasks.decide(taskId, cause, (now, record, { at, timings }) =>
      judgeMissing(now, record, { attempt: now.attempt, at, startMissingSeconds: timings.START_MISSING_S }),
    ),
  ];
}

const phases = { winding: 'starting', ticking: 'running', stopped: 'ended' } as const;
const ends = {
  by_itself: { kind: 'exited', reason: because('runner_failed', 'It ran down.') },
  broken: { kind: 'lost', reason: because('host_lost', 'A spring broke.') },
  never_wound: { kind: 'lost', reason: because('never_started', 'Nobody wound it up.') },
  switched_off: { kind: 'stopped', reason: because('stopped_outside', 'Somebody switched it off.') },
} as const;

function readToy(detail: ToyDetail): RunObservation {
  const [, taskId = '', attempt = ''] = detail.of.split('/');
  const phase = phases[detail.state];
  return {
    taskId,
    attempt: Number(attempt),
    nativeId: detail.id,
    handle: detail.handle,
    sequence: detail.number,
    phase,
    ...(phase === 'ended'
      ? { end: { ...ends[detail.how ?? 'broken'], ...(detail.code === undefined ? {} : { exitCode: detail.code }) } }
      : {}),
  };
}
