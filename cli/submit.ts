import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DEFAULT_DATA_DIR, findWorld, type PlaceOptions, stageIn, withPlaceOptions, worldOf } from './find-world.ts';
import { paintStatus, shown } from './paint.ts';
import { assertAgent, requestFrom, type TaskOptions, withTaskOptions } from './task-options.ts';
import type { Terminal } from './terminal.ts';

interface SubmitOptions extends TaskOptions, PlaceOptions {
  readonly key?: string;
  readonly json?: true;
}

export const submitCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(withTaskOptions(program.command('submit')))
    .summary('give a task to a running world and return at once')
    .description(
      'Gives a task to a running world and prints its id. The same key gives the same task, however often it is sent.',
    )
    .option('--key <text>', 'the idempotency key (default: a new one)')
    .option('--json', 'print { taskId } as JSON, with reused: true where the key stands for another request')
    .addHelpText('after', HELP)
    .action((options: SubmitOptions) => submit(options, terminal));

async function submit(options: SubmitOptions, terminal: Terminal): Promise<void> {
  const request = requestFrom(options, {
    cwd: process.cwd(),
    environment: process.env,
    elsewhere: stageIn(options) !== undefined,
    worldMayKnow: true,
  });
  const client = await findWorld(options, process.cwd());
  if (
    stageIn(options) === undefined &&
    options.endpoint === undefined &&
    client.url !== worldOf(resolve(options.data ?? DEFAULT_DATA_DIR))?.url
  ) {
    terminal.complain(`baton: no world runs on ./${DEFAULT_DATA_DIR}; the task goes to the one at ${client.url}`);
  }
  if (stageIn(options) === undefined) await assertAgent(client, request, process.env);
  const view = await client.submit({ ...request, idempotencyKey: options.key ?? randomUUID() });
  if (view.reused) {
    terminal.complain(
      `baton: the key ${JSON.stringify(options.key)} already stands for another request; this is the task that it made`,
    );
  }
  if (options.json) {
    terminal.json({ taskId: view.taskId, ...(view.reused ? { reused: true } : {}) });
    return;
  }
  terminal.line(view.taskId);
  if (!terminal.live) return;
  const { paint } = terminal;
  terminal.line(
    paint.dim(`${paintStatus(view.status, paint)} on ${shown(view.repository)}; baton watch ${view.taskId}`),
  );
}

const HELP = `
Examples:
  baton submit --repo . --prompt "Add a test for the parser"
  baton submit --repo . --prompt @task.md --key nightly-2031-05-01 --json
  baton watch "$(baton submit --repo . --prompt @task.md)"`;
