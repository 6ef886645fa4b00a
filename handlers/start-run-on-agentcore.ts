import { startedByOf } from '../lifecycle/ecs-task.ts';
import { ignore, step } from '../lifecycle/move.ts';
import { startRunOnAgentcore as rule } from '../rules/start-run-on-agentcore.ts';
import type { Outcome } from '../runtime/outcome.ts';
import type { PortsOf } from '../runtime/react.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { refusedStart, stopLate } from '../runtime/run-steps.ts';
import type { AgentcoreHandle } from '../schemas/agentcore-session.ts';
import type { BatonEvent } from '../schemas/envelope.ts';
import type { TaskIn } from '../schemas/task.ts';

/**
 * Moves the task to STARTING with the session that its run will have, then starts that session. Twice is harmless: the session follows from
 * the attempt, a container runs one attempt once, and who would run it again after a stop is turned away at the claim. A repeated start
 * names the session that the first did, whatever is configured by then.
 */
export const startRunOnAgentcore = react(rule, async (event, ports, { mayRepeat }) => {
  const { taskId, version } = subject(event);
  const { tasks, agentcore, settings } = ports;
  const outcome = await tasks.decide(taskId, causeOf(event), (task, _record, { at }) => {
    if (task.status !== 'HYDRATED' || task.version !== version) return ignore('task_has_moved_on');
    const startedBy = startedByOf(settings.stage, taskId, task.attempt);
    const handle = agentcore.sessionOf(startedBy);
    return step('start', { run: { attempt: task.attempt, startedBy, dispatchedAt: at, handle } }, []);
  });
  switch (outcome.kind) {
    case 'moved':
      return outcome.task.status === 'STARTING' ? [...(await launch(outcome.task, event, ports)), outcome] : outcome;
    case 'already': {
      // Nobody knows whether the first start was answered; a session that is there says so.
      const repeats = outcome.task.status === 'STARTING' && mayRepeat(outcome);
      return repeats ? [...(await launch(outcome.task, event, ports, true)), outcome] : outcome;
    }
    case 'refused':
    case 'said':
      return outcome;
  }
});

async function launch(
  { taskId, attempt, run, input }: TaskIn<'STARTING'>,
  event: BatonEvent,
  { tasks, agentcore, settings }: PortsOf<'tasks' | 'agentcore' | 'settings'>,
  repeats = false,
): Promise<Outcome[]> {
  const session = run.handle as AgentcoreHandle;
  const started = await agentcore.start({
    taskId,
    attempt,
    startedBy: run.startedBy,
    clientToken: `${taskId}-${attempt}`,
    environment: {
      BATON_TASK_ID: taskId,
      BATON_ATTEMPT: String(attempt),
      BATON_PAYLOAD: input,
      BATON_HEARTBEAT_S: String(settings.timings.HEARTBEAT_S),
    },
    command: [],
    session,
    ...(repeats ? { repeats } : {}),
  });
  if (started.outcome === 'refused') return [await refusedStart(event, { tasks }, attempt, started)];
  const answer = { id: `${causeOf(event).id}#started`, type: 'StartAnswered' };
  const noted = await tasks.decide(taskId, answer, (now) => {
    const works = now.status === 'STARTING' || now.status === 'RUNNING' || now.status === 'FINALIZING';
    return ignore(works && now.attempt === attempt ? 'start_is_known' : 'start_came_late');
  });
  if (noted.kind !== 'refused' || noted.reason !== 'start_came_late') return [];
  return [noted, await stopLate(event, agentcore, session)];
}
