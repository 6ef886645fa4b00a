import { describe, expect, it } from '@jest/globals';
import { follow } from '../../lifecycle/evolve.ts';
import { canSettle, computeIsOver, settle } from '../../lifecycle/settle.ts';
import { because } from '../../schemas/reason.ts';
import { statuses, type Task, type TerminalTask } from '../../schemas/task.ts';
import { aContext, aKnownRun, aTask, aTaskId, at } from '../builders.ts';
import { inWords } from './in-words.ts';

const over = aKnownRun({ ended: { at: at(1), proof: 'proven' } });
const givenUp = aKnownRun({ stopRequests: 3, ended: { at: at(1), proof: 'given_up' } });
const lives = aTask({ status: 'COMPLETED' });
const ended = aTask({ status: 'COMPLETED', run: over });
const proven = <T extends TerminalTask>(task: T): T => ({
  ...task,
  history: task.history.map((entry) => ({ ...entry, proven: true })),
});

const aHook = { channel: 'webhook' as const, target: 'https://hooks.example.org/hidden' };

describe('a note to a subscriber', () => {
  it('has an id of its own, names the subscriber by place, and never says the address', () => {
    const move = settle({ ...ended, subscribers: [aHook, aHook] }, undefined, at(2), true);
    const notes = move.kind === 'mark' ? move.notes.filter(({ fact }) => fact.type === 'NotificationDue') : [];
    expect(notes.map(({ id }) => id)).toEqual([`${aTaskId()}#notify#0`, `${aTaskId()}#notify#1`]);
    expect(notes[1]?.fact.data).toEqual({ channel: 'webhook', subscriber: 1, status: 'COMPLETED' });
    expect(JSON.stringify(notes)).not.toContain('hidden');
  });
});

describe('settling', () => {
  it.each<[string, Task, boolean, string]>([
    ['the fact is told and the compute over', ended, true, 'mark settled: TaskSettled'],
    ['the compute is over and the fact was proven', proven(ended), false, 'mark settled: TaskSettled'],
    ['there never was any compute', aTask({ status: 'CANCELLED', run: over }), true, 'mark settled: TaskSettled'],
    ['the fact is told, the compute lives', lives, true, 'mark'],
    ['the fact is told again, the compute lives', proven(lives), true, 'ignore compute_has_not_ended'],
    ['the compute is over, the fact not proven', ended, false, 'ignore terminal_fact_is_not_proven'],
    ['the compute was given up', { ...ended, run: givenUp }, true, 'mark settled: RunOrphaned, TaskSettled'],
    [
      'somebody subscribed',
      { ...ended, subscribers: [aHook, aHook] },
      true,
      'mark settled: NotificationDue, NotificationDue, TaskSettled',
    ],
    [
      'all is settled, and somebody subscribed',
      { ...ended, subscribers: [aHook], settledAt: at(1) },
      true,
      'repeat: NotificationDue, TaskSettled',
    ],
    ['all is settled', { ...ended, settledAt: at(1) }, true, 'repeat: TaskSettled'],
  ])('when %s', (_, task, told, move) => {
    expect(inWords(settle(task, undefined, at(2), told))).toBe(move);
  });

  it.each(statuses.filter((status) => !['COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT'].includes(status)))(
    'is not for a %s task',
    (status) => {
      expect(inWords(settle(aTask({ status }), undefined, at(2), true))).toBe('ignore task_has_not_ended');
      expect(canSettle(aTask({ status }), true)).toBe(false);
    },
  );

  it('leaves nothing due, and its own end proven', () => {
    const move = settle(lives.run ? { ...lives, run: over } : lives, undefined, at(2), true);
    expect(move).toMatchObject({
      settledAt: at(2),
      due: { exit: null, proof: null, settle: null },
      proven: [lives.version],
    });
  });

  it('says once more what of the history was never proven, but not the fact that was just told', () => {
    const move = settle(ended, undefined, at(2), true);
    const again = move.kind === 'mark' ? (move.again ?? []) : [];
    expect(again.map(({ to }) => to)).toEqual(['SUBMITTED', 'ADMITTED', 'HYDRATED', 'RUNNING']);
  });

  it('gives its fact an id that is the same for everybody', () => {
    expect(settle(ended, undefined, at(2), true)).toMatchObject({ notes: [{ id: `${aTaskId()}#TaskSettled` }] });
  });

  it('does not say the orphan again that closing the stop has said', () => {
    const task = aTask({ status: 'CANCELLED', run: givenUp });
    const last = task.history.at(-1);
    const orphan = { id: 'x', type: 'RunOrphaned', schemaVersion: 1, data: {} };
    const said = { ...task, history: [...task.history.slice(0, -1), ...(last ? [{ ...last, facts: [orphan] }] : [])] };
    expect(inWords(settle(said, undefined, at(2), true))).toBe('mark settled: TaskSettled');
  });
});

describe('compute', () => {
  it('is over when it ended, or when there was none', () => {
    expect(computeIsOver(lives)).toBe(false);
    expect(computeIsOver(ended)).toBe(true);
    expect(computeIsOver(aTask({ status: 'BACKOFF' }))).toBe(true);
  });
});

describe('a settled task whose last step a replay caused', () => {
  it('does not say again what that step answered: the two would bring each other for ever', () => {
    const stopping = aTask({
      status: 'STOPPING',
      intent: 'lost',
      run: aKnownRun({ ended: { at: at(1), proof: 'proven' } }),
    });
    const fact = stopping.history.at(-1)?.facts[0]?.id ?? '';
    const failed = follow(
      stopping,
      {
        kind: 'step',
        name: 'fail',
        bring: { reason: because('host_lost', 'Gone.'), detectedBy: 'event' },
        facts: [{ type: 'TaskFailed', data: {} }],
      },
      aContext({ cause: { id: fact, type: 'RunEnded', replayed: true } }),
    );
    const settled = { ...failed, settledAt: at(9) } as Task;
    const move = settle(settled, undefined, at(99), true);
    const said = move.kind === 'repeat' ? move.again.flatMap(({ facts }) => facts.map(({ id }) => id)) : [];
    expect(move.kind).toBe('repeat');
    expect(said).not.toContain(fact);
  });
});
