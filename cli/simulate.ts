import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import type { Finding } from '../runtime/simulated-world.ts';
import { badInput } from './cli-error.ts';
import { durationText } from './duration.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { simulateInJobs } from './simulate-jobs.ts';
import type { Terminal } from './terminal.ts';

/** Most seeds, and tasks in one world, that are taken at once: beyond them a run would take days. */
const SEEDS_MAX = 10_000_000;
const TASKS_MAX = 1_000;
/** Most processes at once. */
const JOBS_MAX = 256;
/** Fewer seeds than this are not worth a second process. */
const SEEDS_OF_A_JOB = 200;

interface SimulateOptions {
  readonly seed: number;
  readonly seeds: number;
  readonly tasks: number;
  readonly faults: string;
  readonly jobs?: number;
  readonly json?: true;
}

export const simulateCommand = (program: Command, terminal: Terminal): Command =>
  program
    .command('simulate')
    .summary('run the handlers in simulated worlds with faults')
    .description(
      'Runs the same handlers in simulated worlds: virtual time, one seed each, with faults; checks the promises after every step.\n' +
        'The same seed gives the same world, byte for byte.',
    )
    .option('--seed <number>', 'the first seed', wholeNumber(Number.MAX_SAFE_INTEGER, 0), 1)
    .option('--seeds <number>', 'how many seeds', wholeNumber(SEEDS_MAX), 100)
    .option('--tasks <number>', 'tasks in each world', wholeNumber(TASKS_MAX), 4)
    .option('--faults <names>', 'all, none, or names with commas between them; list shows them', 'all')
    .option('--jobs <number>', 'processes to run in; default: one for each core', wholeNumber(JOBS_MAX))
    .option('--json', 'a line per broken seed; the last line is { seeds, steps, broken, firstBrokenSeed? }')
    .addHelpText('after', HELP)
    .action(async (options: SimulateOptions) => {
      if (options.faults === 'list') await listFaults(options, terminal);
      else process.exitCode = await simulateAll(options, terminal);
    });

async function simulateAll(options: SimulateOptions, terminal: Terminal): Promise<number> {
  const { faultsNamed, simulate } = await import('../runtime/simulated-world.ts');
  const startedMs = Date.now();
  const seen = { seeds: 0, broken: 0 };
  terminal.status(
    () => `seed ${options.seed + seen.seeds}, ${seen.broken} broken, ${durationText(Date.now() - startedMs)}`,
  );
  const { json, tasks, seed, seeds } = options;
  try {
    faultsNamed(options.faults);
  } catch (error) {
    asBadInput(error);
  }
  const jobs = options.jobs ?? Math.min(availableParallelism(), Math.ceil(options.seeds / SEEDS_OF_A_JOB));
  const asked = { seed, seeds, tasks, faults: options.faults };
  const result =
    jobs > 1
      ? await simulateInJobs({ ...asked, jobs, onFinding, onDone })
      : await simulate({
          ...asked,
          onSeed({ finding }) {
            onDone(1);
            if (finding) onFinding(finding);
          },
        });
  terminal.status(undefined);
  if (json) terminal.json(result);
  else {
    const found = result.broken === 0 ? 'no promise broke' : `promises broke in ${result.broken}`;
    const took = durationText(Date.now() - startedMs);
    terminal.line(`${result.seeds} seeds, ${result.steps} steps: ${found} (${took})`);
    if (result.firstBrokenSeed !== undefined) {
      terminal.line(
        `Again: baton simulate --seed ${result.firstBrokenSeed} --seeds 1 --tasks ${options.tasks} --faults ${options.faults}`,
      );
    }
  }
  return result.broken === 0 ? CLI_EXIT.completed : CLI_EXIT.failed;

  function onDone(seeds: number): void {
    seen.seeds += seeds;
  }

  function onFinding({ seed, promise, taskId, message, step, trace }: Finding): void {
    seen.broken += 1;
    if (json) {
      terminal.json({ seed, promise, taskId, message, step, trace });
      return;
    }
    terminal.line(
      `${terminal.paint.red(`seed ${seed}`)} breaks "${promise}" at step ${step}, task ${taskId}: ${message}`,
    );
    for (const line of trace) terminal.line(terminal.paint.dim(`    ${line}`));
  }
}

async function listFaults({ json }: SimulateOptions, terminal: Terminal): Promise<void> {
  const { faultNames, faults } = await import('../runtime/simulated-world.ts');
  if (json) {
    terminal.json(faultNames);
    return;
  }
  const columns = Math.max(...faultNames.map((name) => name.length));
  for (const name of faultNames) terminal.line(`${name.padEnd(columns)}  ${faults[name]}`);
}

/** A fault that nobody knows. */
function asBadInput(error: unknown): never {
  if (error instanceof RangeError) throw badInput('--faults', error.message, 'See `baton simulate --faults list`.');
  throw error;
}

const wholeNumber =
  (most: number, least = 1) =>
  (text: string): number => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
  };

const HELP = `
Exit codes:
  0 every promise held   1 a promise broke   2 bad usage

Examples:
  baton simulate --seeds 10000 --jobs 2
  baton simulate --seed 42 --seeds 1 --faults duplicate,reorder
  baton simulate --faults list`;
