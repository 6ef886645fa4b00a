import type { PutEventsRequestEntry, PutEventsResultEntry } from '@aws-sdk/client-eventbridge';
import { runClaimed } from '../events/run-claimed.ts';
import { runFenced } from '../events/run-fenced.ts';
import { runProgressed } from '../events/run-progressed.ts';
import { runReported } from '../events/run-reported.ts';
import type { BatonDetail } from '../schemas/envelope.ts';
import { Refused, type RunEvent, type RunIdentity } from './control-plane.ts';
import type { Tried } from './until-answered.ts';

const definitions = {
  RunClaimed: runClaimed,
  RunProgressed: runProgressed,
  RunReported: runReported,
  RunFenced: runFenced,
} as const;

/** What a runner says, as an entry for the bus. Its id follows from its number, so whoever gets it twice knows it. */
export function entryOf(
  run: RunIdentity,
  event: RunEvent,
  { bus, at }: { bus: string; at: string },
): PutEventsRequestEntry {
  const { taskId, attempt, nativeId } = run;
  const definition = definitions[event.type];
  const id = `${nativeId}#${attempt}#${event.seq}`;
  const metadata = {
    id,
    taskId,
    attempt,
    correlationId: taskId,
    causationId: id,
    occurredAt: at,
    schemaVersion: definition.version,
  };
  const data = definition.schema.parse({ ...event.data, taskId, attempt, nativeId, seq: event.seq });
  return {
    EventBusName: bus,
    Source: definition.source,
    DetailType: definition.type,
    Detail: JSON.stringify({ metadata, data } satisfies BatonDetail),
    Time: new Date(at),
  };
}

/** `ErrorCode` of a failed entry that passes; the others stay (EventBridge API reference, PutEventsResultEntry). */
const PASSING: ReadonlySet<string> = new Set(['InternalException', 'InternalFailure', 'ThrottlingException']);

/** A failed entry in an answer of status 200. Throws `Refused` unless it may be put again. */
export function tryAgainAfterEntry(told: PutEventsResultEntry | undefined): Tried<never> {
  const { ErrorCode: code = 'no code', ErrorMessage: message = 'no message' } = told ?? {};
  const sentence = `EventBridge PutEvents: ${code}: ${message}`;
  if (!PASSING.has(code)) throw new Refused(sentence);
  return { tryAgain: sentence };
}
