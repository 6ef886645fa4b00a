import type { Command } from 'commander';
import type { WorkerState } from '../schemas/worker.ts';
import type { WorkerView } from '../schemas/worker-view.ts';
import { durationBetween } from './duration.ts';
import { findWorld, type PlaceOptions, withPlaceOptions } from './find-world.ts';
import { type Paint, shown } from './paint.ts';
import { table } from './task-table.ts';
import type { Terminal } from './terminal.ts';

interface WorkersOptions extends PlaceOptions {
  readonly json?: true;
}

export const workersCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('workers'))
    .summary('list the workers of the fleets, and what they do')
    .description('Lists the workers of the fleets, where tasks with --compute ec2 run, and what they do.')
    .option('--json', 'print an array of { worker, fleet, state, since, owner?, leaving?, reason? } as JSON')
    .addHelpText('after', HELP)
    .action((options: WorkersOptions) => workers(options, terminal));

async function workers(options: WorkersOptions, terminal: Terminal): Promise<void> {
  const client = await findWorld(options, process.cwd());
  const all = await client.workers();
  if (options.json) {
    terminal.json(all);
    return;
  }
  if (all.length === 0) {
    terminal.line(`No fleet has a worker in the world at ${client.url}.`);
    return;
  }
  for (const line of workerTable(all, new Date().toISOString(), terminal.paint)) terminal.line(terminal.fit(line));
}

/** Workers as a table, one line each, with a heading. */
const workerTable = (all: readonly WorkerView[], now: string, paint: Paint): string[] =>
  table(
    ['WORKER', 'FLEET', 'STATE', 'FOR', 'TASK', ''],
    all.map((one) => [
      { text: one.worker },
      { text: one.fleet },
      { text: WORDS[one.state], ...(one.state === 'quarantined' ? { colour: paint.red } : {}) },
      { text: durationBetween(one.since, now) },
      { text: one.owner === undefined ? '-' : `${one.owner.taskId}, attempt ${one.owner.attempt}` },
      { text: remark(one), colour: paint.dim },
    ]),
    paint,
  );

/** What a state means for whoever waits for a worker. */
const WORDS: Readonly<Record<WorkerState, string>> = {
  booting: 'boots',
  idle: 'idle',
  claimed: 'starts a run',
  dispatching: 'starts a run',
  dispatched: 'works',
  returning: 'ends a run',
  quarantined: 'quarantined',
  gone: 'gone',
};

function remark({ reason, leaving }: WorkerView): string {
  if (reason) return `${reason.code}: ${shown(reason.message)}`;
  return leaving ? `takes no more: ${shown(leaving.reason.message)}` : '';
}

const HELP = `
A worker that is quarantined takes no runs any more, and its machine is replaced.

Examples:
  baton workers
  baton workers --aws
  baton workers --json | jq -r '.[] | select(.state == "idle") | .worker'`;
