import type { AgentReport } from '../../schemas/agent-report.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import type { RunSignal } from '../ports.ts';
import { runKey, taskKey } from '../records.ts';
import { alarmId } from '../tasks.ts';
import type { Complain, Records } from './promise-names.ts';
import type { Random } from './random.ts';
import type { ControlPlane, Scene } from './scene.ts';

/** Lies of one seed at the most, and when the last is told, in milliseconds. */
const LIES_MAX = 30;
const SOON_MS = 300_000;
const LATE_MS = 8 * 3_600_000;

const LIE = 'lie-';

/** Did the liar say it? */
export const isLie = ({ id }: Envelope): boolean => id.startsWith(LIE);

const STRANGER = 'arn:aws:ecs:local:000000000000:task/baton/stranger';

/** An agent that got at its runner's way of speaking: it speaks for other runs, tasks and attempts, and of what never was. */
export function letLie(
  scene: Scene,
  plane: ControlPlane,
  about: { readonly taskIds: readonly string[]; readonly records: Records; readonly complain: Complain },
): void {
  const { time, trace } = scene;
  const random = scene.random.fork('liar');
  for (let left = random.int(1, LIES_MAX); left > 0; left--) {
    time.at(time.nowMs() + random.int(0, random.chance(0.6) ? SOON_MS : LATE_MS), () => lie(left));
  }

  function lie(number: number): void {
    const taskId = about.taskIds[random.int(0, about.taskIds.length - 1)] ?? '';
    const task = about.records.get(taskKey(taskId)) as Task | Rejection | undefined;
    if (!task || task.status === 'REJECTED') return;
    const attempt = Math.max(1, task.attempt + random.pick([0, 0, 0, -1, 1]));
    const record = about.records.get(runKey(taskId, attempt)) as RunRecord | undefined;
    const nativeId = random.chance(0.4) ? (record?.claim?.nativeId ?? STRANGER) : STRANGER;
    const signal = { taskId, attempt, nativeId };
    if (random.chance(0.5)) void plane.publish(saying(number, signal, task, random));
    else void tries(signal, record).catch(() => undefined);
  }

  /** Asks for what only the claimant may do, and while its attempt lasts. */
  async function tries(signal: RunSignal, record: RunRecord | undefined): Promise<void> {
    const isMine = record?.claim?.nativeId === signal.nativeId;
    if (!record || (isMine && !record.closed)) return;
    const what = random.pick(['claim', 'confirm', 'firstWord', 'report', 'saveWork'] as const);
    // Who has the token may claim what nobody claimed: that is the runner's part.
    if (what === 'claim' && !record.claim) return;
    trace.line(`the liar tries to ${what} ${signal.taskId}#${signal.attempt} as ${signal.nativeId.slice(-8)}`);
    const answer = await plane.ask(`liar ${what}`, async ({ runs }) => {
      if (what === 'report') return runs.report(signal, falseReport(time.now()));
      if (what === 'saveWork') return runs.saveWork(signal, { branch: `baton/${signal.taskId}`, commit: 'false' });
      return runs[what](signal);
    });
    if (answer !== 'fenced') {
      about.complain(
        'one attempt counts',
        signal.taskId,
        `a stranger was answered "${answer}" when it tried to ${what}`,
      );
    }
  }
}

function saying(number: number, signal: RunSignal, task: Task, random: Random): Envelope {
  const type = random.pick(['RunReported', 'RunReported', 'RunClaimed', 'RunProgressed', 'RunFenced']);
  const facts = task.history.flatMap((entry) => entry.facts);
  // It may even take the id of somebody else's fact.
  const id = random.pick([
    `${LIE}${number}`,
    `${LIE}${number}`,
    facts[random.int(0, facts.length - 1)]?.id ?? `${LIE}${number}`,
    alarmId(task.taskId, task.armedAt ?? ''),
  ]);
  const at = new Date(0).toISOString();
  return {
    version: '0',
    id: `${LIE}${number}`,
    'detail-type': type,
    source: 'baton.agent',
    account: '000000000000',
    time: at,
    region: 'local',
    resources: [],
    detail: {
      metadata: {
        id,
        taskId: signal.taskId,
        attempt: signal.attempt,
        correlationId: signal.taskId,
        causationId: id,
        occurredAt: at,
        schemaVersion: 1,
      },
      data: { ...signal, seq: random.int(0, 1_000_000), ...(type === 'RunProgressed' ? { text: 'all is well' } : {}) },
    },
  };
}

const falseReport = (at: string): AgentReport => ({
  schemaVersion: 1,
  outcome: 'succeeded',
  result: {
    branch: null,
    commit: null,
    baseCommit: 'base',
    filesChanged: 0,
    insertions: 0,
    deletions: 0,
    pullRequest: null,
  },
  agentExitCode: 0,
  startedAt: at,
  endedAt: at,
});
