import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { localFleet } from '../../../runtime/engine/local-fleet.ts';
import type {
  CommandRecord,
  InstanceRecord,
  LocalFleet,
  LocalFleetOptions,
} from '../../../runtime/engine/local-fleet-records.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import { runDocument } from '../../../schemas/run-document.ts';
import { programs } from '../../programs.ts';
import { putAway, sceneFolder } from '../../scene-folder.ts';
import { written } from '../../written.ts';
import { eventually } from './local-ecs-fixture.ts';

/** The script that instances run on AWS. */
export const hostScript = readFileSync(new URL('../../../agent/host/run.sh', import.meta.url), 'utf8');

export interface FleetWorld {
  readonly fleet: LocalFleet;
  readonly dataDir: string;
  readonly events: Envelope[];
  /** What boot scripts said: instance, and why the boot failed. */
  readonly announced: [instanceId: string, failure: string | undefined][];
  /** The ids of workers that are ready, when there are so many. */
  ready(count?: number): Promise<string[]>;
  instance(instanceId: string): Promise<InstanceRecord>;
  inState(instanceId: string, state: InstanceRecord['state']): Promise<void>;
  /** Sends a command that runs this script as the agent of an attempt. */
  run(instanceId: string, script: string, changes?: Readonly<Record<string, string>>): Promise<CommandRecord>;
  ended(command: CommandRecord): Promise<CommandRecord>;
  /** Statuses of a command, in the order of their events. */
  statuses(command: CommandRecord): unknown[];
  /** A file that a run left beside the data. */
  file(name: string): string | undefined;
  /** The same data seen by another process, as after a restart. */
  reopen(options?: Partial<LocalFleetOptions>): Promise<FleetWorld>;
  close(): Promise<void>;
}

let tasks = 0;
/** Parameters of a run whose agent is this script; its task is one that no other scene has. */
export function parametersOf(changes: Readonly<Record<string, string>> = {}): Record<string, string> {
  tasks += 1;
  const taskId = `t${String(process.pid).padStart(12, '0')}${String(tasks).padStart(12, '0')}`;
  return {
    action: 'run',
    taskId,
    attempt: '1',
    payload: `${taskId}.${'A'.repeat(43)}`,
    executionTimeout: '600',
    ...changes,
  };
}

/** A fleet whose runners do what their task's script says, in words of the shell. */
export async function fleetWorld(options: Partial<LocalFleetOptions> = {}): Promise<FleetWorld> {
  const dataDir = options.dataDir ?? sceneFolder();
  const store = options.store ?? memoryStore({ freezeValues: true });
  const events: Envelope[] = [];
  const announced: FleetWorld['announced'] = [];
  const scripts = new Map<string, string>();
  const fleet = localFleet({
    clock: { now: () => new Date().toISOString() },
    names: { fleet: 'main', group: 'baton-fleet', hook: 'baton-busy' },
    capacity: 1,
    bus: async (published) => {
      events.push(...published);
    },
    announce: async (instanceId, failure) => {
      announced.push([instanceId, failure]);
    },
    documents: { 'baton-run': runDocument(hostScript) },
    runnerCommand: ['/bin/sh', '-c', 'eval "$SCRIPT"', 'runner'],
    supervisorCommand: programs.supervisor,
    containersCommand: programs.containers,
    stopTimeoutSeconds: 2,
    containerOf: ({ commandId, parameters }) => ({
      runDirName: commandId,
      environment: { SCRIPT: scripts.get(parameters['taskId'] ?? '') ?? 'true', BESIDE: dataDir },
    }),
    ...options,
    store,
    dataDir,
  });
  await fleet.recover();
  const known = async (instanceId: string): Promise<InstanceRecord | undefined> =>
    (await fleet.instances()).find((one) => one.instanceId === instanceId);
  const world: FleetWorld = {
    fleet,
    dataDir,
    events,
    announced,
    async ready(count = 1) {
      return until(async () => {
        const ids = (await fleet.instances()).filter(
          ({ state, booted }) => state === 'running' && booted === 'registered',
        );
        return ids.length >= count ? ids.map(({ instanceId }) => instanceId) : undefined;
      }, `${count} workers`);
    },
    instance: async (instanceId) => until(() => known(instanceId), instanceId),
    async inState(instanceId, state) {
      await until(async () => (await known(instanceId))?.state === state || undefined, `${instanceId} to be ${state}`);
    },
    async run(instanceId, script, changes) {
      const parameters = parametersOf(changes);
      scripts.set(parameters['taskId'] ?? '', script);
      return fleet.send({ instanceId, document: 'baton-run', parameters, comment: 'a run', deliverySeconds: 60 });
    },
    ended: ({ commandId }) =>
      until(async () => {
        const now = await fleet.command(commandId);
        return now?.endedAt === undefined ? undefined : now;
      }, `the end of ${commandId}`),
    statuses: ({ commandId }) =>
      events
        .filter(({ detail }) => detailOf(detail)['command-id'] === commandId)
        .map(({ detail }) => detailOf(detail)['status']),
    file: (name) => written(join(dataDir, name)),
    async reopen(changes) {
      await fleet.close();
      return fleetWorld({ ...options, ...changes, store, dataDir });
    },
    async close() {
      await fleet.close();
      await putAway(dataDir);
    },
  };
  return world;
}

export const detailOf = (detail: unknown): Record<string, unknown> => detail as Record<string, unknown>;

/** Asks again and again until something is found. */
async function until<Found>(look: () => Promise<Found | undefined>, what: string): Promise<Found> {
  let found: Found | undefined;
  let asking = false;
  return eventually(() => {
    if (!asking && found === undefined) {
      asking = true;
      void look().then((answer) => {
        found = answer;
        asking = false;
      });
    }
    return found;
  }, what);
}
