import { awsTimings } from '../lifecycle/timings.ts';
import { type EcsTaskRecord, exited, newTask, running, stateChangeEvent } from '../runtime/engine/local-ecs-task.ts';
import { taskIdFor } from '../runtime/task-id.ts';
import { workerRunId } from '../schemas/ssm-command.ts';
import { type Budget, countOf } from './count-requests.ts';
import { recordedAws } from './recorded-aws.ts';
import { aReport, joins, requested, type Signal, said } from './recorded-events.ts';
import { MACHINE } from './recorded-fleet.ts';

/** From RunTask to RUNNING, in seconds: what Fargate typically takes (docs/benchmarks.md). */
const STARTS_AFTER_S = 40;
/** From the end of the container to STOPPED, in seconds. */
const STOPS_AFTER_S = 30;
/**
 * Assumed, in seconds, of a command on a machine that is ready: from SendCommand to InProgress, and from the report to the host's proof that
 * nothing is left, with which the command ends.
 */
const COMMAND_BEGINS_AFTER_S = 2;
const COMMAND_ENDS_AFTER_S = 5;
const MINUTE_MS = 60_000;
const BEAT_MS = awsTimings.HEARTBEAT_S * 1_000;
/**
 * What it takes over a whole run to see that it lives, where the back end does not say, or may lose what it says: nothing of it is in the
 * budget of the task.
 */
export interface Watching
  extends Pick<
    Budget,
    | 'recordWrites'
    | 'writeUnits'
    | 'recordReads'
    | 'readUnits'
    | 'messages'
    | 'schedules'
    | 'publishedEntries'
    | 'stops'
    | 'asks'
    | 'invocations'
  > {
  /** Signs of life, one write of the runner each, and their units. */
  readonly heartbeats: number;
  readonly heartbeatUnits: number;
  /** Alarms that rang for nothing but a look. */
  readonly looks: number;
}

interface WatchedBudgets {
  readonly minutes: Record<string, Budget>;
  readonly deliveredTwice: Budget;
  readonly watching: Record<string, Watching>;
}

interface FleetBudgets extends WatchedBudgets {
  /** Of a machine, from its launch until it takes tasks. */
  readonly joining: Budget;
}

export interface Budgets {
  readonly minutes: Record<string, Budget>;
  readonly deliveredTwice: Budget;
  readonly agentcore: WatchedBudgets;
  readonly ec2: FleetBudgets;
}

/** Durations of the story, in minutes: from a small change to the longest task there is. */
const MINUTES = [5, 30, 120, 480] as const;
/** On AgentCore each minute is some five steps of the story, which the longest would only repeat. */
const AGENTCORE_MINUTES = [5, 30, 120] as const;

/**
 * What `docs/budget.json` keeps: the budgets by duration, and those of a life cycle in which every event is delivered twice. Longer tasks than
 * `upToMinutes` are left out: each minute of a task that is watched is recorded like every other.
 */
export async function recordedBudgets(upToMinutes = Number.POSITIVE_INFINITY): Promise<Budgets> {
  const within = (durations: readonly number[]) => durations.filter((duration) => duration <= upToMinutes);
  const minutes: Record<string, Budget> = {};
  for (const duration of within(MINUTES)) minutes[String(duration)] = await ecsTask(duration);
  const agentcore = await watched(agentcoreTask, within(AGENTCORE_MINUTES));
  const ec2 = { ...(await watched(fleetTask, within(MINUTES))), joining: await joining() };
  return { minutes, deliveredTwice: await ecsTask(30, 2), agentcore, ec2 };
}

async function watched(
  record: (minutes: number, copies?: number) => Promise<{ budget: Budget; watching: Watching }>,
  durations: readonly number[],
): Promise<WatchedBudgets> {
  const { budget: deliveredTwice } = await record(30, 2);
  const found: WatchedBudgets = { minutes: {}, deliveredTwice, watching: {} };
  for (const duration of durations) {
    const { budget, watching } = await record(duration);
    found.minutes[String(duration)] = budget;
    found.watching[String(duration)] = watching;
  }
  return found;
}

/** Records one life cycle on ECS: a task that works for so many minutes, pushes, reports and exits. */
async function ecsTask(minutes: number, copies = 1): Promise<Budget> {
  const aws = recordedAws('ecs');
  aws.deliver(copies);
  const { endsMs } = await submitted(aws, minutes);
  const [run] = aws.started;
  if (!run) throw new Error('the run was not started');

  let native = newTask(run, aws.clock.now());
  let told = 0;
  const tell = async (next: EcsTaskRecord): Promise<void> => {
    native = next;
    for (const detail of native.unpublished.slice(told)) await aws.happens(stateChangeEvent(detail));
    told = native.unpublished.length;
  };
  await tell(native);
  await aws.passes(aws.nowMs() + STARTS_AFTER_S * 1000);
  await tell(running(native, aws.clock.now(), aws.clock.now()));
  const signal = { ...FIRST, nativeId: native.detail.taskArn };
  await claimed(aws, signal);
  await aws.passes(endsMs);
  await reported(aws, signal);
  await aws.passes(endsMs + STOPS_AFTER_S * 1000);
  const at = aws.clock.now();
  await tell(exited(native, { exitCode: 0, signal: null, startedAt: at, endedAt: at }, undefined, at));
  return settled(aws);
}

/** The same on AgentCore, which tells nothing: the runner beats, Baton looks, and stops the session after the report. */
async function agentcoreTask(minutes: number, copies = 1): Promise<{ budget: Budget; watching: Watching }> {
  const aws = recordedAws('agentcore');
  aws.deliver(copies);
  const { endsMs } = await submitted(aws, minutes);
  const [nativeId] = aws.sessions;
  if (nativeId === undefined) throw new Error('the session was not started');

  const signal = { ...FIRST, nativeId };
  await claimed(aws, signal);
  for (let atMs = aws.nowMs() + BEAT_MS; atMs < endsMs; atMs += BEAT_MS) {
    await aws.passes(atMs);
    await aws.asRunner((runner) => runner.heartbeat(signal), 'beats');
  }
  await aws.passes(endsMs);
  await reported(aws, signal);
  const budget = await settled(aws);
  return { budget, watching: watchingOf(aws) };
}

/** The same on a fleet of one machine, which is ready: Systems Manager tells how the command goes on, and the host proves its end by that. */
async function fleetTask(minutes: number, copies = 1): Promise<{ budget: Budget; watching: Watching }> {
  const aws = recordedAws('ec2');
  await joined(aws);
  aws.deliver(copies);
  const { endsMs } = await submitted(aws, minutes);
  const [run] = aws.fleet.sent;
  if (!run) throw new Error('the command was not sent');

  await aws.passes(aws.nowMs() + COMMAND_BEGINS_AFTER_S * 1000);
  await aws.happens(aws.fleet.statusEvent(run.commandId, 'InProgress', aws.clock.now()));
  const signal = { ...FIRST, nativeId: workerRunId({ instanceId: MACHINE.worker, ...FIRST }) };
  await claimed(aws, signal);
  await aws.passes(endsMs);
  await reported(aws, signal);
  await aws.passes(endsMs + COMMAND_ENDS_AFTER_S * 1000);
  await aws.happens(aws.fleet.statusEvent(run.commandId, 'Success', aws.clock.now()));
  const budget = await settled(aws);
  return { budget, watching: watchingOf(aws) };
}

async function joining(): Promise<Budget> {
  const aws = recordedAws('ec2');
  await joined(aws);
  return countOf(aws.requests.joins, aws.invocations.joins);
}

/** A machine is made, boots, and says that it is ready. */
async function joined(aws: RecordedAws): Promise<void> {
  await aws.happens(aws.fleet.launched(aws.clock.now()), 'joins');
  await aws.happens(joins(MACHINE, aws.clock.now()), 'joins');
}

type RecordedAws = ReturnType<typeof recordedAws>;

const FIRST = { taskId: taskIdFor('ada', { key: 'budget' }), attempt: 1 };

/** Asks for the task; everything up to the start follows. Answers when it is to report. */
async function submitted(aws: RecordedAws, minutes: number): Promise<{ endsMs: number }> {
  const beginsMs = aws.nowMs();
  const request = { repository: 'https://git.example/team/site.git', prompt: 'p'.repeat(2000), userId: 'ada' };
  await aws.happens(requested({ ...request, idempotencyKey: 'budget', timeoutSeconds: 8 * 3600 }, aws.clock.now()));
  // From its request to its report; the time-out of the longest task counts from the request, too.
  return { endsMs: beginsMs + minutes * MINUTE_MS - 1_000 };
}

async function claimed(aws: RecordedAws, signal: Signal): Promise<void> {
  await aws.asRunner((runner) => runner.claim(signal));
  await aws.happens(said('RunClaimed', signal, 0, aws.clock.now()));
}

async function reported(aws: RecordedAws, signal: Signal): Promise<void> {
  await aws.asRunner((runner) => runner.confirm(signal));
  await aws.asRunner((runner) => runner.report(signal, aReport(signal.taskId, aws.clock.now())));
  await aws.happens(said('RunReported', signal, 1, aws.clock.now()));
}

/** Lets time pass until nothing is due any more, and counts what was asked for. */
async function settled(aws: RecordedAws): Promise<Budget> {
  await aws.passes();
  const task = await aws.asRunner(() => aws.tasks.get(FIRST.taskId));
  if (task?.status !== 'COMPLETED' || task.settledAt === undefined) throw new Error(`the task is ${task?.status}`);
  return countOf(aws.requests.task, aws.invocations.task);
}

function watchingOf({ requests, invocations }: RecordedAws): Watching {
  const looks = countOf(requests.looks, invocations.looks);
  const { recordWrites, writeUnits, recordReads, readUnits, messages, schedules, publishedEntries, stops } = looks;
  const beats = countOf(requests.beats, []);
  return {
    // The runner of a container writes without reading; the size of what it writes is the same.
    heartbeats: beats.recordWrites,
    heartbeatUnits: beats.writeUnits,
    looks: looks.byRule['wake-task'] ?? 0,
    ...{ recordWrites, writeUnits, recordReads, readUnits, messages, schedules, publishedEntries, stops },
    ...{ asks: looks.asks, invocations: looks.invocations },
  };
}
