import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeEventBusCommand,
  type EventBridgeClient,
  PutEventsCommand,
  type PutEventsRequestEntry,
} from '@aws-sdk/client-eventbridge';
import type { Envelope } from '../../schemas/envelope.ts';
import { BatonError } from '../errors.ts';
import { drives } from '../published.ts';
import { type Fault, sdkError, serviceError } from './sdk-errors.ts';

/** Entries of one PutEvents call (EventBridge API reference). */
const CALL_MAX_ENTRIES = 10;
/** All entries of one call together stay below this, in bytes as EventBridge counts them: 1 MB. */
const CALL_MAX_BYTES = 1_048_576;
/** What an entry's time stamp counts, in bytes, however it is written. */
const TIME_BYTES = 14;
/** An entry is put this often at the most; with the waits between, 1.6 s at the worst, far inside a function's time-out. */
const PUT_TRIES = 6;
/** Longest wait before the first repetition, in milliseconds; doubled for each further one. */
const BACKOFF_FIRST_MS = 50;

export interface EventBridgeBus {
  /** Resolves when the bus has accepted every event. Rejects with a BatonError that says when to try again; some may be on the bus then. */
  publish(events: readonly Envelope[]): Promise<void>;
  /** Rejects with `bus_missing` where there is no such bus: PutEvents accepts events for one, and drops them. */
  verify(): Promise<void>;
}

export interface EventBridgeBusOptions {
  readonly client: EventBridgeClient;
  /** Name or ARN. */
  readonly bus: string;
  /** Waits before failed entries are put again. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

/**
 * The bus as handlers publish on it. Facts that drive a task on go in a call of their own, after all others were accepted, so that
 * the delivery of one proves the others. EventBridge answers 200 with failed entries: those alone are put again. What is put twice
 * has the same `detail.metadata.id`.
 */
export function eventBridgeBus({ client, bus, pause = sleep }: EventBridgeBusOptions): EventBridgeBus {
  return {
    async publish(events) {
      const entries = events.map((event) => entryOf(event, bus));
      for (const entry of entries) refuseOversized(entry);
      await putAll(entries.filter(({ drives }) => !drives));
      await putAll(entries.filter(({ drives }) => drives));
    },
    async verify() {
      try {
        await client.send(new DescribeEventBusCommand({ Name: bus }));
      } catch (error) {
        if (sdkError(error).name !== 'ResourceNotFoundException')
          throw serviceError('EventBridge DescribeEventBus', error);
        throw new BatonError('bus_missing', `There is no event bus ${bus}.`, { cause: error });
      }
    },
  };

  async function putAll(entries: readonly Entry[]): Promise<void> {
    const refused: Failed[] = [];
    for (const call of callsOf(entries)) refused.push(...(await putUntilAccepted(call)));
    if (refused.length > 0) throw notAccepted(refused);
  }

  /** Puts what failed in passing again; gives back what the bus will never accept. */
  async function putUntilAccepted(call: readonly Entry[]): Promise<Failed[]> {
    const refused: Failed[] = [];
    let left = call;
    for (let tries = 1; ; tries++) {
      const failed = await putOnce(left);
      const passing = failed.filter(({ fault }) => fault === 'throttled' || fault === 'unavailable');
      refused.push(...failed.filter((one) => !passing.includes(one)));
      if (passing.length === 0) return refused;
      if (tries === PUT_TRIES) throw notAccepted([...refused, ...passing]);
      left = passing.map(({ entry }) => entry);
      await pause(backoffMs(tries));
    }
  }

  async function putOnce(entries: readonly Entry[]): Promise<Failed[]> {
    const { Entries: results = [] } = await client
      .send(new PutEventsCommand({ Entries: entries.map(({ put }) => put) }))
      .catch((error) => {
        throw serviceError('EventBridge PutEvents', error);
      });
    // Results stand in the order of the entries. One without an id was not accepted, whatever else is said.
    return entries.flatMap((entry, place) => {
      const { EventId: id, ErrorCode: code, ErrorMessage: message = '' } = results[place] ?? {};
      if (id !== undefined && code === undefined) return [];
      return [{ entry, fault: faults[code ?? ''] ?? 'unavailable', told: `${code ?? 'no answer'}: ${message}` }];
    });
  }
}

/** An event as PutEvents takes it. */
interface Entry {
  /** Type and id, for people. */
  readonly name: string;
  readonly drives: boolean;
  readonly bytes: number;
  readonly put: PutEventsRequestEntry;
}

interface Failed {
  readonly entry: Entry;
  readonly fault: Fault;
  readonly told: string;
}

/** `ErrorCode` of a failed entry → what it means; others pass (EventBridge API reference, PutEventsResultEntry). */
const faults: Record<string, Fault> = {
  ThrottlingException: 'throttled',
  InternalFailure: 'unavailable',
  AccessDeniedException: 'denied',
  NotAuthorizedForSourceException: 'denied',
  NotAuthorizedForDetailTypeException: 'denied',
  InvalidAccountIdException: 'refused',
  InvalidArgument: 'refused',
  MalformedDetail: 'refused',
  RedactionFailure: 'refused',
};

function entryOf(event: Envelope, bus: string): Entry {
  const type = event['detail-type'];
  const detail = JSON.stringify(event.detail);
  const texts = [event.source, type, detail, ...event.resources];
  return {
    name: `${type} ${event.id}`,
    drives: drives(event),
    bytes: TIME_BYTES + texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    put: {
      EventBusName: bus,
      Source: event.source,
      DetailType: type,
      Detail: detail,
      Resources: [...event.resources],
      Time: new Date(event.time),
    },
  };
}

function refuseOversized({ name, bytes }: Entry): void {
  if (bytes < CALL_MAX_BYTES) return;
  throw new BatonError(
    'service_refused',
    `EventBridge PutEvents: ${name} has ${bytes} bytes and must have fewer than ${CALL_MAX_BYTES}.`,
    { remedy: 'Pass long material by reference: an event carries facts.' },
  );
}

/** In order, each within the bounds of one call. */
function callsOf(entries: readonly Entry[]): Entry[][] {
  const calls: Entry[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const call = calls.at(-1);
    bytes += entry.bytes;
    if (call && call.length < CALL_MAX_ENTRIES && bytes < CALL_MAX_BYTES) call.push(entry);
    else {
      calls.push([entry]);
      bytes = entry.bytes;
    }
  }
  return calls;
}

/** Half of the wait is chance, so that those who were throttled together do not come back together. */
const backoffMs = (tries: number): number => (BACKOFF_FIRST_MS * 2 ** (tries - 1) * (1 + Math.random())) / 2;

/** One error for all of them; where any may never be tried again, that one says so. */
function notAccepted(failed: readonly Failed[]): BatonError {
  const worst = (['denied', 'refused', 'unavailable', 'throttled'] as const).find((fault) =>
    failed.some((one) => one.fault === fault),
  );
  const told = failed.map(({ entry, told }) => `${entry.name} (${told})`).join(', ');
  return new BatonError(`service_${worst ?? 'unavailable'}`, `EventBridge PutEvents did not accept ${told}`);
}
