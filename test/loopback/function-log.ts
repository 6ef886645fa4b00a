import * as z from 'zod';
import type { TaskJournal } from '../../runtime/engine/journal.ts';

/** One line of a function's log, as far as this world reads it (`runtime/aws/delivery-log.ts`). */
const line = z.looseObject({
  message: z.string(),
  timestamp: z.string(),
  rule: z.string(),
  taskId: z.string().optional(),
  event: z.string().optional(),
  /** Of Lambda; the same in the record of what was given up. */
  function_request_id: z.string().optional(),
  causeId: z.string().optional(),
  outcome: z.string().optional(),
  reasons: z.array(z.string()).optional(),
  error: z.looseObject({ code: z.string(), message: z.string() }).optional(),
});

/** What a function said about a delivery that failed. */
export interface FailedDelivery {
  readonly rule: string;
  readonly code: string;
  readonly message: string;
}

/** What the functions' logs say: on AWS that is where one reads why something was ignored. */
export interface FunctionLog {
  /** Takes one line of any function. */
  take(text: string): void;
  journal(taskId: string): TaskJournal;
  /** What the last failed try of an invocation said; undefined when its process died without a word. */
  failure(requestId: string): FailedDelivery | undefined;
}

export function functionLog(): FunctionLog {
  const journals = new Map<string, TaskJournal>();
  const failures = new Map<string, FailedDelivery>();
  return {
    take(text) {
      // Metrics, what processes say when they die, and lines that they did not finish are of no interest here.
      const said = line.safeParse(jsonIn(text)).data;
      if (!said) return;
      const { taskId = '', outcome, reasons = [], timestamp: at, causeId: id = '', event: type = '' } = said;
      const { duplicates, ignored } = journals.get(taskId) ?? NOTHING;
      // `already`: a duplicate after which was published again what nothing had proven.
      const isDuplicate = outcome === 'duplicate' || outcome === 'already';
      journals.set(taskId, {
        duplicates: duplicates + (isDuplicate ? 1 : 0),
        ignored: [...ignored, ...reasons.map((reason) => ({ at, cause: { id, type }, reason }))],
      });
      const { rule, error, function_request_id: requestId } = said;
      if (error && requestId !== undefined) failures.set(requestId, { rule, code: error.code, message: error.message });
    },
    journal: (taskId) => journals.get(taskId) ?? NOTHING,
    failure: (requestId) => failures.get(requestId),
  };
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const NOTHING: TaskJournal = { duplicates: 0, ignored: [] };
