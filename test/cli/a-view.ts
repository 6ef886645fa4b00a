import { type TaskView, taskView } from '../../schemas/task-view.ts';

export const BEGAN = '2031-05-01T12:00:00.000Z';
/** A time after the task of `aView` was submitted. */
export const later = (ms: number): string => new Date(Date.parse(BEGAN) + ms).toISOString();

type Step = TaskView['history'][number];

/** Steps through these states, a second apart, each caused by an event named after it. */
export const stepsTo = (...through: Step['to'][]): Step[] =>
  through.map((to, at) => ({
    transition: 'step',
    from: through[at - 1] ?? null,
    to,
    at: later(at * 1000),
    version: at + 1,
    attempt: 1,
    cause: { id: `cause-${at + 1}`, type: `CauseOf${to}` },
    facts: [{ id: `fact-${at + 1}`, type: `Fact${to}` }],
  }));

/** A running task; its status and version follow from its history. */
export function aView(fields: Partial<TaskView> = {}): TaskView {
  const history = fields.history ?? stepsTo('SUBMITTED', 'ADMITTED', 'RUNNING');
  const last = history.at(-1);
  return taskView.parse({
    taskId: 't0123456789abcdefghjkmnpq',
    status: last?.to,
    settled: false,
    attempt: 1,
    attempts: 3,
    version: last?.version,
    compute: 'ecs',
    repository: '/home/somebody/repo',
    userId: 'local',
    due: { deadline: later(3_600_000) },
    submittedAt: BEGAN,
    deadlineAt: later(3_600_000),
    slot: 'user:local',
    priority: 0,
    duplicates: 0,
    ignored: [],
    ...fields,
    history,
  });
}
