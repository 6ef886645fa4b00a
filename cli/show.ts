import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { workedDirOf } from '../runtime/engine/run-keeping.ts';
import { RUN_FILES } from '../schemas/run-files.ts';
import type { TaskView } from '../schemas/task-view.ts';
import { findWorld, type PlaceOptions, stageIn, withPlaceOptions } from './find-world.ts';
import { taskText } from './task-text.ts';
import type { Terminal } from './terminal.ts';
import { unsavedText } from './unsaved-work.ts';

interface ShowOptions extends PlaceOptions {
  readonly json?: true;
}

export const showCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('show'))
    .summary('show all that is known about a task')
    .description('Shows a task: its state and why, its result, what is due and when, and every step with its cause.')
    .argument('<task>', 'the id of the task, or as much of its beginning as is unique')
    .option('--json', 'print the task as JSON')
    .addHelpText('after', HELP)
    .action((task: string, options: ShowOptions) => show(task, options, terminal));

async function show(task: string, options: ShowOptions, terminal: Terminal): Promise<void> {
  const client = await findWorld(options, process.cwd());
  const view = await client.task(task);
  if (options.json) {
    terminal.json(view);
    return;
  }
  const dataDir = stageIn(options) === undefined ? (await client.facts()).dataDir : undefined;
  const here = { unsaved: unsavedText(view, dataDir), log: dataDir && logIn(dataDir, view) };
  for (const line of taskText(view, Date.now(), terminal.paint, here)) terminal.line(line);
}

/** The log of its run, which may be removed some time after its end. */
function logIn(dataDir: string, { taskId, run }: TaskView): string | undefined {
  if (!run) return undefined;
  const file = join(workedDirOf(join(dataDir, 'runs'), taskId, run.attempt), RUN_FILES.log);
  return existsSync(file) ? file : undefined;
}

const HELP = `
Examples:
  baton show t4k2m
  baton show t4k2m --json | jq .history`;
