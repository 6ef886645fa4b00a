import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { AgentReport } from '../schemas/agent-report.ts';
import { shortText } from '../schemas/json.ts';
import { type RunRecord, runRecord } from '../schemas/run-record.ts';
import type { SavedWork } from '../schemas/task-result.ts';
import { BatonError, StoreError } from './errors.ts';
import type { Clock, RecordStore, RunSignal, Runs } from './ports.ts';
import { DECIDE_TRIES, runKey } from './records.ts';

/** What a runner may do to the record of its own attempt; the world's API and, on AWS, the runner's own client offer it. */
export interface RunnerSide {
  /** Is this the token of that attempt? Compared in constant time. */
  isToken(taskId: string, attempt: number, token: string): Promise<boolean>;
  /** `already` is the claim of an earlier call; one with the `claimId` of the claim that stands is told again that it has claimed. */
  claim(signal: RunSignal, claimId?: string): Promise<'claimed' | 'already' | 'fenced'>;
  /** Immediately before each push: does this run still count? */
  confirm(signal: RunSignal): Promise<'confirmed' | 'fenced'>;
  heartbeat(signal: RunSignal): Promise<'kept' | 'fenced'>;
  /** The agent has said something; told again, the first time stands. */
  firstWord(signal: RunSignal): Promise<'kept' | 'already' | 'fenced'>;
  report(signal: RunSignal, report: AgentReport): Promise<'stored' | 'already' | 'fenced'>;
  saveWork(signal: RunSignal, savedWork: SavedWork): Promise<'kept' | 'fenced'>;
}

export interface RunsOver {
  readonly store: RecordStore;
  readonly clock: Clock;
  /** Known to this deployment alone: run tokens are derived from it. Asked for when it is needed. */
  readonly secret: () => string | Promise<string>;
  /** How a stored record is read; where runners write records themselves, with care (`runRecordIn`). */
  readonly read?: (value: unknown) => RunRecord;
}

/** The runs port, and the runner's side of it, over any record store. */
export function runsOver({ store, clock, secret, read = trusted }: RunsOver): Runs & RunnerSide {
  const runs: Runs = { get, open, forbidClaim, close, noteStray, noteOutlived, progress };
  return { ...runs, isToken, claim, confirm, heartbeat, firstWord, report, saveWork };

  async function get(taskId: string, attempt: number): Promise<RunRecord | undefined> {
    const stored = await store.get(runKey(taskId, attempt));
    return stored && read(stored.value);
  }

  async function open(taskId: string, attempt: number): Promise<{ token: string }> {
    const token = createHmac('sha256', await secret())
      .update(`run#${taskId}#${attempt}`)
      .digest('base64url');
    const record: RunRecord = { taskId, attempt, tokenHash: hashOf(token), openedAt: clock.now() };
    await store.put(runKey(taskId, attempt), record, 'absent');
    return { token };
  }

  async function forbidClaim(taskId: string, attempt: number): Promise<void> {
    await change(taskId, attempt, (record) => (record.noClaim ? undefined : { ...record, noClaim: true }));
  }

  async function close(taskId: string, attempt: number): Promise<void> {
    await change(taskId, attempt, (record) => (record.closed ? undefined : { ...record, noClaim: true, closed: true }));
  }

  async function noteStray(
    taskId: string,
    attempt: number,
    strayHandle: NonNullable<RunRecord['strayHandle']>,
  ): Promise<void> {
    await change(taskId, attempt, (record) => (record.strayHandle ? undefined : { ...record, strayHandle }));
  }

  async function noteOutlived({
    taskId,
    attempt,
    nativeId,
  }: RunSignal): Promise<{ at: string; before: boolean } | undefined> {
    let noted: { at: string; before: boolean } | undefined;
    await change(taskId, attempt, (record) => {
      noted = undefined;
      if (!record.closed || record.claim?.nativeId !== nativeId) return undefined;
      noted = { at: record.outlivedAt ?? clock.now(), before: record.outlivedAt !== undefined };
      return noted.before ? undefined : { ...record, outlivedAt: noted.at };
    });
    return noted;
  }

  async function progress({
    seq,
    text,
    byRunner,
    ...signal
  }: Parameters<Runs['progress']>[0]): Promise<'kept' | 'stale' | 'fenced'> {
    let answer: 'kept' | 'stale' | 'fenced' = 'fenced';
    await change(signal.taskId, signal.attempt, (record) => {
      answer = !speaks(record, signal) ? 'fenced' : seq <= (record.progress?.seq ?? -1) ? 'stale' : 'kept';
      const at = clock.now();
      // The agent's first word counts even where a later one overtook it.
      const isFirst = answer !== 'fenced' && !byRunner && record.firstOutputAt === undefined;
      if (answer !== 'kept' && !isFirst) return undefined;
      return {
        ...record,
        ...(answer === 'kept' ? { progress: { seq, text: shortText(text), at } } : {}),
        ...(isFirst ? { firstOutputAt: at } : {}),
      };
    });
    return answer;
  }

  async function isToken(taskId: string, attempt: number, token: string): Promise<boolean> {
    const record = await get(taskId, attempt);
    return record !== undefined && timingSafeEqual(Buffer.from(record.tokenHash), Buffer.from(hashOf(token)));
  }

  async function claim(
    { taskId, attempt, nativeId }: RunSignal,
    claimId?: string,
  ): Promise<'claimed' | 'already' | 'fenced'> {
    let answer: 'claimed' | 'already' | 'fenced' = 'fenced';
    await change(taskId, attempt, (record) => {
      answer = answerToClaim(record, nativeId, claimId);
      if (record.claim || answer !== 'claimed') return undefined;
      return { ...record, claim: { nativeId, at: clock.now(), ...(claimId === undefined ? {} : { claimId }) } };
    });
    return answer;
  }

  async function confirm(signal: RunSignal): Promise<'confirmed' | 'fenced'> {
    return (await asClaimant(signal, () => ({ confirmedAt: clock.now() }))) ? 'confirmed' : 'fenced';
  }

  async function heartbeat(signal: RunSignal): Promise<'kept' | 'fenced'> {
    return (await asClaimant(signal, () => ({ heartbeatAt: clock.now() }))) ? 'kept' : 'fenced';
  }

  async function firstWord(signal: RunSignal): Promise<'kept' | 'already' | 'fenced'> {
    let answer: 'kept' | 'already' | 'fenced' = 'fenced';
    await change(signal.taskId, signal.attempt, (record) => {
      answer = !speaks(record, signal) ? 'fenced' : record.firstOutputAt ? 'already' : 'kept';
      return answer === 'kept' ? { ...record, firstOutputAt: clock.now() } : undefined;
    });
    return answer;
  }

  async function report(signal: RunSignal, told: AgentReport): Promise<'stored' | 'already' | 'fenced'> {
    let answer: 'stored' | 'already' | 'fenced' = 'fenced';
    await change(signal.taskId, signal.attempt, (record) => {
      answer = !speaks(record, signal) ? 'fenced' : record.report ? 'already' : 'stored';
      if (answer !== 'stored') return undefined;
      return { ...record, report: told, ...(told.savedWork ? { savedWork: told.savedWork } : {}) };
    });
    return answer;
  }

  async function saveWork(signal: RunSignal, savedWork: SavedWork): Promise<'kept' | 'fenced'> {
    return (await asClaimant(signal, () => ({ savedWork }))) ? 'kept' : 'fenced';
  }

  async function asClaimant(signal: RunSignal, changes: () => Partial<RunRecord>): Promise<boolean> {
    let speaking = false;
    await change(signal.taskId, signal.attempt, (record) => {
      speaking = speaks(record, signal);
      return speaking ? { ...record, ...changes() } : undefined;
    });
    return speaking;
  }

  /** Decides on the record as it is and writes it by one conditional write; `undefined` leaves it alone. */
  async function change(
    taskId: string,
    attempt: number,
    next: (record: RunRecord) => RunRecord | undefined,
  ): Promise<void> {
    for (let tries = 0; tries < DECIDE_TRIES; tries++) {
      const stored = await store.get(runKey(taskId, attempt));
      if (!stored) return;
      const value = next(read(stored.value));
      if (!value) return;
      if ((await store.put(runKey(taskId, attempt), value, stored.revision)).outcome === 'written') return;
    }
    throw new BatonError(
      'contention',
      `the run record of ${taskId}, attempt ${attempt}, was written by others ${DECIDE_TRIES} times`,
    );
  }
}

/** Where the control plane alone writes records, what is read is what was written. */
const trusted = (value: unknown): RunRecord => value as RunRecord;

/** What a runner may have written; the rest is the control plane's. */
const RUNNERS_FIELDS = [
  'claim',
  'heartbeatAt',
  'confirmedAt',
  'progress',
  'firstOutputAt',
  'report',
  'savedWork',
] as const;

/**
 * A record that its runner may have written to directly, with its token: a part of it that is not as it must be counts as not written.
 * Throws `store_corrupt` where the control plane's own part is damaged.
 */
export function runRecordIn(value: unknown): RunRecord {
  const whole = runRecord.safeParse(value);
  // Unknown fields stay: newer code, side by side with this, may have written them.
  if (whole.success) return trusted(value);
  const kept: Record<string, unknown> = { ...(value as object) };
  for (const { path } of whole.error.issues) {
    const field = RUNNERS_FIELDS.find((name) => name === path[0]);
    if (field) delete kept[field];
  }
  const rest = runRecord.safeParse(kept);
  if (rest.success) return trusted(kept);
  const said = rest.error.issues.map((issue) => issue.path.join('.')).join(', ');
  throw new StoreError('store_corrupt', `A run record is damaged in ${said}`);
}

function answerToClaim(
  { closed, noClaim, claim }: RunRecord,
  nativeId: string,
  claimId: string | undefined,
): 'claimed' | 'already' | 'fenced' {
  if (closed) return 'fenced';
  if (claim === undefined) return noClaim ? 'fenced' : 'claimed';
  if (claim.nativeId !== nativeId) return 'fenced';
  return claimId !== undefined && claim.claimId === claimId ? 'claimed' : 'already';
}

/** Only the claimant of an attempt that is not closed speaks for it. */
const speaks = (record: RunRecord, signal: RunSignal): boolean =>
  !record.closed && record.claim?.nativeId === signal.nativeId;

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');
