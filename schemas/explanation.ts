import * as z from 'zod';
import { capacity, compute, isolation } from './compute.ts';
import { cause } from './envelope.ts';
import { instant } from './json.ts';
import { computeEnd, duePurpose, status } from './task.ts';
import { savedWork } from './task-result.ts';

/** Why something ended, and what a person does about it. */
const explainedReason = z.object({ code: z.string(), message: z.string(), remedy: z.string() });
export type ExplainedReason = z.infer<typeof explainedReason>;

/** One committed transition, inside the tree of causes. */
const explainedStep = z.object({
  transition: z.string(),
  from: status.nullable(),
  to: status,
  version: z.int().min(1),
  attempt: z.int().min(1),
  /** Its facts need no repetition: their delivery is proven. */
  proven: z.boolean(),
  facts: z.array(z.object({ id: z.string(), type: z.string() })),
  reason: explainedReason.optional(),
});

/**
 * Something that happened, with what it led to. `request`: what was asked for, the root; `event`: somebody outside the task's own facts
 * spoke, and a step followed; `step`: a transition; `noted`: a record says so, and no step followed; `settled`: the last thing.
 */
const explainedCause = z.object({
  kind: z.enum(['request', 'event', 'step', 'noted', 'settled']),
  /** Id of the event; `<task>#<version>` of a step. */
  id: z.string(),
  /** When it was taken in; a runner's own words carry its own time. */
  at: instant,
  /** Who did or said it. */
  who: z.string(),
  what: z.string(),
  /** Detail-type of an event. */
  type: z.string().optional(),
  step: explainedStep.optional(),
  /** Nothing in the task's record says what led to it; it stands below the request. */
  unlinked: z.literal(true).optional(),
  get ledTo() {
    return z.array(explainedCause);
  },
});
export type ExplainedCause = z.infer<typeof explainedCause>;

/** What an attempt begins with. `unknown`: the record does not tell any more; the archive does. */
const start = z.discriminatedUnion('from', [
  z.object({ from: z.literal('base_branch'), because: z.string() }),
  z.object({ from: z.literal('saved_work'), because: z.string(), savedWork }),
  z.object({ from: z.literal('unknown'), because: z.string() }),
]);

const explainedAttempt = z.object({
  attempt: z.int().min(1),
  start,
  /** The run, as the back end told of it; kept for the current attempt only. */
  run: z
    .object({
      startedBy: z.string(),
      dispatchedAt: instant,
      /** The native identity in the stored handle. */
      nativeId: z.string().optional(),
      /** Every native identity that was seen: the order number of its latest event (ECS: version; EC2: rank of the status), and whether it has ended. */
      seen: z.array(z.object({ nativeId: z.string(), sequence: z.int().optional(), ended: z.boolean() })),
      /** Where the back end tells nothing: since when its signs of life are the same, and how many looks found them so. */
      life: z.object({ since: instant, looks: z.int().min(0) }).optional(),
      stopRequests: z.int().min(0),
      ended: computeEnd.optional(),
    })
    .optional(),
  /** What the runner wrote into the record of its run. */
  runner: z
    .object({
      claim: z.object({ nativeId: z.string(), at: instant }).optional(),
      /** Its latest sign of life. */
      heartbeatAt: instant.optional(),
      firstOutputAt: instant.optional(),
      progress: z.object({ at: instant, text: z.string() }).optional(),
      report: z
        .object({
          outcome: z.enum(['succeeded', 'failed']),
          reason: explainedReason.optional(),
          retryAfterSeconds: z.int().optional(),
          /** Saved work that it should have begun with and did not find. */
          lostWork: savedWork.optional(),
          endedAt: instant,
        })
        .optional(),
      savedWork: savedWork.optional(),
      /** Nobody may claim it any more; nothing of it counts any more. */
      noClaim: z.boolean(),
      closed: z.boolean(),
    })
    .optional(),
  /** How it gave way to the next attempt; absent in the last one. */
  lost: z
    .object({
      at: instant,
      /** It paused for something outside, as a rate limit, which uses up no attempt. */
      paused: z.boolean(),
      /** null: the entry is so old that it was shrunk; the event of this id, in the archive, says it. */
      reason: explainedReason.nullable(),
      nextAttemptAt: instant.optional(),
      factId: z.string(),
    })
    .optional(),
});
export type ExplainedAttempt = z.infer<typeof explainedAttempt>;

/** What must happen next, who does it, and what happens if nobody has done it by then. */
const next = z.object({
  what: z.string(),
  who: z.string(),
  /** Id of the event that sets it off, where that is a fact of the task. */
  on: z.string().optional(),
  by: instant.optional(),
  otherwise: z.string(),
});
export type Next = z.infer<typeof next>;

/** The slot key of the task, and where the task stands with it. */
const explainedSlot = z.object({
  key: z.string(),
  standing: z.enum(['none', 'waits', 'granted', 'holds']),
  since: instant.optional(),
  /** Place in line, 1 is next; with `waits`. */
  place: z.int().min(1).optional(),
  /** How many may hold at once; absent while nobody has used the key. */
  limit: z.int().min(0).optional(),
  waiting: z.int().min(0),
  holding: z.int().min(0),
  /** Who holds, longest first; the first of them. */
  holders: z.array(z.object({ taskId: z.string(), attempt: z.int(), since: instant })),
});
export type ExplainedSlot = z.infer<typeof explainedSlot>;

/** Why a task stands where it stands: what `baton explain --json` prints. */
export const explanation = z.object({
  taskId: z.string(),
  status,
  /** When it came into its state. */
  since: instant.optional(),
  version: z.int().min(1),
  attempt: z.int().min(1),
  attempts: z.int().min(1),
  /** How often it paused for something outside, as a rate limit; such attempts are not counted. */
  pauses: z.int().optional(),
  settled: z.boolean(),
  /** When this was looked at. */
  at: instant,
  submittedAt: instant,
  deadlineAt: instant,
  /** Where its runs are, who shares what they stand on, and what kind of capacity they use; absent from an older world. */
  compute: compute.optional(),
  isolation: isolation.optional(),
  capacity: capacity.optional(),
  /** What the status means here. */
  standing: z.string(),
  /** Why the task ended, stops, or backs off. */
  reason: explainedReason.optional(),
  tree: explainedCause,
  /** Causes in the tree that nothing links to what came before. */
  unlinked: z.array(cause),
  attemptsMade: z.array(explainedAttempt).min(1),
  slot: explainedSlot,
  /** What somebody looks after at which time at the latest, the earliest first. */
  due: z.array(z.object({ purpose: duePurpose, at: instant, happens: z.string() })),
  /** null: nothing is left to do. */
  next: next.nullable(),
  end: z
    .object({
      at: instant,
      detectedBy: z.enum(['report', 'event', 'alarm', 'request']),
      /** The same in words. */
      detected: z.string(),
      settledAt: instant.optional(),
    })
    .optional(),
  /** Deliveries that changed nothing. Where they are not kept beside the task, `keptIn` says where they are. */
  ignored: z.object({
    keptIn: z.enum(['journal', 'logs']),
    duplicates: z.int().min(0),
    events: z.array(z.object({ at: instant, cause, reason: z.string() })),
  }),
});
export type Explanation = z.infer<typeof explanation>;
