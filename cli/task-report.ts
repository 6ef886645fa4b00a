import { adviceOn } from '../schemas/reason.ts';
import type { TaskView } from '../schemas/task-view.ts';
import type { News } from './follow.ts';
import { paintStatus, shown } from './paint.ts';
import type { Terminal } from './terminal.ts';
import { lifeOf, progressLine, stateAgeOf, stepLine } from './timeline.ts';

/** Tells what happens to a task: a timeline with one status line on a terminal, plain lines elsewhere, JSON lines with `json`. */
export interface TaskReport {
  /** The task exists. */
  begin(view: TaskView): void;
  news(news: News): void;
  /** How it ended, for a person; with `json`, the task as `show --json` gives it. */
  end(view: TaskView, more?: EndOptions): void;
  /** A remark for a person; nothing with `json`. */
  remark(text: string): void;
  /** The world is kept for other tasks; said once, and then only on the status line. */
  keeping(unsettled: number): void;
}

export interface EndOptions {
  /** Last lines of the agent's log, for a task that failed. */
  readonly logTail?: readonly string[];
  readonly logFile?: string | undefined;
  /** What became of work that was not saved. */
  readonly unsaved?: string | undefined;
}

/** With a `tag`, every line begins with it: several tasks are told at once, and there is no status line. */
export const taskReport = (
  terminal: Terminal,
  options: { readonly json: boolean; readonly tag?: (view: TaskView) => string },
): TaskReport => (options.json ? inJson(terminal) : inWords(terminal, options.tag));

function inJson(terminal: Terminal): TaskReport {
  return {
    begin: (view) => terminal.json({ type: 'task', taskId: view.taskId }),
    news: (news) => {
      if (news.kind === 'progress') {
        terminal.json({ type: 'progress', taskId: news.view.taskId, at: news.at, text: news.text });
        return;
      }
      const { from, to, at, version, cause, facts } = news.step;
      terminal.json({ type: 'step', taskId: news.view.taskId, from, to, at, version, cause, facts });
    },
    end: (view) => terminal.json(view),
    remark: () => undefined,
    keeping: () => undefined,
  };
}

function inWords(terminal: Terminal, tag: ((view: TaskView) => string) | undefined): TaskReport {
  const { paint } = terminal;
  let isKeeping = false;
  const tagged = (view: TaskView, line: string): string => (tag ? `${tag(view)}${line}` : line);

  return {
    begin: (view) => {
      const base = view.baseBranch === undefined ? '' : ` (${view.baseBranch})`;
      terminal.line(tagged(view, `${tag ? '  ' : ''}${paint.bold(view.taskId)}  ${shown(view.repository)}${base}`));
    },
    news: (news) => {
      if (news.kind === 'progress' && terminal.live && !tag) {
        terminal.status(() => statusText(news.view, news.text));
        return;
      }
      if (news.kind === 'progress') {
        terminal.line(terminal.fit(tagged(news.view, progressLine(news.text, paint))));
        return;
      }
      terminal.line(tagged(news.view, stepLine(news.view, news.step, paint)));
      if (!tag) terminal.status(() => statusText(news.view, news.view.progress?.text ?? ''));
    },
    end: (view, more = {}) => {
      terminal.status(undefined);
      for (const line of endLines(view, more)) terminal.line(line);
    },
    remark: (text) => terminal.line(paint.dim(text)),
    keeping: (unsettled) => {
      const text = `Keeping the world for ${unsettled} more ${unsettled === 1 ? 'task' : 'tasks'}; Ctrl-C leaves the rest to the next start.`;
      if (!isKeeping) terminal.line(paint.dim(text));
      isKeeping = true;
      terminal.status(() => paint.dim(text));
    },
  };

  function statusText(view: TaskView, progress: string): string {
    const said = progress === '' ? '' : `  ${paint.dim(shown(progress))}`;
    return `${paintStatus(view.status, paint)} for ${stateAgeOf(view, Date.now())}${said}`;
  }

  /** What the last step has not told already. */
  function endLines(view: TaskView, { logTail = [], logFile, unsaved }: EndOptions): string[] {
    const lines = ['', `${paintStatus(view.status, paint)} after ${lifeOf(view, Date.now())}`];
    const advice = view.reason && adviceOn(view.reason, true);
    if (advice !== undefined) lines.push(`  ${advice}`);
    if (view.result?.branch) lines.push(paint.dim(`  ${howToLook(view.repository, view.result.branch)}`));
    if (view.savedWork && view.status !== 'COMPLETED') {
      lines.push(`  saved work: ${view.savedWork.branch} at ${view.savedWork.commit.slice(0, 12)}`);
    }
    if (unsaved !== undefined) lines.push(`  saved work: ${unsaved}`);
    if (logTail.length > 0)
      lines.push('  the end of its log:', ...logTail.map((line) => paint.dim(`  │ ${shown(line)}`)));
    if (logFile !== undefined) lines.push(paint.dim(`  log: ${logFile}`));
    return lines;
  }
}

function howToLook(repository: string, branch: string): string {
  return repository.startsWith('/')
    ? `git -C ${quoted(repository)} log -p -1 ${branch}`
    : `git fetch ${quoted(repository)} ${branch}`;
}

const quoted = (text: string): string =>
  /^[A-Za-z0-9_./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
