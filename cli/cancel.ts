import type { Command } from 'commander';
import { WorldRefusal } from './cli-error.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { findWorld, type PlaceOptions, withPlaceOptions } from './find-world.ts';
import { paintStatus } from './paint.ts';
import type { Terminal } from './terminal.ts';

interface CancelOptions extends PlaceOptions {
  readonly reason?: string;
  readonly json?: true;
}

export const cancelCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('cancel'))
    .summary('end a task now')
    .description('Asks that a task ends now: its run is stopped, and what it has done so far is pushed where possible.')
    .argument('<task>', 'the id of the task, or as much of its beginning as is unique')
    .option('--reason <text>', 'why, kept with the task')
    .option('--json', 'print the task as JSON')
    .addHelpText('after', HELP)
    .action((task: string, options: CancelOptions) => cancel(task, options, terminal));

async function cancel(task: string, options: CancelOptions, terminal: Terminal): Promise<void> {
  const client = await findWorld(options, process.cwd());
  try {
    const view = await client.cancel(task, options.reason);
    if (options.json) {
      terminal.json(view);
      return;
    }
    terminal.line(`${view.taskId}  ${paintStatus(view.status, terminal.paint)}`);
  } catch (error) {
    if (!(error instanceof WorldRefusal && error.code === 'task_ended')) throw error;
    // Nothing is wrong with the request: it only came too late.
    terminal.complain(`baton: ${error.message}`);
    process.exitCode = CLI_EXIT.failed;
  }
}

const HELP = `
Exit codes:
  0 it ends, or was cancelled before   1 it had already ended otherwise   2 bad usage, no such task, no world

Examples:
  baton cancel t4k2m
  baton cancel t4k2m --reason "wrong branch"`;
