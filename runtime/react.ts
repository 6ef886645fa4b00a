import type { AnyEventDefinition, EventDefinition, NativeEventDefinition } from '../events/define.ts';
import { isSettled } from '../lifecycle/states.ts';
import type { Rule } from '../rules/rule.ts';
import type { BatonEvent, Cause, Envelope } from '../schemas/envelope.ts';
import { BatonError } from './errors.ts';
import type { Outcome } from './outcome.ts';
import type { Journal, Ports } from './ports.ts';
import { drives } from './published.ts';

/** What a handler is given of an event: typed by the rule's `on`. */
export type EventOf<On> =
  On extends NativeEventDefinition<infer Type, infer Detail>
    ? Envelope<Type, Detail>
    : On extends EventDefinition<infer Type, infer Data>
      ? BatonEvent<Type, Data>
      : never;

/** The ports that a rule names, and no others. A port from outside Baton's own is given as the world has it. */
export type PortsOf<Uses extends string> = {
  readonly [Name in Uses]: Name extends keyof Ports ? Ports[Name] : unknown;
};

/** What is known of a delivery besides its event. */
export interface Delivery {
  /** 1 for the first; more where the queue or the bus counts. */
  readonly tries: number;
}

export interface Reaction {
  readonly rule: Rule;
  /** Handles one delivery; what it returns is to be published before the delivery is acknowledged. The world gives the ports that the rule `uses`. */
  run(
    event: Envelope,
    ports: Readonly<Record<string, unknown>>,
    world: Surroundings,
    delivery: Delivery,
  ): Promise<readonly BatonEvent[]>;
}

/** What `react` itself needs of the world. */
export interface Surroundings {
  now(): string;
  /** Seconds from which a commit's duplicate counts as a retry. */
  republishAgeSeconds(): number;
  readonly journal: Journal;
}

type Body<On, Uses extends string> = (
  event: EventOf<On>,
  ports: PortsOf<Uses>,
  delivery: {
    mayRepeat(already: { committedAt: string }): boolean;
    /** It comes from the archive, or from something that did. */
    readonly isReplay: boolean;
  },
) => Promise<Outcome | readonly Outcome[]>;

/**
 * Ties a reaction to its rule. The reaction says what happened; this decides what is published:
 * a move always; a repetition only where the delivery is known to be a retry or the commit is old, never during a replay, and
 * driving facts only while the task still stands where they left it.
 */
export function react<On extends AnyEventDefinition, Uses extends string>(
  rule: Rule<On, Uses>,
  body: Body<On, Uses>,
): Reaction {
  const declared = new Set(rule.emits.map((event) => event.type));
  return {
    rule,
    async run(event, ports, world, delivery) {
      const replay = replayOf(event);
      const cause = causeOf(event);
      const about = subjectOf(event);
      if (replay !== undefined && rule.kind === 'effect') {
        world.journal.ignored(about, cause, 'replay');
        return [];
      }
      const mayRepeat = ({ committedAt }: { committedAt: string }): boolean =>
        replay === undefined && countsAsRetry(committedAt, delivery, world);
      const told = await body(event as EventOf<On>, ports as PortsOf<Uses>, {
        mayRepeat,
        isReplay: replay !== undefined,
      });
      const outcomes: readonly Outcome[] = Array.isArray(told) ? told : [told as Outcome];
      const events = outcomes.flatMap((outcome) =>
        publishable(outcome, mayRepeat, (reason) => {
          if (reason === undefined) world.journal.duplicate(about, cause);
          else world.journal.ignored(about, cause, reason);
        }),
      );
      for (const one of events) {
        if (!declared.has(one['detail-type'])) {
          throw new BatonError(
            'undeclared_fact',
            `rule "${rule.name}" does not declare that it emits ${one['detail-type']}`,
          );
        }
      }
      return replay === undefined ? events : events.map((one) => stamped(one, replay));
    },
  };
}

/** What caused a step: our own events carry their id; native ones are known by what ECS, SSM and EventBridge keep the same. */
export function causeOf(event: Envelope): Cause {
  const type = event['detail-type'];
  return { id: causeIdOf(event), type, ...(replayOf(event) === undefined ? {} : { replayed: true as const }) };
}

function causeIdOf(event: Envelope): string {
  const detail = event.detail as { metadata?: { id?: string } } & Readonly<Record<string, unknown>>;
  switch (event.source) {
    case 'aws.ecs':
      return `${detail['taskArn']}#${detail['version']}`;
    case 'aws.ssm':
      return `${detail['command-id']}#${detail['instance-id']}#${detail['status']}`;
    default:
      return detail.metadata?.id ?? event.id;
  }
}

/** The task, attempt and version that one of our own facts is about. Throws `malformed_event` when it says none. */
export function subject(event: BatonEvent): {
  taskId: string;
  attempt: number;
  version: number;
  correlationId: string;
} {
  const { taskId, attempt, version, correlationId } = event.detail.metadata;
  if (taskId === undefined || attempt === undefined) {
    throw new BatonError(
      'malformed_event',
      `${event['detail-type']} ${event.id} does not say which task and attempt it is about`,
    );
  }
  return { taskId, attempt, version: version ?? 0, correlationId };
}

function publishable(
  outcome: Outcome,
  mayRepeat: (already: { committedAt: string }) => boolean,
  note: (reason?: string) => void,
): readonly BatonEvent[] {
  switch (outcome.kind) {
    case 'moved':
    case 'said':
      return outcome.events;
    case 'refused':
      note(outcome.reason);
      return [];
    case 'already': {
      note();
      if (!mayRepeat(outcome)) return [];
      // What drove a settled task drives nothing any more: it is said for those who only listen.
      return outcome.events.filter(
        (event) => !drives(event) || event.detail.metadata.version === outcome.task.version || isSettled(outcome.task),
      );
    }
  }
}

/** Whether a repetition may be due to a failure after its commit: it was tried before, or the commit is older than any first try. */
export const countsAsRetry = (
  committedAt: string,
  { tries }: Delivery,
  { now, republishAgeSeconds }: Pick<Surroundings, 'now' | 'republishAgeSeconds'>,
): boolean => tries > 1 || Date.parse(now()) - Date.parse(committedAt) > republishAgeSeconds() * 1000;

/** The replay in which the event was sent, or in which it was published; none for what just happened. */
export const replayOf = (event: Envelope): string | undefined =>
  event['replay-name'] ?? (event.detail as { metadata?: { replayOf?: string } }).metadata?.replayOf;

const stamped = (event: BatonEvent, replayOf: string): BatonEvent => ({
  ...event,
  detail: { ...event.detail, metadata: { ...event.detail.metadata, replayOf } },
});

/** The task an event speaks of, for the journal; empty when it speaks of none. */
export function subjectOf(event: Envelope): string {
  const detail = event.detail as { metadata?: { taskId?: string }; data?: { taskId?: string }; startedBy?: string };
  return detail.metadata?.taskId ?? detail.data?.taskId ?? detail.startedBy?.split('/')[2] ?? '';
}
