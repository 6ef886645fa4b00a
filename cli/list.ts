import type { Command } from 'commander';
import { findWorld, type PlaceOptions, withPlaceOptions } from './find-world.ts';
import { taskTable } from './task-table.ts';
import type { Terminal } from './terminal.ts';

interface ListOptions extends PlaceOptions {
  readonly json?: true;
}

export const listCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('list'))
    .summary('list the tasks of a world, newest first')
    .description('Lists the tasks of a world, newest first.')
    .option('--json', 'print an array of tasks as JSON, each as `show --json` gives it, without its history')
    .addHelpText('after', HELP)
    .action((options: ListOptions) => list(options, terminal));

async function list(options: ListOptions, terminal: Terminal): Promise<void> {
  const client = await findWorld(options, process.cwd());
  const tasks = await client.tasks();
  if (options.json) {
    terminal.json(tasks);
    return;
  }
  if (tasks.length === 0) {
    terminal.line(`No tasks in the world at ${client.url}.`);
    return;
  }
  for (const line of taskTable(tasks, Date.now(), terminal.paint)) terminal.line(terminal.fit(line));
}

const HELP = `
Examples:
  baton list
  baton list --json | jq -r '.[] | select(.status == "FAILED") | .taskId'`;
