import { states } from '../lifecycle/states.ts';
import { transitions } from '../lifecycle/transitions.ts';
import type { TaskResult } from '../schemas/task-result.ts';
import type { TaskSummary, TaskView } from '../schemas/task-view.ts';
import { durationBetween } from './duration.ts';
import { type Paint, paintStatus, shown } from './paint.ts';

type Step = TaskView['history'][number];

/** Columns of a time since the request, and of a status: the longest of them. */
const TIME_COLUMNS = 12;
const STATUS_COLUMNS = 10;
/** Columns before the free text of a line; lines that add to one above begin there. */
const INDENT = ' '.repeat(2 + TIME_COLUMNS + 2);

/** One transition as one line: time since the request, state, what it means here, and the event that caused it. */
export function stepLine(view: TaskView, step: Step, paint: Paint): string {
  const time = `+${durationBetween(view.submittedAt, step.at)}`.padStart(TIME_COLUMNS);
  const status = paintStatus(step.to, paint, step.to.padEnd(STATUS_COLUMNS));
  return `  ${paint.dim(time)}  ${status}  ${meaning(view, step)}  ${paint.dim(`← ${step.cause.type}`)}`;
}

/** A line of the agent's output between two transitions. */
export const progressLine = (text: string, paint: Paint): string => `${INDENT}${paint.dim(`│ ${shown(text)}`)}`;

/** How long the task was in the state that this step began; undefined while it still is. */
export function stayIn(view: TaskView, step: Step): string | undefined {
  const next = view.history.find(({ version }) => version === step.version + 1);
  return next && durationBetween(step.at, next.at);
}

/** From the request to the end, or to `nowMs` while there is none. */
export const lifeOf = (view: TaskSummary, nowMs: number): string =>
  durationBetween(view.submittedAt, view.endedAt ?? new Date(nowMs).toISOString());

/** How long it has been in its state; a world that does not say since when leaves the request. */
export const stateAgeOf = (view: Pick<TaskSummary, 'since' | 'submittedAt'>, nowMs: number): string =>
  durationBetween(view.since ?? view.submittedAt, new Date(nowMs).toISOString());

export const isOver = (view: Pick<TaskSummary, 'status'>): boolean => states[view.status].terminal;

/** The number of the attempt, as every other text has it; those in which it paused are told apart, as they use none up. */
export function attemptText({
  attempt,
  attempts,
  pauses = 0,
}: Pick<TaskView, 'attempt' | 'attempts' | 'pauses'>): string {
  if (pauses === 0) return `${attempt} of ${attempts}`;
  const used = attempt - pauses;
  return `${attempt}; ${used === 0 ? 'none' : used} of ${attempts} used, as ${pauses} ${pauses === 1 ? 'was' : 'were'} paused`;
}

/** What a run left behind, in a few words. One that was not done may have pushed what it saved, and nothing else. */
export function resultText(result: TaskResult, savedWork?: TaskView['savedWork']): string {
  const lost = result.lostWork
    ? `; begun without the saved work ${result.lostWork.commit.slice(0, 12)}, which was gone`
    : '';
  if (result.branch === null) return `${savedWork ? 'nothing but its saved work' : 'no changes'}${lost}`;
  const pullRequest = result.pullRequest === null ? '' : `, ${result.pullRequest}`;
  return `pushed ${result.branch} (${diffText(result)}${pullRequest})${lost}`;
}

/** `2 files, +10 −3` */
export function diffText({ filesChanged, insertions, deletions }: TaskResult): string {
  return `${filesChanged} ${filesChanged === 1 ? 'file' : 'files'}, +${insertions} −${deletions}`;
}

function meaning(view: TaskView, step: Step): string {
  const isLast = step.version === view.version;
  const said = isLast && isOver(view) ? endText(view) : isLast && view.reason ? shown(view.reason.message) : undefined;
  // Attempts in which it paused are not counted against those that were asked for.
  const of = view.pauses === undefined ? ` of ${view.attempts}` : '';
  const attempt = step.to === 'STARTING' && step.attempt > 1 ? ` (attempt ${step.attempt}${of})` : '';
  // A step that stays in its state says more than the state does.
  const usual = step.from === step.to ? summaryOf(step.transition) : states[step.to].summary;
  return `${said ?? usual}${attempt}`;
}

const summaryOf = (transition: string): string =>
  Object.entries(transitions).find(([name]) => name === transition)?.[1].summary ?? transition;

function endText(view: TaskView): string | undefined {
  if (view.reason) return `${view.reason.code}: ${shown(view.reason.message)}`;
  return view.result && resultText(view.result, view.savedWork);
}
