import { runClaimed } from '../../../events/run-claimed.ts';
import { runReported } from '../../../events/run-reported.ts';
import { reactions as shipped } from '../../../handlers/index.ts';
import { awsFleetWaits } from '../../../lifecycle/worker.ts';
import { createEngine, type EngineOptions } from '../../../runtime/engine/engine.ts';
import type { DeadLetter } from '../../../runtime/engine/event-bus.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { noScreening } from '../../../runtime/engine/stand-in-screening.ts';
import { fleetBackend } from '../../../runtime/fleet-backend.ts';
import { githubContexts } from '../../../runtime/github-contexts.ts';
import type { RecordStore, Settings } from '../../../runtime/ports.ts';
import type { Reaction } from '../../../runtime/react.ts';
import { livesOver, sessionBackend } from '../../../runtime/session-backend.ts';
import { taskIdFor } from '../../../runtime/task-id.ts';
import { webhooksOver } from '../../../runtime/webhooks.ts';
import type { AgentReport } from '../../../schemas/agent-report.ts';
import type { BatonEvent, Envelope } from '../../../schemas/envelope.ts';
import type { Slot } from '../../../schemas/slot.ts';
import type { Task } from '../../../schemas/task.ts';
import { anEcsEvent, anEvent, aReport, aRequest, aSession, testTimings } from '../../builders.ts';
import { commandsTwin } from '../../commands-twin.ts';
import { computeTwin } from '../../compute-twin.ts';
import { definitionsTwin } from '../../definitions-twin.ts';
import { machinesTwin } from '../../machines-twin.ts';
import { sessionServiceTwin } from '../../sessions-twin.ts';
import { type VirtualTime, virtualTime } from './virtual-time.ts';

export interface EngineFixtureOptions {
  readonly store?: RecordStore;
  readonly time?: VirtualTime;
  readonly compute?: ReturnType<typeof computeTwin>;
  readonly reactions?: readonly Reaction[];
  readonly settings?: Partial<Settings>;
  readonly limit?: number;
  readonly archive?: EngineOptions['archive'];
  readonly copies?: EngineOptions['copies'];
  readonly onStoreFailure?: EngineOptions['onStoreFailure'];
  /** Ports from outside, besides `ecs`. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** The real engine with the shipped reactions, a clock that the test moves, and a back end in memory. */
export function anEngine(options: EngineFixtureOptions = {}) {
  const time = options.time ?? virtualTime();
  const store = options.store ?? memoryStore({ freezeValues: true });
  const compute = options.compute ?? computeTwin();
  const sessions = sessionServiceTwin();
  const { machines } = machinesTwin();
  const { runtimeArn, qualifier } = aSession();
  const letters: DeadLetter[] = [];
  const heard: Envelope[] = [];
  const engine = createEngine({
    store,
    scheduler: time,
    reactions: options.reactions ?? shipped,
    secret: 'secret',
    limitOf: () => options.limit ?? 1,
    settings: {
      stage: 'test',
      timings: testTimings,
      defaultAgentCommand: 'agent',
      agentCommandAllowed: true,
      screening: 'off',
      computes: ['ecs'],
      fleets: ['main'],
      slotKeyOf: ({ userId }) => `user:${userId}`,
      ...options.settings,
    },
    outside: ({ ports }) => ({
      ec2: fleetBackend({
        workers: ports.workers,
        commands: commandsTwin(ports.clock.now).service,
        machines,
        clock: ports.clock,
        waits: awsFleetWaits,
        region: 'local',
      }),
      machines,
      agentcore: sessionBackend({
        sessions: sessions.service,
        runtimeArn,
        qualifier,
        lifeOf: livesOver({ ...ports, timings: () => ports.settings.timings }),
      }),
      ecs: compute.backend,
      definitions: definitionsTwin().definitions,
      webhooks: webhooksOver({ allowed: 'local' }),
      screening: noScreening,
      contexts: githubContexts({}),
      ...options.more,
    }),
    onDeadLetter: (letter) => letters.push(letter),
    ...(options.archive ? { archive: options.archive } : {}),
    ...(options.copies ? { copies: options.copies } : {}),
    ...(options.onStoreFailure ? { onStoreFailure: options.onStoreFailure } : {}),
  });
  engine.bus.listen((event) => heard.push(event));

  return {
    engine,
    time,
    store,
    compute,
    sessions,
    letters,
    heard,
    /** Detail-types of what was published about a task by handlers, in order, each id once. */
    facts(taskId?: string): string[] {
      const ids = new Set<string>();
      return heard
        .filter((event) => event.source === 'baton')
        .filter((event) => taskId === undefined || (event as BatonEvent).detail.metadata.taskId === taskId)
        .filter(({ id }) => !ids.has(id) && ids.add(id))
        .map((event) => event['detail-type']);
    },
    async submit(key: string, fields: object = {}): Promise<string> {
      const request = {
        repository: '/srv/repository',
        prompt: 'Mend it.',
        userId: 'ada',
        idempotencyKey: key,
        ...fields,
      };
      await engine.bus.publish([aRequest('TaskRequested', request)]);
      await time.quiet();
      return taskIdFor(request.userId, { key });
    },
    async cancel(taskId: string): Promise<void> {
      await engine.bus.publish([aRequest('TaskCancelRequested', { taskId })]);
      await time.quiet();
    },
    task: (taskId: string): Promise<Task | undefined> => engine.ports.tasks.get(taskId),
    async slot(key = 'user:ada'): Promise<Slot | undefined> {
      return (await store.get(`SLOT#${key}`))?.value as Slot | undefined;
    },

    /** The n-th run shows itself, and its runner claims. */
    async comesUp(run: TwinRun): Promise<void> {
      compute.run(run);
      const { taskId, attempt, startedBy } = run.asked;
      const signal = { taskId, attempt, nativeId: run.handle.taskArn };
      await engine.bus.publish([anEcsEvent({ taskArn: run.handle.taskArn, startedBy })]);
      await engine.ports.runs.claim(signal);
      await engine.bus.publish([anEvent(runClaimed.of({ ...signal, seq: 1 }))]);
      await time.quiet();
    },
    async reports(run: TwinRun, report: AgentReport = aReport()): Promise<void> {
      const { taskId, attempt } = run.asked;
      const signal = { taskId, attempt, nativeId: run.handle.taskArn };
      await engine.ports.runs.report(signal, report);
      await engine.bus.publish([anEvent(runReported.of({ ...signal, seq: 2 }))]);
      await time.quiet();
    },
    async exits(run: TwinRun, exitCode = 0): Promise<void> {
      compute.exit(run, exitCode);
      const { startedBy } = run.asked;
      const containers = [{ name: 'agent', exitCode }];
      await engine.bus.publish([
        anEcsEvent({ taskArn: run.handle.taskArn, startedBy, lastStatus: 'STOPPED', containers }),
      ]);
      await time.quiet();
    },
  };
}

type TwinRun = ReturnType<typeof computeTwin>['runs'][number];

/** The run that is there, or a clear failure. */
export function runAt(compute: ReturnType<typeof computeTwin>, index: number): TwinRun {
  const run = compute.runs[index];
  if (!run) throw new Error(`expected ${index + 1} runs, found ${compute.runs.length}`);
  return run;
}
