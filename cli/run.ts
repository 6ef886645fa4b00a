import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { unfit } from '../runtime/engine/local-fleet-worker.ts';
import { badInput } from './cli-error.ts';
import { courseOf } from './course.ts';
import { prepareDataDir } from './data-dir.ts';
import { DEFAULT_DATA_DIR, hasRecords } from './find-world.ts';
import { onInterruption } from './interruption.ts';
import { requestFrom, type TaskOptions, withTaskOptions } from './task-options.ts';
import { taskReport } from './task-report.ts';
import type { Terminal } from './terminal.ts';
import { worldNotices } from './world-notices.ts';

interface RunOptions extends TaskOptions {
  readonly data: string;
  readonly json?: true;
}

export const runCommand = (program: Command, terminal: Terminal): Command =>
  withTaskOptions(program.command('run'))
    .summary('run one task on this machine and wait for its end')
    .description(
      'Runs one task on this machine and waits for its end. Opens a world on the data directory, or joins the one that runs there.\n' +
        'Ctrl-C cancels the task and waits for its end; a second Ctrl-C leaves it to the next start on the same data directory.',
    )
    .option('--data <dir>', 'the data directory', DEFAULT_DATA_DIR)
    .option('--json', 'progress as JSON lines; the last line is the task, as `show --json` gives it')
    .addHelpText('after', HELP)
    .action(async (options: RunOptions) => {
      process.exitCode = await run(options, terminal);
    });

async function run(options: RunOptions, terminal: Terminal): Promise<number> {
  const dataDir = resolve(options.data);
  const noFleet = unfit();
  if (options.compute === 'ec2' && noFleet !== undefined)
    throw badInput('--compute', `nothing runs on ec2 here: ${noFleet}`, 'Leave it out, or name another back end.');
  const request = requestFrom(options, {
    cwd: process.cwd(),
    environment: process.env,
    worldMayKnow: hasRecords(dataDir),
  });
  const course = courseOf({
    dataDir: prepareDataDir(dataDir),
    request: { ...request, idempotencyKey: randomUUID() },
    report: taskReport(terminal, { json: options.json === true }),
    complain: terminal.complain,
    notices: worldNotices(terminal.complain, { json: options.json === true }),
  });
  const interruption = onInterruption(course.cancel);
  try {
    const ended = course.run();
    // When we leave first, what becomes of it is of no interest any more.
    ended.catch(() => undefined);
    const end = await Promise.race([ended, course.failed, interruption.leaving]);
    terminal.status(undefined);
    return typeof end === 'number' ? end : await course.leave(end);
  } finally {
    interruption.end();
    terminal.status(undefined);
    await course.close();
  }
}

const HELP = `
Exit codes:
  0 completed   1 failed, or the world cannot go on   2 bad usage or input   3 cancelled   4 timed out
  130, 143      left by a second Ctrl-C or by SIGTERM before the task had ended

Examples:
  baton run --repo . --prompt "Add a test for the parser"
  baton run --repo ~/site --base main --prompt @task.md --timeout 30m
  baton run --repo . --prompt "say hello" --agent 'cat > hello.txt' --json | tail -n 1`;
