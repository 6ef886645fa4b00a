import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { embeddedComputes } from '../runtime/embedded-computes.ts';
import type { World } from '../runtime/embedded-world.ts';
import { unfit } from '../runtime/engine/local-fleet-worker.ts';
import { BatonError } from '../runtime/errors.ts';
import type { Status } from '../schemas/task.ts';
import { errorLines } from './cli-error.ts';
import { prepareDataDir } from './data-dir.ts';
import { eventLine } from './event-line.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { DEFAULT_DATA_DIR, DEFAULT_PORT } from './find-world.ts';
import { onInterruption } from './interruption.ts';
import type { Terminal } from './terminal.ts';
import { worldClient } from './world-client.ts';
import { computesText, GITHUB, SCREENING_IS_A_STAND_IN, SCREENING_IS_OFF } from './world-means.ts';
import { quarantineNotice, rejectionNotice, worldNotices } from './world-notices.ts';

interface DevOptions {
  readonly port: number;
  readonly data: string;
  readonly quiet?: true;
  readonly screening?: 'stand-in';
}

export const devCommand = (program: Command, terminal: Terminal): Command =>
  program
    .command('dev')
    .summary('keep a world running on this machine')
    .description(
      'Keeps a world running: it takes up the tasks that are not settled and those that are submitted, until SIGTERM or Ctrl-C.\n' +
        'Its first line on standard output is `ready <url>`. Runs go on when it stops, and are taken up at its next start.',
    )
    .option('--port <number>', 'where it listens, on 127.0.0.1; 0 takes a free one', portIn, DEFAULT_PORT)
    .option('--data <dir>', 'the data directory', DEFAULT_DATA_DIR)
    .addOption(
      new Option(
        '--screening <how>',
        'screen the texts of tasks before compute starts: by a stand-in that knows a few phrases (default: not at all)',
      ).choices(['stand-in']),
    )
    .option('--quiet', 'on a terminal: no line per event')
    .addHelpText('after', HELP)
    .action((options: DevOptions) => dev(options, terminal));

async function dev(options: DevOptions, terminal: Terminal): Promise<void> {
  const interruption = onInterruption();
  const { openWorld } = await import('../runtime/embedded-world.ts');
  const world = await openWorld({
    dataDir: prepareDataDir(resolve(options.data)),
    port: options.port,
    ...(options.screening === undefined ? {} : { screening: options.screening }),
    ...GITHUB,
    ...worldNotices(terminal.complain, { json: false }),
  });
  world.listen(rejectionNotice(terminal.complain));
  world.listen(quarantineNotice(terminal.complain));
  await assertReachable(world);
  terminal.line(`ready ${world.url}`);
  terminal.complain(`baton: ${options.screening === undefined ? SCREENING_IS_OFF : SCREENING_IS_A_STAND_IN}`);
  terminal.complain(`baton: ${computesText(embeddedComputes())}`);
  const noFleet = unfit();
  if (noFleet !== undefined) terminal.complain(`baton: none run on ec2: ${noFleet}`);
  const listening = new AbortController();
  if (terminal.live && options.quiet !== true) void tellEvents(world.url, terminal, listening.signal);
  const failure = await Promise.race([interruption.leaving, world.failed]);
  listening.abort();
  await tellLeft(world, terminal);
  if (failure instanceof BatonError) {
    await world.close().catch(() => undefined);
    for (const line of errorLines(failure, process.env['BATON_DEBUG'] === '1')) terminal.complain(line);
    process.exitCode = CLI_EXIT.failed;
  } else await world.close();
}

/** A task with a run, which does not end with this process. */
const AT_WORK: readonly Status[] = ['STARTING', 'RUNNING', 'STOPPING'];

/** Agents that go on must not come as a surprise to who ended the world. */
async function tellLeft({ url, dataDir }: World, terminal: Terminal): Promise<void> {
  const facts = await worldClient(url)
    .facts()
    .catch(() => undefined);
  if (!facts || facts.unsettled === 0) return;
  const runs = AT_WORK.reduce((sum, status) => sum + (facts.tasks[status] ?? 0), 0);
  const going = runs === 0 ? '' : `, ${runs} ${runs === 1 ? 'run goes' : 'runs go'} on`;
  const [tasks, them] = facts.unsettled === 1 ? ['1 task', 'it'] : [`${facts.unsettled} tasks`, 'them'];
  terminal.complain(
    `baton: left ${tasks}${going}; the next \`baton run\` or \`baton dev\` on ${dataDir} takes ${them} up.`,
  );
}

/** There are ports that HTTP clients refuse on principle (https://fetch.spec.whatwg.org/#port-blocking). */
async function assertReachable(world: World): Promise<void> {
  try {
    await worldClient(world.url).facts();
  } catch (error) {
    await world.close();
    const remedy = 'Choose another port with --port.';
    throw error instanceof BatonError ? new BatonError('bad_input', error.message, { remedy, cause: error }) : error;
  }
}

async function tellEvents(url: string, terminal: Terminal, signal: AbortSignal): Promise<void> {
  try {
    for await (const event of worldClient(url).events({ signal })) terminal.line(eventLine(event, terminal.paint));
  } catch (error) {
    if (!signal.aborted) terminal.complain(`baton: events are shown no more (${String(error)})`);
  }
}

function portIn(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65535) throw new InvalidArgumentError('Give a number from 0 to 65535.');
  return port;
}

const HELP = `
Examples:
  baton dev
  baton dev --port 0 --data /var/tmp/baton
  baton dev --screening stand-in`;
