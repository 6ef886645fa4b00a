import type { Command } from 'commander';
import { exitCodeOf } from './exit-codes.ts';
import { findWorld, type PlaceOptions, withPlaceOptions } from './find-world.ts';
import { follower, isOverFor } from './follow.ts';
import { onInterruption } from './interruption.ts';
import { patiently } from './patience.ts';
import { taskReport } from './task-report.ts';
import type { Terminal } from './terminal.ts';
import { unsavedText } from './unsaved-work.ts';
import { watchAll } from './watch-all.ts';

interface WatchOptions extends PlaceOptions {
  readonly json?: true;
}

export const watchCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('watch'))
    .summary('follow a task until its end, or all tasks')
    .description(
      'Follows a task until its end and ends with the exit code that `run` would have. Without a task: follows all, until Ctrl-C.',
    )
    .argument('[task]', 'the id of the task, or as much of its beginning as is unique')
    .option('--json', 'steps as JSON lines; with a task, the last line is the task, as `show --json` gives it')
    .addHelpText('after', HELP)
    .action(async (task: string | undefined, options: WatchOptions) => {
      const interruption = onInterruption();
      try {
        const watching = task === undefined ? watchAll(options, terminal) : watchOne(task, options, terminal);
        watching.catch(() => undefined);
        const end = await Promise.race([watching, interruption.leaving.then(() => 0)]);
        process.exitCode = end;
      } finally {
        interruption.end();
        terminal.status(undefined);
      }
    });

async function watchOne(task: string, options: WatchOptions, terminal: Terminal): Promise<number> {
  const report = taskReport(terminal, { json: options.json === true });
  const first = await (await findWorld(options, process.cwd())).task(task);
  report.begin(first);
  const following = follower(first, report.news);
  const view = await patiently(
    () => findWorld(options, process.cwd()),
    (client) => following.follow(client, isOverFor(0)),
  );
  report.end(view, { unsaved: unsavedText(view) });
  return exitCodeOf(view.status);
}

const HELP = `
Examples:
  baton watch
  baton watch t4k2m
  baton watch t4k2m --json | tail -n 1 | jq .result`;
