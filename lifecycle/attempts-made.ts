import type { ExplainedAttempt } from '../schemas/explanation.ts';
import type { ReasonCode } from '../schemas/reason.ts';
import { nativeIdOf } from '../schemas/run-handle.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { HistoryEntry, StoredFact, Task, TaskRun } from '../schemas/task.ts';
import type { SavedWork } from '../schemas/task-result.ts';
import { explained, reasonIn } from './causal-tree.ts';
import { runOf } from './states.ts';

/** What became of each attempt, and what the next one begins with. `records`: those of the runs that are known, in any order. */
export function attemptsMade(task: Task, records: readonly RunRecord[]): ExplainedAttempt[] {
  const losses = new Map<number, HistoryEntry>();
  for (const entry of task.history) if (entry.to === 'BACKOFF') losses.set(entry.attempt, entry);
  const run = runOf(task);
  const made: ExplainedAttempt[] = [];
  for (let attempt = 1; attempt <= task.attempt; attempt++) {
    const record = records.find((one) => one.attempt === attempt);
    const loss = losses.get(attempt);
    made.push({
      attempt,
      start: startOf(losses.get(attempt - 1), made),
      ...(run?.attempt === attempt ? { run: runTold(run) } : {}),
      ...(record ? { runner: runnerTold(record) } : {}),
      ...(loss ? { lost: lossTold(loss) } : {}),
    });
  }
  return made;
}

/** What the fact of a lost run says; all of it is gone once its entry was shrunk. */
interface LossData {
  readonly savedWork?: SavedWork | null;
  readonly nextAttemptAt?: string;
  readonly paused?: boolean;
}

const RUN_LOST = 'RunLost';
const factOfLoss = (entry: HistoryEntry): StoredFact | undefined => entry.facts.find(({ type }) => type === RUN_LOST);

/** The attempt after a loss continues from what was saved, by whichever attempt; from the base branch when nothing ever was. */
function startOf(loss: HistoryEntry | undefined, before: readonly ExplainedAttempt[]): ExplainedAttempt['start'] {
  if (!loss) return { from: 'base_branch', because: 'It is the first.' };
  const data = factOfLoss(loss)?.data as LossData | undefined;
  if (data?.savedWork) return continues(data.savedWork, before);
  if (data) return NOTHING_SAVED;
  // The entry was shrunk: the records of the runs, as far back as they are known, say the same.
  const last = before.findLast(({ runner }) => !runner || runner.savedWork);
  if (!last) return NOTHING_SAVED;
  if (last.runner?.savedWork) return continues(last.runner.savedWork, before);
  return {
    from: 'unknown',
    because: `It is no longer kept here; the event ${factOfLoss(loss)?.id ?? RUN_LOST} says it.`,
  };
}

const NOTHING_SAVED = { from: 'base_branch', because: 'Nothing was saved.' } as const;

function continues({ branch, commit }: SavedWork, before: readonly ExplainedAttempt[]): ExplainedAttempt['start'] {
  const by = before.findLast(({ runner }) => runner?.savedWork?.commit === commit)?.attempt;
  const because = `${by === undefined ? 'An earlier attempt' : `Attempt ${by}`} left work on ${branch}.`;
  return { from: 'saved_work', because, savedWork: { branch, commit } };
}

function runTold(run: TaskRun): NonNullable<ExplainedAttempt['run']> {
  const ids = new Set([...Object.keys(run.seen ?? {}), ...(run.endedIds ?? [])]);
  return {
    startedBy: run.startedBy,
    dispatchedAt: run.dispatchedAt,
    ...(run.handle ? { nativeId: nativeIdOf(run.handle) } : {}),
    seen: [...ids].map((nativeId) => {
      const sequence = run.seen?.[nativeId];
      const ended = run.endedIds?.includes(nativeId) ?? false;
      return { nativeId, ...(sequence === undefined ? {} : { sequence }), ended };
    }),
    ...(run.life ? { life: { since: run.life.at, looks: run.life.looks } } : {}),
    stopRequests: run.stopRequests ?? 0,
    ...(run.ended ? { ended: run.ended } : {}),
  };
}

function runnerTold(record: RunRecord): NonNullable<ExplainedAttempt['runner']> {
  const { claim, heartbeatAt, firstOutputAt, progress, report, noClaim = false, closed = false } = record;
  const savedWork = record.savedWork ?? report?.savedWork;
  return {
    ...(claim ? { claim: { nativeId: claim.nativeId, at: claim.at } } : {}),
    ...(heartbeatAt === undefined ? {} : { heartbeatAt }),
    ...(firstOutputAt === undefined ? {} : { firstOutputAt }),
    ...(progress ? { progress: { at: progress.at, text: progress.text } } : {}),
    ...(report ? { report: reportTold(report) } : {}),
    ...(savedWork ? { savedWork } : {}),
    noClaim,
    closed,
  };
}

const reportTold = ({ outcome, reason, retryAfterSeconds, endedAt, result }: NonNullable<RunRecord['report']>) => ({
  outcome,
  ...(reason ? { reason: explained(reason) } : {}),
  ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  ...(result.lostWork ? { lostWork: result.lostWork } : {}),
  endedAt,
});

/** Of an older attempt only the code of the reason is kept. */
const keptReason = ({ lostFor }: HistoryEntry) =>
  lostFor === undefined ? null : explained({ code: lostFor, message: 'What was said about it is in the archive.' });

/** An entry that was shrunk says it itself; one of an older version only by its code. */
const isPause = ({ paused, lostFor }: HistoryEntry): boolean =>
  paused ?? lostFor === ('rate_limited' satisfies ReasonCode);

function lossTold(entry: HistoryEntry): NonNullable<ExplainedAttempt['lost']> {
  const fact = factOfLoss(entry);
  const data = fact?.data as LossData | undefined;
  return {
    at: entry.at,
    paused: data ? (data.paused ?? false) : isPause(entry),
    reason: reasonIn(entry) ?? keptReason(entry),
    ...(data?.nextAttemptAt === undefined ? {} : { nextAttemptAt: data.nextAttemptAt }),
    factId: fact?.id ?? '',
  };
}
