import { open, rename } from 'node:fs/promises';
import type { AgentReport } from '../schemas/agent-report.ts';
import { COMMAND_NOT_FOUND } from '../schemas/exit-codes.ts';
import { because, type Reason } from '../schemas/reason.ts';
import type { TaskResult } from '../schemas/task-result.ts';
import type { AgentEnd } from './agent-process.ts';
import type { Changes, Clone } from './clone.ts';

/** The agent did what it was asked; without changes there is no branch. */
export const succeededReport = (startedAt: string, clone: Clone, changes: Changes | undefined): AgentReport => ({
  schemaVersion: 1,
  outcome: 'succeeded',
  result: {
    ...NO_RESULT,
    ...(changes === undefined ? {} : { ...changes, branch: clone.branch }),
    baseCommit: clone.baseCommit,
    ...lostWorkOf(clone),
  },
  agentExitCode: 0,
  startedAt,
  endedAt: new Date().toISOString(),
});

/** The run failed; `agentExitCode` is null when the agent never ran or a signal ended it. */
export const failedReport = (
  startedAt: string,
  reason: Reason,
  agentExitCode: number | null,
  more: Pick<AgentReport, 'savedWork' | 'retryAfterSeconds'> & { readonly clone?: Clone } = {},
): AgentReport => ({
  schemaVersion: 1,
  outcome: 'failed',
  reason,
  result: { ...NO_RESULT, ...(more.clone ? lostWorkOf(more.clone) : {}) },
  ...(more.savedWork ? { savedWork: more.savedWork } : {}),
  ...(more.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: more.retryAfterSeconds }),
  agentExitCode,
  startedAt,
  endedAt: new Date().toISOString(),
});

const NO_RESULT: TaskResult = {
  branch: null,
  commit: null,
  baseCommit: null,
  filesChanged: 0,
  insertions: 0,
  deletions: 0,
  pullRequest: null,
};

const lostWorkOf = ({ lostWork }: Clone): Pick<TaskResult, 'lostWork'> => (lostWork ? { lostWork } : {});

/** Why an agent that did not exit with 0 failed, with its last words. `waitSeconds`: a service asked it to wait so long. */
export function agentFailure(
  end: AgentEnd,
  command: string,
  lastLines: readonly string[],
  waitSeconds: number | undefined,
): Reason {
  const words = lastLines.length === 0 ? '' : ` Last output: ${lastLines.join(' / ')}`;
  if (waitSeconds !== undefined) {
    return because('rate_limited', `A service asked the agent to wait ${waitSeconds} s.${words}`);
  }
  if (end.exitCode === COMMAND_NOT_FOUND) {
    return because('agent_not_found', `The agent command was not found: ${command}.${words}`);
  }
  const how =
    end.exitCode === null ? `was ended by ${end.signal ?? 'a signal'}` : `ended with exit code ${end.exitCode}`;
  return because('agent_failed', `The agent ${how}.${words}`);
}

/** Writes the report whole or not at all, synced before it gets its name, so that it survives a crash of the machine. */
export async function writeReportFile(file: string, report: AgentReport): Promise<void> {
  const draft = `${file}.${process.pid}.draft`;
  const handle = await open(draft, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(report)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}
