import { Command, CommanderError } from 'commander';
import { batonVersion } from '../runtime/version.ts';
import { cancelCommand } from './cancel.ts';
import { badUsage, errorJson, errorLines, exitCodeFor } from './cli-error.ts';
import { devCommand } from './dev.ts';
import { doctorCommand } from './doctor.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { explainCommand } from './explain.ts';
import { listCommand } from './list.ts';
import { logsCommand } from './logs.ts';
import { rebuildCommand } from './rebuild.ts';
import { redriveCommand } from './redrive.ts';
import { replayCommand } from './replay.ts';
import { repoCommand } from './repo.ts';
import { runCommand } from './run.ts';
import { showCommand } from './show.ts';
import { simulateCommand } from './simulate.ts';
import { submitCommand } from './submit.ts';
import { openTerminal, type Terminal } from './terminal.ts';
import { watchCommand } from './watch.ts';
import { workersCommand } from './workers.ts';

/** Commands that go on when nobody reads what they print: a task or a world hangs on them. */
const GO_ON_UNREAD = new Set(['run', 'dev']);

/** The command line. Sets the exit code of the process, and ends it when everything is written. */
export async function main(words: readonly string[]): Promise<void> {
  const terminal = openTerminal({ out: process.stdout, err: process.stderr, environment: process.env });
  endQuietlyUnread(words);
  const json = words.includes('--json');
  try {
    await programOn(terminal, { json }).parseAsync([...words], { from: 'user' });
  } catch (error) {
    process.exitCode = tell(error, terminal, json);
  }
  await leave();
}

/** With `json`, what commander would write about bad usage is left to who catches its CommanderError. */
export function programOn(terminal: Terminal, { json = false }: { readonly json?: boolean } = {}): Command {
  const program = new Command('baton')
    .description('Long coding-agent tasks, handed from event to event with no orchestrator.')
    .showHelpAfterError('(--help tells what is possible)')
    .version(batonVersion(), '--version', 'print the version')
    .exitOverride()
    .configureOutput(json ? { writeErr: () => undefined } : {})
    .configureHelp({ sortSubcommands: false })
    .addHelpText('after', HELP);
  const commands = [
    runCommand,
    devCommand,
    submitCommand,
    listCommand,
    showCommand,
    explainCommand,
    watchCommand,
    logsCommand,
    cancelCommand,
    repoCommand,
    workersCommand,
    replayCommand,
    rebuildCommand,
    redriveCommand,
    simulateCommand,
    doctorCommand,
  ];
  for (const add of commands) add(program, terminal);
  return program;
}

function tell(error: unknown, terminal: Terminal, asJson: boolean): number {
  terminal.status(undefined);
  const debug = process.env['BATON_DEBUG'] === '1';
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    // Without JSON, commander has already written what it has to say.
    if (asJson) terminal.complain(errorJson(badUsage(error), debug));
    return CLI_EXIT.badInput;
  }
  if (asJson) terminal.complain(errorJson(error, debug));
  else for (const line of errorLines(error, debug)) terminal.complain(line);
  return exitCodeFor(error);
}

/** A reader that went away (`| head`) is no error. */
function endQuietlyUnread(words: readonly string[]): void {
  let isUnread = false;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      // Every further write says so again.
      if (stream !== process.stdout || isUnread) return;
      isUnread = true;
      if (!GO_ON_UNREAD.has(words[0] ?? '')) void leave();
    });
  }
}

/** Ends the process when all that was written is with its readers, however slowly they read: a pipe takes 64 KiB at once. */
async function leave(): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map(drained));
  // Connections that are kept open for reuse must not keep the process.
  process.exit();
}

/** Resolves too when the reader went away. */
const drained = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    stream.once('close', resolve);
    // What was written before it is taken before it.
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });

const HELP = `
Examples:
  baton run --repo . --prompt "Add a test for the parser"
  baton dev
  baton submit --repo . --prompt @task.md

Set BATON_DEBUG=1 to see the stack of an error.`;
