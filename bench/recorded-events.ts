import type { AgentReport } from '../schemas/agent-report.ts';
import type { Envelope } from '../schemas/envelope.ts';

/** An attempt, and the run that works for it. */
export interface Signal {
  readonly taskId: string;
  readonly attempt: number;
  readonly nativeId: string;
}

export const requested = (data: object, time: string): Envelope =>
  event('TaskRequested', 'baton.request', 'request-1', time, { data });

/** A runner says something of its run. */
export function said(type: string, signal: Signal, seq: number, time: string): Envelope {
  const { taskId, attempt, nativeId } = signal;
  const id = `${nativeId}#${attempt}#${seq}`;
  return ofAgent(type, id, time, { taskId, attempt, correlationId: taskId }, { ...signal, seq });
}

/** A machine says that it takes tasks. */
export function joins(machine: { readonly worker: string; readonly fleet: string }, time: string): Envelope {
  const id = `${machine.worker}#WorkerRegistered`;
  return ofAgent('WorkerRegistered', id, time, { correlationId: id }, machine);
}

const ofAgent = (type: string, id: string, time: string, about: object, data: object): Envelope => {
  const metadata = { id, ...about, causationId: id, occurredAt: time, schemaVersion: 1 };
  return event(type, 'baton.agent', id, time, { metadata, data });
};

/** An event as EventBridge delivers it. */
export const event = (type: string, source: string, id: string, time: string, detail: object): Envelope => ({
  version: '0',
  id,
  'detail-type': type,
  source,
  account: '000000000000',
  time,
  region: 'us-east-1',
  resources: [],
  detail,
});

export const aReport = (taskId: string, at: string): AgentReport => ({
  schemaVersion: 1,
  outcome: 'succeeded',
  result: {
    branch: `baton/${taskId}`,
    commit: 'c'.repeat(40),
    baseCommit: 'b'.repeat(40),
    filesChanged: 3,
    insertions: 40,
    deletions: 12,
    pullRequest: null,
  },
  agentExitCode: 0,
  startedAt: at,
  endedAt: at,
});
