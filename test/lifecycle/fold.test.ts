import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { runEnded } from '../../events/run-ended.ts';
import { taskSettled } from '../../events/task-settled.ts';
import {
  type Comparison,
  compared,
  noFacts,
  type Projection,
  projectionOf,
  stepOf,
  tell,
} from '../../lifecycle/fold.ts';
import { entryEvents, noteEvents } from '../../runtime/published.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { type Status, statuses, type Task } from '../../schemas/task.ts';
import { aCause, anEcsEvent, anEvent, aTask, at } from '../builders.ts';

/** Everything that a task has said. */
const saidBy = (task: Task): Envelope[] => [
  ...task.history.flatMap((entry) => entryEvents(task, entry)),
  ...('settledAt' in task && task.settledAt
    ? noteEvents(
        task,
        [{ id: `${task.taskId}#TaskSettled`, fact: taskSettled.of({ status: task.status }) }],
        aCause(),
        at(9),
      )
    : []),
];

function folded(events: readonly Envelope[]): Projection | undefined {
  const facts = noFacts('t');
  for (const event of events) tell(facts, event);
  return projectionOf({ ...facts, taskId: aTask({ status: 'SUBMITTED' }).taskId });
}

const inEveryState = statuses.map((status): [Status, Task] => [status, aTask({ status })]);

describe('the facts of a task', () => {
  it.each(inEveryState)('in %s tell its record, up to steps that say nothing', (status, task) => {
    const told = folded(saidBy(task));
    const silentSteps = status === 'STARTING' ? 1 : 0;
    expect(compared(told, task)).toEqual(silentSteps ? { kind: 'silent', steps: silentSteps } : { kind: 'same' });
    expect(told).toMatchObject({ userId: 'ada', repository: '/srv/repository', deadlineAt: at(3600), missing: [] });
  });

  it.each(inEveryState)('in %s tell the same in whatever order, and however often they come', (_status, task) => {
    const events = saidBy(task);
    const wanted = folded(events);
    const some = fc.shuffledSubarray([...events, ...events, ...events], { minLength: events.length * 3 });
    fc.assert(
      fc.property(some, (shuffled) => {
        expect(folded(shuffled)).toEqual(wanted);
      }),
      { numRuns: 30 },
    );
  });

  it('are those of transitions and of settling; what runners, back ends and notes say is none', () => {
    const task = aTask({ status: 'COMPLETED' });
    expect(saidBy(task).map(stepOf)).toEqual(saidBy(task).map(() => task.taskId));
    const note = noteEvents(
      task,
      [
        {
          id: `${task.taskId}#attempt-1#RunEnded`,
          fact: runEnded.of({ compute: 'ecs', status: 'COMPLETED', proof: 'proven' }),
        },
      ],
      aCause(),
      at(5),
    );
    const others = [anEcsEvent(), ...note, { ...saidBy(task)[0], source: 'an.app' } as Envelope];
    expect(others.map(stepOf)).toEqual([undefined, undefined, undefined]);
  });

  it('that a crash took back are outweighed by what was said later of the same version', () => {
    const task = aTask({ status: 'COMPLETED' });
    const last = task.history.at(-1);
    if (!last) throw new Error('no history');
    const ghost = anEvent(
      { type: 'TaskFailed', data: { reason: { code: 'killed', message: '' } } },
      { id: `${task.taskId}#${last.version}#TaskFailed`, taskId: task.taskId, version: last.version },
    );
    const early = { ...ghost, detail: { ...ghost.detail, metadata: { ...ghost.detail.metadata, occurredAt: at(-5) } } };
    for (const events of [
      [early, ...saidBy(task)],
      [...saidBy(task), early],
    ])
      expect(compared(folded(events), task)).toEqual({ kind: 'same' });
  });
});

describe('a record beside its facts', () => {
  const task = aTask({ status: 'COMPLETED' });
  const events = saidBy(task);
  const without = (version: number) => folded(events.filter((event) => stepVersion(event) !== version));
  const stepVersion = (event: Envelope) => (event.detail as { metadata: { version: number } }).metadata.version;

  it.each<[string, Comparison, Projection | undefined, Task | undefined]>([
    ['that is there is the same', { kind: 'same' }, folded(events), task],
    ['that is not there is missing', { kind: 'record_missing' }, folded(events), undefined],
    [
      'of which nothing was said lacks all its facts',
      { kind: 'facts_missing', versions: task.history.map(({ version }) => version) },
      undefined,
      task,
    ],
    ['of which a step was not said lacks that fact', { kind: 'facts_missing', versions: [2] }, without(2), task],
    [
      'whose last step was not said lacks that fact',
      { kind: 'facts_missing', versions: [task.version] },
      without(task.version),
      task,
    ],
    [
      'with another status differs',
      { kind: 'differs', fields: [{ field: 'status', told: 'COMPLETED', stored: 'FAILED' }] },
      folded(events),
      { ...task, status: 'FAILED' } as unknown as Task,
    ],
    [
      'of another user differs, whatever its version',
      { kind: 'differs', fields: [{ field: 'userId', told: 'ada', stored: 'eve' }] },
      without(task.version),
      { ...task, userId: 'eve' },
    ],
    [
      'that is behind what was said differs',
      { kind: 'differs', fields: [{ field: 'version', told: task.version, stored: task.version - 1 }] },
      folded(events),
      { ...task, version: task.version - 1, status: 'RUNNING' } as unknown as Task,
    ],
    [
      'that is settled, of which nobody was told, differs',
      { kind: 'differs', fields: [{ field: 'settled', told: false, stored: true }] },
      folded(events),
      { ...task, settledAt: at(9) },
    ],
  ])('%s', (_what, comparison, told, stored) => {
    expect(compared(told, stored)).toEqual(comparison);
  });
});
