import type { RunRecord } from '../../schemas/run-record.ts';
import type { Complain } from './promise-names.ts';

/** What no write of a run record may do. */
export function runWritten(before: RunRecord | undefined, after: RunRecord, complain: Complain): void {
  if (!before) return;
  const broken = (message: string): void =>
    complain('one attempt counts', after.taskId, `attempt ${after.attempt}: ${message}`);
  if (before.claim && before.claim.nativeId !== after.claim?.nativeId) broken('the claim changed hands');
  if (!before.claim && after.claim && (before.noClaim || before.closed)) broken('claimed although nobody might');
  if (before.noClaim && !after.noClaim) broken('claims were allowed again');
  if (before.closed && !after.closed) broken('it was opened again');
  if (before.report && JSON.stringify(before.report) !== JSON.stringify(after.report)) broken('the report changed');
  if (!before.report && after.report && !after.claim) broken('a report without a claim');
  if (before.firstOutputAt && before.firstOutputAt !== after.firstOutputAt) broken('its first word was said twice');
  for (const field of [
    'claim',
    'report',
    'confirmedAt',
    'savedWork',
    'progress',
    'heartbeatAt',
    'firstOutputAt',
  ] as const) {
    if (before.closed && JSON.stringify(before[field]) !== JSON.stringify(after[field]))
      broken(`${field} written after it was closed`);
  }
}
