import { dueText } from '../lifecycle/due-words.ts';
import { USER_DEFAULT } from '../runtime/task-id.ts';
import { adviceOn } from '../schemas/reason.ts';
import type { DuePurpose } from '../schemas/task.ts';
import type { TaskView } from '../schemas/task-view.ts';
import { relativeTime } from './duration.ts';
import { placesText, placeText, runNameText } from './fleet-text.ts';
import { type Paint, paintStatus, shown } from './paint.ts';
import { attemptText, isOver, lifeOf, resultText, stateAgeOf, stayIn, stepLine } from './timeline.ts';

/** What only a world on this machine can tell of a task. */
interface Here {
  /** What became of work that was not saved. */
  readonly unsaved?: string | undefined;
  /** Log of its run. */
  readonly log?: string | undefined;
}

/** All that is known about a task, for a person: state, reason and remedy, result or `unsaved` work, what is due, timeline. */
export function taskText(view: TaskView, nowMs: number, paint: Paint, here: Here = {}): string[] {
  return [
    `${paint.bold(view.taskId)}  ${paintStatus(view.status, paint)}${standing(view, nowMs)}`,
    '',
    ...facts(view, nowMs, here).map(([name, value]) => `  ${paint.dim(name.padEnd(12))}${value}`),
    '',
    ...view.history.map((step) => {
      const stay = stayIn(view, step);
      return `${stepLine(view, step, paint)}${stay === undefined ? '' : paint.dim(`, ${stay}`)}`;
    }),
    ...ignored(view, paint),
  ];
}

function standing(view: TaskView, nowMs: number): string {
  if (!isOver(view)) return ` for ${stateAgeOf(view, nowMs)}`;
  return ` after ${lifeOf(view, nowMs)}${view.settled ? '' : ', not settled yet'}`;
}

function facts(view: TaskView, nowMs: number, { unsaved, log }: Here): [string, string][] {
  const rows: [string, string | undefined][] = [
    ['repository', `${shown(view.repository)}${view.baseBranch ? ` (${view.baseBranch})` : ''}`],
    ['user', view.userId === USER_DEFAULT ? undefined : shown(view.userId)],
    ['reason', view.reason && `${view.reason.code}: ${shown(view.reason.message)}`],
    ['what to do', view.reason && adviceOn(view.reason, isOver(view))],
    ['result', view.result && resultText(view.result, view.savedWork)],
    ['saved work', view.savedWork ? `${view.savedWork.branch} at ${view.savedWork.commit.slice(0, 12)}` : unsaved],
    [
      view.progress?.by === 'runner' ? 'runner says' : 'agent says',
      view.progress && !isOver(view) ? shown(view.progress.text) : undefined,
    ],
    ['paused', view.resumeAt && `until ${view.resumeAt} (${relativeTime(view.resumeAt, nowMs)})`],
    ['configured', view.configuration && `by ${shown(view.configuration)}`],
    ['labels', view.labels && labelsText(view.labels)],
    ['waits for', view.waiting && waitingText(view, view.waiting, nowMs)],
    ['delayed', view.delay && `at ${view.delay.at}: ${shown(view.delay.message)}`],
    ['held by', view.waiting && holdersText(view.waiting, nowMs)],
    ['attempt', `${attemptText(view)}, on ${view.compute}${howText(view)}`],
    ['run', view.run && runText(view.run)],
    ['log', log],
    ['submitted', `${view.submittedAt} (${relativeTime(view.submittedAt, nowMs)})`],
    ['ended', view.endedAt && `${view.endedAt} (${relativeTime(view.endedAt, nowMs)})`],
    ...dues(view, nowMs),
    ['duplicates', view.duplicates > 0 ? `${view.duplicates} absorbed` : undefined],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
}

const labelsText = (labels: Readonly<Record<string, string>>): string | undefined =>
  Object.entries(labels)
    .map(([name, value]) => shown(`${name}=${value}`))
    .join(', ') || undefined;

function waitingText(
  { slot, priority }: TaskView,
  { position, of, limit, since }: NonNullable<TaskView['waiting']>,
  nowMs: number,
): string {
  const before = priority === 0 ? '' : `, with priority ${priority}`;
  return `${placeText(slot)} (${placesText(slot, limit)}): number ${position} of ${of} in line${before}, since ${relativeTime(since, nowMs)}`;
}

/** Who has the places; a view names the first of them. */
const holdersText = ({ holders }: NonNullable<TaskView['waiting']>, nowMs: number): string | undefined =>
  holders.map(({ taskId, since }) => `${taskId} since ${relativeTime(since, nowMs)}`).join(', ') || undefined;

function runText(run: NonNullable<TaskView['run']>): string {
  const process = run.pid === undefined || run.ended ? '' : `, process ${run.pid}`;
  const end = run.ended ? `, ended (${run.ended.proof.replace('_', ' ')})` : '';
  const from = run.definition === undefined ? '' : `, from ${shown(run.definition.split('/').at(-1) ?? '')}`;
  return `${runNameText(run.nativeId ?? run.startedBy)}${from}${process}${end}`;
}

function dues(view: TaskView, nowMs: number): [string, string][] {
  return Object.entries(view.due)
    .sort(([, a], [, b]) => (a < b ? -1 : 1))
    .map(([purpose, at]) => ['due', `${relativeTime(at, nowMs)}: ${dueText(purpose as DuePurpose, view.compute)}`]);
}

function ignored(view: TaskView, paint: Paint): string[] {
  if (view.ignored.length === 0) return [];
  const lines = view.ignored.map(({ at, cause, reason }) => `  ${paint.dim(at)}  ${cause.type}: ${shown(reason)}`);
  return ['', '  ignored', ...lines];
}

/** What is out of the ordinary in how its runs are had. */
function howText({ isolation, capacity }: TaskView): string {
  const said = [...(isolation === 'per-user' ? ['a definition per user'] : []), ...(capacity ? [capacity] : [])];
  return said.length > 0 ? ` (${said.join(', ')})` : '';
}
