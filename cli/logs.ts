import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { badInput } from './cli-error.ts';
import { findWorld, type PlaceOptions, withPlaceOptions } from './find-world.ts';
import { onInterruption } from './interruption.ts';
import { patiently } from './patience.ts';
import type { Terminal } from './terminal.ts';

/** How often a log is asked for more, in milliseconds. */
const FOLLOW_INTERVAL_MS = 300;

interface LogsOptions extends PlaceOptions {
  readonly follow?: true;
  readonly attempt?: number;
}

export const logsCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('logs'))
    .summary("print the log of a task's run")
    .description('Prints what runner and agent wrote in one attempt of a task, as it was written.')
    .argument('<task>', 'the id of the task, or as much of its beginning as is unique')
    .option('-f, --follow', 'go on until the run has ended')
    .option('--attempt <number>', 'that of an earlier attempt (default: the latest)', attemptIn)
    .addHelpText('after', HELP)
    .action((task: string, options: LogsOptions) => logs(task, options, terminal));

async function logs(task: string, options: LogsOptions, terminal: Terminal): Promise<void> {
  const find = () => findWorld(options, process.cwd());
  const { taskId } = await (await find()).task(task);
  let offset = 0;
  const interruption = onInterruption();
  const printing = patiently(find, async (client) => {
    for (;;) {
      const { text, next, complete } = await client.log(taskId, offset, options.attempt);
      terminal.bytes(text);
      offset = next;
      if (complete || (text.length === 0 && !options.follow)) return;
      if (text.length === 0) await sleep(FOLLOW_INTERVAL_MS);
    }
  });
  printing.catch(() => undefined);
  await Promise.race([printing, interruption.leaving]);
  interruption.end();
}

function attemptIn(given: string): number {
  if (/^[1-9]\d{0,3}$/.test(given)) return Number(given);
  throw badInput('--attempt', `"${given}" is no number of an attempt`, 'Write it like --attempt 2.');
}

const HELP = `
Examples:
  baton logs t4k2m
  baton logs -f t4k2m
  baton logs t4k2m --attempt 1`;
