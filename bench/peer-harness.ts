// Baton as one more peer of a comparison of orchestrators on one workload; docs/benchmarks.md says how to run it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { taskIdFor } from '../runtime/task-id.ts';
import type { Slot } from '../schemas/slot.ts';
import type { Status, Task } from '../schemas/task.ts';
import { openLifecycles, type SimulatedRun } from './lifecycles.ts';

/** The part of the comparison's common module that a peer uses. */
interface Common {
  readonly Compute: new (
    deliver: (kind: 'running' | 'completed', taskId: string, run: SimulatedRun) => Promise<void>,
  ) => { start(taskId: string, run: SimulatedRun): unknown };
  main(peer: object): Promise<void>;
  terminal(taskId: string): void;
  userOf(taskId: string): string;
}

const path = process.env['PEERS_COMMON'];
if (path === undefined) throw new Error('PEERS_COMMON is not set: give the path of the comparison’s common module');
const { Compute, main, terminal, userOf } = (await import(pathToFileURL(resolve(path)).href)) as Common;

/** The comparison's names of tasks by ours. */
const names = new Map<string, string>();
const dataDir = mkdtempSync(join(process.env['PEER_DATA'] ?? tmpdir(), 'baton-'));
const compute = new Compute((kind, _name, run) => (kind === 'running' ? world.comeAlive(run) : world.end(run)));
const world = await openLifecycles({
  dataDir,
  onStart: (run) => compute.start(names.get(run.start.taskId) ?? '', run),
  onSettled: (taskId) => {
    terminal(names.get(taskId) ?? '');
    names.delete(taskId);
  },
});

await main({
  name: 'baton',
  compute,
  submit(name: string) {
    names.set(idOf(name), name);
    return world.submit(userOf(name), name);
  },
  async history(name: string): Promise<string[]> {
    const task = await world.engine.ports.tasks.get(idOf(name));
    return task ? statesOf(task) : [];
  },
  async slots(): Promise<number> {
    const slots = await world.store.list('SLOT#', { limit: 1000 });
    return slots.reduce((held, { value }) => held + Object.keys((value as Slot).holders).length, 0);
  },
  async close() {
    await world.close();
    rmSync(dataDir, { recursive: true, force: true });
  },
});

function idOf(name: string): string {
  return taskIdFor(userOf(name), { key: name });
}

/** A run that ends at once may be seen to end before it was seen to run; then the state between was never there. */
function statesOf(task: Task): Array<Status | 'FINALIZED'> {
  const states: Array<Status | 'FINALIZED'> = task.history.map(({ to }) => to);
  return 'settledAt' in task && task.settledAt !== undefined ? [...states, 'FINALIZED'] : states;
}
