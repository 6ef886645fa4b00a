import type { RecordStore } from '../ports.ts';
import { type CommandRecord, type InstanceRecord, isOver } from './local-fleet-records.ts';

/** Terminated instances stay describable this long (EC2 user guide: about an hour). */
const TERMINATED_KEPT_MS = 3_600_000;
/** Commands that have ended stay known this long: a day of looking back (on AWS: 30). */
const COMMANDS_KEPT_MS = 24 * 3_600_000;
/** Records read at once when all are gone through. */
const LIST_PAGE = 200;

const INSTANCE_PREFIX = 'EC2INSTANCE#';
const COMMAND_PREFIX = 'SSMCOMMAND#';
const GROUP_PREFIX = 'ASG#';

/** The records of a fleet. One process writes them, so nothing is asked before a write. */
export interface FleetStore {
  keepInstance(record: InstanceRecord): Promise<void>;
  keepCommand(record: CommandRecord): Promise<void>;
  command(commandId: string): Promise<CommandRecord | undefined>;
  instances(): AsyncGenerator<InstanceRecord>;
  commands(): AsyncGenerator<CommandRecord>;
  /** How many instances a group shall have, where that was ever changed. */
  groupSize(group: string): Promise<number | undefined>;
  keepGroupSize(group: string, size: number): Promise<void>;
  durable(): Promise<void>;
  /** Drops what is too old to be asked about, and tells of each command. */
  prune(nowMs: number, dropped: (command: CommandRecord) => void): Promise<void>;
}

export function fleetStore(store: RecordStore): FleetStore {
  const self: FleetStore = {
    async keepInstance(record) {
      await store.put(INSTANCE_PREFIX + record.instanceId, record, 'any');
    },
    async keepCommand(record) {
      await store.put(COMMAND_PREFIX + record.commandId, record, 'any');
    },
    command: async (commandId) => (await store.get(COMMAND_PREFIX + commandId))?.value as CommandRecord | undefined,
    instances: () => allUnder<InstanceRecord>(INSTANCE_PREFIX),
    commands: () => allUnder<CommandRecord>(COMMAND_PREFIX),
    groupSize: async (group) => ((await store.get(GROUP_PREFIX + group))?.value as { size: number } | undefined)?.size,
    async keepGroupSize(group, size) {
      await store.put(GROUP_PREFIX + group, { schemaVersion: 1, size }, 'any');
    },
    durable: () => store.durable(),

    async prune(nowMs, dropped) {
      for await (const record of self.commands()) {
        const isOld = nowMs - Date.parse(record.endedAt ?? record.requestedAt) > COMMANDS_KEPT_MS;
        if (!isOver(record) || !isOld) continue;
        dropped(record);
        await store.delete(COMMAND_PREFIX + record.commandId);
      }
      for await (const { state, changedAt, instanceId } of self.instances()) {
        const isOld = nowMs - Date.parse(changedAt) > TERMINATED_KEPT_MS;
        if (state === 'terminated' && isOld) await store.delete(INSTANCE_PREFIX + instanceId);
      }
    },
  };
  return self;

  /** Only the fleet writes these records. */
  async function* allUnder<Kept>(prefix: string): AsyncGenerator<Kept> {
    let after: string | undefined;
    for (;;) {
      const page = await store.list(prefix, { limit: LIST_PAGE, ...(after === undefined ? {} : { after }) });
      for (const { value } of page) yield value as Kept;
      after = page.at(-1)?.key;
      if (page.length < LIST_PAGE) return;
    }
  }
}
