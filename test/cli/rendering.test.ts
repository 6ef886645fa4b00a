import { describe, expect, it } from '@jest/globals';
import { eventLine } from '../../cli/event-line.ts';
import { paintFor, plain, shown } from '../../cli/paint.ts';
import { taskTable } from '../../cli/task-table.ts';
import { taskText } from '../../cli/task-text.ts';
import { cut, openTerminal } from '../../cli/terminal.ts';
import { attemptText, resultText, stepLine } from '../../cli/timeline.ts';
import { unsavedText } from '../../cli/unsaved-work.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import { aView, BEGAN, later, stepsTo } from './a-view.ts';

const result = {
  branch: 'baton/t1',
  commit: 'c',
  baseCommit: 'b',
  filesChanged: 2,
  insertions: 10,
  deletions: 3,
  pullRequest: null,
};
const nowMs = Date.parse(later(10_000));
const step = (view: TaskView, at: number) => stepLine(view, view.history.at(at) ?? never(), plain).trim();
const never = (): never => {
  throw new Error('no such step');
};

describe('the line of a step', () => {
  it('tells when, into which state, what that means, and what caused it', () => {
    expect(step(aView(), 2)).toBe('+2.00 s  RUNNING     The agent works.  ← CauseOfRUNNING');
  });

  it('tells the result of a completed task', () => {
    const view = aView({ history: stepsTo('SUBMITTED', 'COMPLETED'), result, endedAt: later(1000) });
    expect(step(view, -1)).toBe('+1.00 s  COMPLETED   pushed baton/t1 (2 files, +10 −3)  ← CauseOfCOMPLETED');
  });

  it('tells the reason of a failed one, at its end only', () => {
    const reason = { code: 'agent_failed', message: 'The agent ended with 7.' };
    const view = aView({ history: stepsTo('SUBMITTED', 'RUNNING', 'FAILED'), reason, endedAt: later(2000) });
    expect(step(view, -1)).toContain('agent_failed: The agent ended with 7.');
    expect(step(view, -2)).toContain('The agent works.');
  });

  it('tells which attempt starts when it is not the first', () => {
    const [first = never(), second = never()] = stepsTo('SUBMITTED', 'STARTING');
    const view = aView({ attempt: 2, history: [first, { ...second, attempt: 2 }] });
    expect(step(view, -1)).toContain('(attempt 2 of 3)');
  });
});

describe('a waiting task', () => {
  const waiting = { since: later(-60_000), position: 2, of: 5, limit: 3, holders: [] };
  const view = aView({ history: stepsTo('SUBMITTED', 'QUEUED'), status: 'QUEUED', waiting, priority: 4 });

  it('says what it waits for, its place in line, and since when', () => {
    expect(taskText(view, nowMs, plain).join('\n')).toMatch(
      /waits for +a place of user:local \(3 at once\): number 2 of 5 in line, with priority 4, since .*1 min/,
    );
  });

  it('says its place in the table too', () => {
    expect(taskTable([view], nowMs, plain)[1]).toMatch(/QUEUED .* number 2 of 5 in line for user:local$/);
  });
});

describe('a task whose context cannot be had for now', () => {
  it('says why, and when that was found out', () => {
    const delay = { at: later(-60_000), message: 'GitHub answers 503 (https://github.com/ada/engine/issues/7)' };
    expect(taskText(aView({ delay }), nowMs, plain).join('\n')).toContain(`delayed     at ${delay.at}: GitHub answers`);
  });
});

describe('a paused task', () => {
  it('says until when, and that a pause uses up no attempt', () => {
    const paused = { pauses: 2, attempt: 3, resumeAt: later(70_000) };
    const lines = taskText(
      aView({ history: stepsTo('SUBMITTED', 'BACKOFF'), status: 'BACKOFF', ...paused }),
      nowMs,
      plain,
    );
    expect(lines.join('\n')).toMatch(/paused +until .*in 1 min/);
    expect(lines.join('\n')).toContain('3; 1 of 3 used, as 2 were paused');
    expect(attemptText({ attempt: 1, attempts: 3, pauses: 1 })).toBe('1; none of 3 used, as 1 was paused');
  });
});

describe('a result', () => {
  it('says when nothing was changed', () => expect(resultText({ ...result, branch: null })).toBe('no changes'));
  it('of a run that was not done says that it saved something', () =>
    expect(resultText({ ...result, branch: null }, { branch: 'baton/t1', commit: 'c' })).toBe(
      'nothing but its saved work',
    ));
  it('says when it was begun without the work that an earlier attempt had saved', () => {
    const lostWork = { branch: 'baton/t1', commit: 'a'.repeat(40) };
    expect(resultText({ ...result, lostWork })).toMatch(/; begun without the saved work a{12}, which was gone$/);
  });
  it('counts one file as one', () => expect(resultText({ ...result, filesChanged: 1 })).toContain('(1 file, '));
});

describe('a shown task', () => {
  it('says how long it has been in its state, who holds its places, and whether the runner speaks', () => {
    const waiting = { since: BEGAN, position: 1, of: 1, limit: 1, holders: [{ taskId: 't9', since: later(4_000) }] };
    const view = aView({ since: later(8_000), waiting, progress: { seq: 1, at: BEGAN, text: 'clones', by: 'runner' } });
    const lines = taskText(view, nowMs, plain);
    expect(lines[0]).toMatch(/RUNNING for 2.00 s$/);
    expect(lines).toContain('  held by     t9 since 6.00 s ago');
    expect(lines).toContain('  runner says clones');
    expect(taskTable([view], nowMs, plain)[1]).toMatch(/RUNNING {2}2.00 s +10.0 s ago/);
  });

  it('has state, what is due and when, and how long it stayed where', () => {
    const lines = taskText(aView({ duplicates: 2 }), nowMs, plain);
    expect(lines[0]).toBe('t0123456789abcdefghjkmnpq  RUNNING for 10.0 s');
    expect(lines).toContain('  due         in 59 min 50 s: the task times out');
    expect(lines).toContain('  duplicates  2 absorbed');
    expect(lines.find((line) => line.includes(' ADMITTED '))).toMatch(/← CauseOfADMITTED, 1.00 s$/);
    expect(lines.at(-1)).toMatch(/← CauseOfRUNNING$/);
  });

  it('has its labels', () => {
    const labelled = aView({ labels: { team: 'core', why: 'nightly' } });
    expect(taskText(labelled, nowMs, plain)).toContain('  labels      team=core, why=nightly');
    expect(taskText(aView({ labels: {} }), nowMs, plain).join()).not.toContain('labels');
  });

  it('has the reason and what to do about it', () => {
    const reason = { code: 'push_failed', message: 'Somebody moved the branch.' };
    const view = aView({ history: stepsTo('SUBMITTED', 'FAILED'), reason, endedAt: later(1000), due: {} });
    const lines = taskText(view, nowMs, plain);
    expect(lines[0]).toContain('FAILED after 1.00 s, not settled yet');
    expect(lines).toContain('  reason      push_failed: Somebody moved the branch.');
    expect(lines.find((line) => line.startsWith('  what to do'))).toContain('Check the rights');
  });

  it('promises no further attempt once it is over, and advises nothing that its reason says', () => {
    const reason = { code: 'compute_gone', message: 'The run is gone.' };
    const advice = (view: Partial<TaskView>) =>
      taskText(aView(view), nowMs, plain).find((line) => line.startsWith('  what to do'));
    const over = { history: stepsTo('SUBMITTED', 'FAILED'), endedAt: later(1000), due: {} };
    expect(advice({ reason })).toMatch(/Baton tries again from saved work\.$/);
    expect(advice({ ...over, reason })).toMatch(/without a sign\. Baton does not try again\.$/);
    expect(advice({ ...over, reason: { code: 'cancelled', message: 'Cancelled on request.' } })).toBeUndefined();
  });

  it('says what is saved of a run that pushed nothing else', () => {
    const savedWork = { branch: 'baton/t1', commit: 'a'.repeat(40) };
    const over = { history: stepsTo('SUBMITTED', 'RUNNING', 'FAILED'), endedAt: later(1000), due: {} };
    const lines = taskText(aView({ ...over, savedWork, result: { ...result, branch: null } }), nowMs, plain);
    expect(lines).toContain('  result      nothing but its saved work');
    expect(lines).toContain('  saved work  baton/t1 at aaaaaaaaaaaa');
  });

  it('says of a back end whose word may be lost that it is asked', () => {
    const due = (compute: TaskView['compute']) =>
      taskText(aView({ compute, due: { life: later(30_000) } }), nowMs, plain).find((line) => line.includes(' due '));
    expect(due('ec2')).toBe('  due         in 20.0 s: its back end is asked about it');
    expect(due('agentcore')).toBe('  due         in 20.0 s: its signs of life are looked at');
  });

  it('has what became of work that was not saved, unless some was or none was done', () => {
    const ended = { history: stepsTo('SUBMITTED', 'RUNNING', 'CANCELLED'), endedAt: later(2000) };
    const savedWork = { branch: 'baton/t1', commit: 'a'.repeat(40) };
    expect(unsavedText(aView(ended))).toBe('none');
    for (const other of [
      aView(),
      aView({ ...ended, savedWork }),
      aView({ ...ended, result }),
      aView({ ...ended, history: stepsTo('SUBMITTED', 'CANCELLED') }),
      aView({ ...ended, history: stepsTo('SUBMITTED', 'RUNNING', 'COMPLETED') }),
    ])
      expect(unsavedText(other)).toBeUndefined();
    expect(taskText(aView(ended), nowMs, plain, { unsaved: 'none' })).toContain('  saved work  none');
  });

  it('has what was ignored, and why', () => {
    const cause = { id: 'x', type: 'RunReported' };
    const lines = taskText(aView({ ignored: [{ at: BEGAN, cause, reason: 'another attempt runs' }] }), nowMs, plain);
    expect(lines.slice(-2)).toEqual(['  ignored', `  ${BEGAN}  RunReported: another attempt runs`]);
  });
});

describe('a table of tasks', () => {
  it('is as wide as it must be, with a heading', () => {
    expect(
      taskTable([aView({ compute: 'agentcore', progress: { seq: 1, at: BEGAN, text: 'thinking' } })], nowMs, plain),
    ).toEqual([
      'TASK                       STATUS   FOR     SUBMITTED   COMPUTE    REPOSITORY',
      't0123456789abcdefghjkmnpq  RUNNING  10.0 s  10.0 s ago  agentcore  /home/somebody/repo  thinking',
    ]);
  });
});

describe('the line of an event', () => {
  const event = { id: 'e', time: BEGAN, detail: {} };
  it('tells the task of ours and of native ones', () => {
    const ours = { ...event, source: 'baton', 'detail-type': 'TaskFailed' };
    const detail = { metadata: { taskId: 't1' }, data: { reason: { code: 'killed' } } };
    expect(eventLine({ ...ours, detail }, plain)).toBe('12:00:00.000  baton          TaskFailed  t1  killed');
    expect(eventLine({ ...ours, detail, 'replay-name': 'friday' }, plain)).toBe(
      '12:00:00.000  baton          TaskFailed  t1  (replay friday) killed',
    );
    const native = { ...event, source: 'aws.ecs', 'detail-type': 'ECS Task State Change' };
    expect(eventLine({ ...native, detail: { startedBy: 'baton/local/t1/2', lastStatus: 'RUNNING' } }, plain)).toBe(
      '12:00:00.000  aws.ecs        ECS Task State Change  t1  RUNNING',
    );
  });
});

describe('text that an agent wrote', () => {
  it('cannot steer the terminal', () => {
    expect(shown('\u001b[31mred\u001b[0m \u001b]0;title\u0007done\r\n\u001b[2Jnext\u009b1m')).toBe('red done next 1m');
  });
});

describe('a terminal', () => {
  const written = (isTTY: boolean, environment: Record<string, string>) => {
    let text = '';
    const out = { isTTY, columns: 20, write: (more: string | Uint8Array) => (text += String(more)) };
    return { terminal: openTerminal({ out, err: out, environment }), text: () => text };
  };

  it('has one status line, below the lines that stay, as wide as the screen at most', () => {
    const { terminal, text } = written(true, {});
    terminal.status(() => 'a very long status that does not fit');
    terminal.line('stays');
    terminal.status(undefined);
    expect(text()).toBe('\r\u001b[2K⠋ a very long statu\r\u001b[2Kstays\n\r\u001b[2K⠋ a very long statu\r\u001b[2K');
  });

  it('has none where nobody looks', () => {
    const { terminal, text } = written(false, {});
    terminal.status(() => 'working');
    terminal.line('stays');
    expect(text()).toBe('stays\n');
  });

  it('has colours only on a terminal, and not with NO_COLOR', () => {
    expect(paintFor({ isTTY: true }, {}).red('x')).toBe('\u001b[31mx\u001b[39m');
    expect(paintFor({ isTTY: false }, {}).red('x')).toBe('x');
    expect(paintFor({ isTTY: true }, { NO_COLOR: '1' }).red('x')).toBe('x');
    expect(paintFor({ isTTY: true }, { TERM: 'dumb' }).red('x')).toBe('x');
  });

  it('cuts a line by what is seen of it', () => {
    expect(cut('\u001b[31mabcdef\u001b[39m', 3)).toBe('\u001b[31mabc\u001b[39m');
  });
});
