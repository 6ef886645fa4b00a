import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_CONTAINER } from '../../../lifecycle/ecs-task.ts';
import { type EcsTaskEvent, type LocalEcs, type LocalEcsOptions, localEcs } from '../../../runtime/engine/local-ecs.ts';
import type { LocalRun } from '../../../runtime/engine/local-ecs-run.ts';
import { type LocalRegistry, localRegistry } from '../../../runtime/engine/local-registry.ts';
import type { EcsHandle } from '../../../schemas/run-handle.ts';
import { programs } from '../../programs.ts';
import { sceneFolder } from '../../scene-folder.ts';
import { journalStore } from './local-ecs-journal.ts';

export interface EcsWorld {
  readonly ecs: LocalEcs;
  readonly registry: LocalRegistry;
  readonly dataDir: string;
  readonly events: EcsTaskEvent[];
  /** Starts a run that must not be refused. */
  start(run: LocalRun): Promise<EcsHandle>;
  /** What the task with this ARN was seen to do: `status` in the order of publishing. */
  statuses(taskArn: string): string[];
  /** The event that shows this status, when it comes. */
  event(taskArn: string, lastStatus: string): Promise<EcsTaskEvent>;
  log(taskArn: string): string;
  /** The same data directory seen by another opener, as after a restart. */
  reopen(options?: Partial<LocalEcsOptions>): Promise<EcsWorld>;
  close(): Promise<void>;
}

export async function ecsWorld(options: Partial<LocalEcsOptions> = {}): Promise<EcsWorld> {
  const dataDir = options.dataDir ?? sceneFolder();
  const events: EcsTaskEvent[] = [];
  const store = options.store ?? journalStore(join(dataDir, 'journal'));
  const registry = localRegistry({ store, nowMs: Date.now });
  if (!(await registry.active(aRun('').definition))) await registry.register(aDefinition());
  const ecs = localEcs({
    registry,
    bus: async (published) => {
      events.push(...published);
    },
    clock: { now: () => new Date().toISOString() },
    worldFile: join(dataDir, 'world.json'),
    runnerCommand: ['/bin/sh'],
    supervisorCommand: programs.supervisor,
    stopTimeoutSeconds: 1,
    ...options,
    store,
    dataDir,
  });
  await ecs.recover();
  let closed = false;
  const of = (taskArn: string) => events.filter((event) => event.detail.taskArn === taskArn);
  return {
    ecs,
    dataDir,
    events,
    registry,
    start: async (run) => {
      const started = await ecs.start(run);
      if (started.outcome === 'refused') throw new Error(started.reason.message);
      return started.handle;
    },
    statuses: (taskArn) => of(taskArn).map((event) => event.detail.lastStatus),
    event: (taskArn, lastStatus) =>
      eventually(
        () => of(taskArn).find((event) => event.detail.lastStatus === lastStatus),
        `${lastStatus} of ${taskArn}`,
      ),
    log: (taskArn) => {
      const path = ecs.logPath(taskArn) ?? '';
      return existsSync(path) ? readFileSync(path, 'utf8') : '';
    },
    reopen: (changes) => ecsWorld({ ...changes, dataDir }),
    close: async () => {
      if (closed) return;
      closed = true;
      await ecs.close();
      await store.close();
    },
  };
}

let runs = 0;
/** What runs of tests start from: an agent container. */
export const aDefinition = (container: object = {}, more: object = {}) => ({
  family: 'baton-agent',
  tags: { team: 'core' },
  definition: {
    cpu: '512',
    memory: '1024',
    containerDefinitions: [{ name: AGENT_CONTAINER, image: 'agent:1', ...container }],
    ...more,
  },
});

/** A run that does what the shell script says. */
export function aRun(script: string, changes: Partial<LocalRun> = {}): LocalRun {
  runs += 1;
  const taskId =
    changes.taskId ?? `t${createHash('sha256').update(`${process.pid}-${runs}`).digest('hex').slice(0, 24)}`;
  const attempt = changes.attempt ?? 1;
  return {
    taskId,
    attempt,
    startedBy: `baton/local/${taskId}/${attempt}`,
    clientToken: `${taskId}-${attempt}`,
    environment: { BATON_TASK_ID: taskId, BATON_ATTEMPT: String(attempt) },
    command: ['-c', script],
    definition: 'arn:aws:ecs:local:000000000000:task-definition/baton-agent:1',
    capacityProvider: 'FARGATE',
    tags: {},
    ...changes,
  };
}

/** Waits until the look finds something; gives up after 40 s. */
export async function eventually<Found>(look: () => Found | undefined | false, what: string): Promise<Found> {
  const until = Date.now() + 40_000;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > until) throw new Error(`waited in vain for ${what}`);
    await sleep(10);
  }
}

/** A live process; zombies do not count. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = `/proc/${pid}/stat`;
    return !existsSync(stat) || !/\) [ZX] /.test(readFileSync(stat, 'utf8'));
  } catch {
    return false;
  }
}
