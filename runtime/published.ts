import { eventOf } from '../events/index.ts';
import type { Note } from '../lifecycle/move.ts';
import type { BatonEvent, Cause, Envelope } from '../schemas/envelope.ts';
import type { Grant } from '../schemas/slot.ts';
import type { HistoryEntry, StoredFact, Task } from '../schemas/task.ts';

/** Where events of this process say they come from; the bus of a real account overwrites all three. */
const PLACE = { version: '0', account: '000000000000', region: 'local', resources: [] as readonly string[] } as const;

/** The events of a committed transition: the same whoever asks, and the driving one last. */
export function entryEvents(task: Task, entry: HistoryEntry): BatonEvent[] {
  const events = entry.facts
    .filter((fact) => fact.data !== undefined)
    .map((fact) =>
      compose(fact, { task, at: entry.at, version: entry.version, attempt: entry.attempt, cause: entry.cause }),
    );
  return drivingLast(events);
}

/** The events of facts that belong to no transition. */
export const noteEvents = (task: Task, notes: readonly Note[], cause: Cause, at: string): BatonEvent[] =>
  notes.map(({ id, fact }) =>
    compose(
      { id, type: fact.type, schemaVersion: eventOf(fact.type)?.version ?? 1, data: fact.data },
      { task, at, version: task.version, attempt: task.attempt, cause },
    ),
  );

/** A fact about something that is no task (yet): a rejection, a reused key, a configuration. */
export const looseEvent = (
  fact: { type: string; data: unknown },
  about: { id: string; taskId?: string; cause: Cause; correlationId: string; at: string },
): BatonEvent =>
  compose(
    { id: about.id, type: fact.type, schemaVersion: eventOf(fact.type)?.version ?? 1, data: fact.data },
    { task: about, at: about.at, cause: about.cause },
  );

/** The event of a grant that a slot item keeps. */
export function grantEvent(grant: Grant): BatonEvent {
  const { taskId, attempt } = grant.fact.data as { taskId: string; attempt: number };
  return compose(grant.fact, {
    task: { taskId, correlationId: grant.correlationId },
    at: grant.at,
    attempt,
    cause: grant.cause,
  });
}

/** A fact drives when the next step of its task depends on its delivery. */
export const drives = (event: Envelope): boolean => eventOf(event['detail-type'])?.drives ?? false;

const drivingLast = (events: BatonEvent[]): BatonEvent[] => [
  ...events.filter((event) => !drives(event)),
  ...events.filter(drives),
];

interface About {
  readonly task: {
    readonly taskId?: string;
    readonly correlationId: string;
    readonly traceparent?: string | undefined;
  };
  readonly at: string;
  readonly version?: number;
  readonly attempt?: number;
  readonly cause: Cause;
}

function compose(fact: StoredFact, { task, at, version, attempt, cause }: About): BatonEvent {
  return {
    ...PLACE,
    id: fact.id,
    'detail-type': fact.type,
    source: 'baton',
    time: at,
    detail: {
      metadata: {
        id: fact.id,
        ...(task.taskId === undefined ? {} : { taskId: task.taskId }),
        ...(attempt === undefined ? {} : { attempt }),
        ...(version === undefined ? {} : { version }),
        correlationId: task.correlationId,
        causationId: cause.id,
        occurredAt: at,
        schemaVersion: fact.schemaVersion ?? eventOf(fact.type)?.version ?? 1,
        ...(task.traceparent === undefined ? {} : { traceparent: task.traceparent }),
      },
      data: fact.data,
    },
  };
}
