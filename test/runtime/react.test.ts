import { describe, expect, it } from '@jest/globals';
import { runStopRequested } from '../../events/run-stop-requested.ts';
import { taskAdmitted } from '../../events/task-admitted.ts';
import { taskHydrated } from '../../events/task-hydrated.ts';
import { taskQueued } from '../../events/task-queued.ts';
import { defineRule, type RuleKind } from '../../rules/rule.ts';
import { type Outcome, refused, said } from '../../runtime/outcome.ts';
import { entryEvents } from '../../runtime/published.ts';
import { causeOf, react, subject } from '../../runtime/react.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { Task } from '../../schemas/task.ts';
import { anArn, anEcsEvent, anEvent, aTask, at } from '../builders.ts';

const admitted = aTask({ status: 'ADMITTED' });
const queued = aTask({ status: 'QUEUED' });
const event = anEvent(taskAdmitted.of({ slotKey: 'k' }), { id: 'event-1' });
const lastEvents = (task: Task): BatonEvent[] => task.history.slice(-1).flatMap((entry) => entryEvents(task, entry));
const already = (task: Task, now: Task = task): Outcome => ({
  kind: 'already',
  task: now,
  events: lastEvents(task),
  committedAt: at(0),
});

/** A reaction that answers as told; `seconds` is the clock. */
async function reacting(
  outcome: Outcome | Outcome[],
  { tries = 1, seconds = 0, kind = 'state' as RuleKind, about = event as Envelope } = {},
) {
  const rule = defineRule({
    name: 'a-rule',
    summary: '',
    on: [taskAdmitted],
    emits: [taskHydrated, taskQueued, taskAdmitted],
    uses: [],
    kind,
  });
  const noted: (string | undefined)[] = [];
  let ran = false;
  const reaction = react(rule, async () => {
    ran = true;
    return outcome;
  });
  const world = {
    now: () => at(seconds),
    republishAgeSeconds: () => 10,
    journal: {
      ignored: (_taskId: string, _cause: unknown, reason: string) => void noted.push(reason),
      duplicate: () => void noted.push('duplicate'),
    },
  };
  const events = await reaction.run(about, {}, world, { tries });
  return { events, noted, ran, types: events.map((one) => one['detail-type']) };
}

describe('a move', () => {
  it('is published', async () => {
    expect((await reacting({ kind: 'moved', task: admitted, events: lastEvents(admitted) })).types).toEqual([
      'TaskAdmitted',
    ]);
  });

  it('is published whatever else was refused, in order', async () => {
    const moved = { kind: 'moved', task: admitted, events: lastEvents(admitted) } as const;
    const { types, noted } = await reacting([refused('stale'), moved, said(lastEvents(queued))]);
    expect(types).toEqual(['TaskAdmitted', 'TaskQueued']);
    expect(noted).toEqual(['stale']);
  });

  it('may only say what its rule declares', async () => {
    const fact = anEvent(runStopRequested.of({ compute: 'ecs', startedBy: '', reason: { code: 'x', message: '' } }));
    await expect(reacting(said([fact]))).rejects.toMatchObject({ code: 'undeclared_fact', retry: 'never' });
  });
});

describe('what was done before', () => {
  it('is not said again to an ordinary duplicate', async () => {
    const { types, noted } = await reacting(already(admitted));
    expect(types).toEqual([]);
    expect(noted).toEqual(['duplicate']);
  });

  it('is said again to a retry', async () => {
    expect((await reacting(already(admitted), { tries: 2 })).types).toEqual(['TaskAdmitted']);
  });

  it('is said again when its commit is older than any first try', async () => {
    expect((await reacting(already(admitted), { seconds: 10 })).types).toEqual([]);
    expect((await reacting(already(admitted), { seconds: 11 })).types).toEqual(['TaskAdmitted']);
  });

  it('does not drive a task that has gone on', async () => {
    const gone = aTask({ status: 'HYDRATED' });
    expect((await reacting(already(admitted, gone), { tries: 2 })).types).toEqual([]);
  });

  it('is said again of a task that has gone on when it drives nothing', async () => {
    const gone = aTask({ status: 'HYDRATED' });
    expect((await reacting(already(queued, gone), { tries: 2 })).types).toEqual(['TaskQueued']);
  });
});

describe('a replay', () => {
  const byName = { ...event, 'replay-name': 'friday' };
  const byMark = anEvent(taskAdmitted.of({ slotKey: 'k' }), { replayOf: 'friday' });

  it.each([
    ['by the archive', byName],
    ['by its mark', byMark],
  ])('known %s never repeats what was done before', async (_, about) => {
    expect((await reacting(already(admitted), { tries: 3, seconds: 999, about })).types).toEqual([]);
  });

  it('marks what it publishes, so that nothing further takes it for new', async () => {
    const moved = { kind: 'moved', task: admitted, events: lastEvents(admitted) } as const;
    const { events } = await reacting(moved, { about: byName });
    expect(events[0]?.detail.metadata.replayOf).toBe('friday');
    expect((await reacting(moved)).events[0]?.detail.metadata.replayOf).toBeUndefined();
  });

  it('does not reach an effect', async () => {
    const { ran, noted } = await reacting(said([]), { kind: 'effect', about: byMark });
    expect(ran).toBe(false);
    expect(noted).toEqual(['replay']);
  });
});

describe('the cause of a step', () => {
  it('is the id of our own event, whatever envelope it came in', () => {
    expect(causeOf({ ...event, id: 'another envelope' })).toEqual({ id: 'event-1', type: 'TaskAdmitted' });
  });

  it('is task and version of an ECS event, whatever envelope it came in', () => {
    expect(causeOf(anEcsEvent({ version: 4 }))).toEqual({ id: `${anArn()}#4`, type: 'ECS Task State Change' });
  });

  it('is the envelope of an event by hand', () => {
    const byHand = { ...event, id: 'by-hand', detail: { data: {} } };
    expect(causeOf(byHand).id).toBe('by-hand');
  });
});

describe('the subject of a fact', () => {
  it('is task, attempt and version', () => {
    const about = anEvent(taskAdmitted.of({ slotKey: 'k' }), { attempt: 2, version: 7 });
    expect(subject(about)).toMatchObject({ attempt: 2, version: 7, correlationId: 'correlation-1' });
  });

  it('must be there', () => {
    const { taskId: _gone, ...metadata } = event.detail.metadata;
    expect(() => subject({ ...event, detail: { ...event.detail, metadata } })).toThrow(
      expect.objectContaining({ code: 'malformed_event' }),
    );
  });
});
