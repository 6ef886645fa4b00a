import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import {
  type EventBridgeClient,
  PutEventsCommand,
  type PutEventsCommandOutput,
  type PutEventsRequestEntry,
} from '@aws-sdk/client-eventbridge';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { agentReport } from '../schemas/agent-report.ts';
import { payloadObjectKey } from '../schemas/record-keys.ts';
import { sendsOf, tryAgainAfter } from './aws-faults.ts';
import { entryOf, tryAgainAfterEntry } from './aws-run-events.ts';
import {
  CLAIMABLE,
  CLAIMED_BY_ME,
  holds,
  type KnownRecord,
  keyOf,
  objectionOf,
  REPORTABLE,
  type RunWrite,
  recordIn,
  UNSPOKEN,
  updateOf,
  wellFormed,
} from './aws-run-record.ts';
import { type ControlPlane, Fenced, type Patience, Refused, type RunIdentity } from './control-plane.ts';
import { payloadIn } from './payload.ts';
import { type Tried, untilAnswered } from './until-answered.ts';

export interface AwsControlPlaneOptions {
  readonly dynamoDb: DynamoDBClient;
  readonly s3: S3Client;
  readonly eventBridge: EventBridgeClient;
  readonly table: string;
  readonly bucket: string;
  /** Name or ARN. */
  readonly bus: string;
}

/**
 * The control plane on AWS: the runner writes its own run record, each time by one conditional update, reads its one payload, and
 * puts its events. Needs `dynamodb:UpdateItem` on keys that begin with `RUN#`, `s3:GetObject` below `payloads/`, `events:PutEvents`
 * with the source `baton.agent`; the table is asked for the record (`dynamodb:GetItem`) only where a refused write does not show it.
 */
export function awsControlPlane(options: AwsControlPlaneOptions): ControlPlane {
  const { dynamoDb, s3, eventBridge, table, bucket, bus } = options;
  return {
    payload: async (reference, patience) =>
      payloadIn(await untilAnswered(patience, (timeoutMs) => objectAt(payloadObjectKey(reference), timeoutMs))),

    claim: async (run, patience) => {
      const claim = { nativeId: run.nativeId, at: now() };
      const outcome = await write(run, () => ({ set: { claim }, when: CLAIMABLE }), patience);
      return outcome === 'written' ? 'claimed' : 'already';
    },
    confirm: async (run, patience) => {
      await write(run, () => ({ set: { confirmedAt: now() }, when: CLAIMED_BY_ME }), patience);
    },
    heartbeat: async (run, patience) => {
      await write(run, () => ({ set: { heartbeatAt: now() }, when: CLAIMED_BY_ME }), patience);
    },
    firstWord: async (run, patience) => {
      const firstOutputAt = now();
      await write(run, () => ({ set: { firstOutputAt }, when: UNSPOKEN }), patience);
    },
    report: async (run, told, patience) => {
      const report = agentReport.parse(wellFormed(told));
      const { savedWork } = report;
      const set = { report, ...(savedWork ? { savedWork } : {}) };
      const outcome = await write(run, () => ({ set, when: REPORTABLE }), patience);
      return outcome === 'written' ? 'stored' : 'already';
    },
    saveWork: async (run, savedWork, patience) => {
      await write(run, () => ({ set: { savedWork }, when: CLAIMED_BY_ME }), patience);
    },

    event: async (run, event, patience) => {
      const entry = entryOf(run, event, { bus, at: now() });
      await untilAnswered(patience, (timeoutMs) => put(entry, timeoutMs));
    },
  };

  async function objectAt(key: string, timeoutMs: number): Promise<Tried<string>> {
    try {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }), within(timeoutMs));
      return { answer: (await Body?.transformToString('utf-8')) ?? '' };
    } catch (error) {
      return tryAgainAfter('S3 GetObject', error);
    }
  }

  async function put(entry: PutEventsRequestEntry, timeoutMs: number): Promise<Tried<'taken'>> {
    let answer: PutEventsCommandOutput;
    try {
      answer = await eventBridge.send(new PutEventsCommand({ Entries: [entry] }), within(timeoutMs));
    } catch (error) {
      return tryAgainAfter('EventBridge PutEvents', error);
    }
    const { FailedEntryCount: failed = 0, Entries: [told] = [] } = answer;
    return failed === 0 ? { answer: 'taken' } : tryAgainAfterEntry(told);
  }

  /**
   * Writes until the table has answered. `already` is only what stood there before: a write of ours that was committed while its
   * answer was lost is known by what it wrote. What is wanted is asked anew before each try.
   */
  async function write(run: RunIdentity, want: () => RunWrite, patience: Patience): Promise<'written' | 'already'> {
    let answersWereLost = false;
    return untilAnswered(patience, async (timeoutMs) => {
      const wanted = want();
      const update = new UpdateItemCommand(updateOf(table, run, wanted));
      try {
        await dynamoDb.send(update, within(timeoutMs));
        return { answer: 'written' };
      } catch (error) {
        answersWereLost ||= sendsOf(error) > 1;
        if (error instanceof ConditionalCheckFailedException) {
          return objected(run, wanted, answersWereLost, await refusing(run, error, timeoutMs));
        }
        answersWereLost = true;
        return tryAgainAfter('DynamoDB UpdateItem', error);
      }
    });
  }

  /** The record that refused a write. DynamoDB shows it in the error; engines that do not are asked for it. */
  async function refusing(
    run: RunIdentity,
    error: ConditionalCheckFailedException,
    timeoutMs: number,
  ): Promise<Tried<KnownRecord | undefined>> {
    if (error.Item) return { answer: recordIn(error.Item) };
    try {
      const query = new GetItemCommand({ TableName: table, Key: keyOf(run), ConsistentRead: true });
      return { answer: recordIn((await dynamoDb.send(query, within(timeoutMs))).Item) };
    } catch (failure) {
      return tryAgainAfter('DynamoDB GetItem', failure);
    }
  }
}

/** What a refused write comes to, by the record that refused it. */
function objected(
  run: RunIdentity,
  wanted: RunWrite,
  answersWereLost: boolean,
  looked: Tried<KnownRecord | undefined>,
): Tried<'written' | 'already'> {
  if (!('answer' in looked)) return looked;
  const { answer: record } = looked;
  const objection = objectionOf(record, run, wanted);
  switch (objection) {
    case 'wrong_token':
      throw new Refused(`This is not the run token of attempt ${run.attempt} of task ${run.taskId}.`);
    case 'fenced':
      throw new Fenced(`Attempt ${run.attempt} of task ${run.taskId} is held by another run, or over.`);
    case 'already':
      return { answer: answersWereLost && holds(record, wanted) ? 'written' : 'already' };
    case undefined:
      return { tryAgain: 'the run record changed while it was looked at' };
  }
}

const now = (): string => new Date().toISOString();

const within = (ms: number): { abortSignal: AbortSignal } => ({ abortSignal: AbortSignal.timeout(ms) });
