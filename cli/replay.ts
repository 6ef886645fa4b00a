import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { rules } from '../rules/index.ts';
import { isReplayOver, type ReplayView, replayName } from '../schemas/replay.ts';
import { badInput } from './cli-error.ts';
import { durationBetween } from './duration.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { findWorld, type PlaceOptions, stageIn, withPlaceOptions } from './find-world.ts';
import { parseMoment } from './moment.ts';
import { shown } from './paint.ts';
import { patiently } from './patience.ts';
import type { Terminal } from './terminal.ts';

/** Wait between two looks at a replay, in milliseconds: on this machine it takes seconds, on AWS minutes. */
const LOOK_PAUSE_MS = 200;
const LOOK_PAUSE_AWS_MS = 3_000;

interface ReplayOptions extends PlaceOptions {
  readonly from: string;
  readonly to: string;
  readonly rule?: readonly string[];
  readonly name?: string;
  readonly json?: true;
}

export const replayCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('replay'))
    .summary('deliver events of the archive once more')
    .description(
      'Delivers what was published in a time once more, to all rules or to some. It repairs records: it accepts no task, starts\n' +
        'nothing and sends nothing. Waits until it is done; Ctrl-C leaves it to go on by itself.',
    )
    .requiredOption(
      '--from <time>',
      'the first moment: 2026-11-21T16:45Z (without the Z: in the time of this machine), "2h ago", "1d ago"',
    )
    .option('--to <time>', 'the moment after the last', 'now')
    .option('--rule <name...>', 'only these rules')
    .option('--name <name>', 'what the replay is called; a name is used once (default: from the time)')
    .option('--json', 'print the replay as JSON')
    .addHelpText('after', HELP)
    .action(async (options: ReplayOptions) => {
      process.exitCode = await replay(options, terminal);
    });

async function replay(options: ReplayOptions, terminal: Terminal): Promise<number> {
  const nowMs = Date.now();
  const wanted = {
    name: nameIn(options.name ?? `replay-${new Date(nowMs).toISOString().replace(/\D/g, '')}`),
    from: momentIn('--from', options.from, nowMs),
    to: momentIn('--to', options.to, nowMs),
    ...(options.rule === undefined ? {} : { rules: rulesIn(options.rule, terminal) }),
  };
  if (wanted.from >= wanted.to) throw badInput('--from', `${wanted.from} is not before ${wanted.to}`, 'Swap the two.');
  const pauseMs = stageIn(options) === undefined ? LOOK_PAUSE_MS : LOOK_PAUSE_AWS_MS;
  const find = () => findWorld(options, process.cwd());
  let view = await (await find()).replays.start(wanted);
  terminal.status(() => progressOf(view));
  try {
    view = await patiently(find, async (client) => {
      for (;;) {
        view = await client.replays.view(wanted.name);
        if (isReplayOver(view)) return view;
        await sleep(pauseMs);
      }
    });
  } finally {
    terminal.status(undefined);
  }
  if (options.json) terminal.json(view);
  else for (const line of endOf(view)) terminal.line(line);
  return view.state === 'COMPLETED' && !view.failed ? CLI_EXIT.completed : CLI_EXIT.failed;
}

function progressOf({ name, state, events, failed = 0, lastReplayedAt }: ReplayView): string {
  const count = events === undefined ? '' : `, ${events} events`;
  const bad = failed === 0 ? '' : `, ${failed} failed`;
  const until = lastReplayedAt === undefined ? '' : `, up to ${lastReplayedAt}`;
  return `${name}: ${state}${count}${bad}${until}`;
}

function endOf({ name, state, events, failed = 0, from, to, startedAt, endedAt, reason }: ReplayView): string[] {
  const what = events === undefined ? '' : ` ${events} events`;
  const took = endedAt === undefined ? '' : ` in ${durationBetween(startedAt, endedAt)}`;
  const lines = [`${name} ${state}:${what} from ${from} to ${to}${took}`];
  if (failed > 0)
    lines.push(`  ${failed} ${failed === 1 ? 'delivery' : 'deliveries'} failed; mend the cause and replay once more`);
  return reason === undefined ? lines : [...lines, `  ${shown(reason)}`];
}

function momentIn(option: string, text: string, nowMs: number): string {
  const moment = parseMoment(text, nowMs);
  if (moment !== undefined) return moment;
  throw badInput(
    option,
    `"${shown(text)}" is no time`,
    'Write it like 2026-11-21T16:45Z, 2026-11-21, "90m ago", "2d ago" or now.',
  );
}

function nameIn(name: string): string {
  const named = replayName.safeParse(name);
  if (named.success) return named.data;
  throw badInput('--name', `"${shown(name)}": ${named.error.issues[0]?.message}`, 'Choose another name.');
}

function rulesIn(names: readonly string[], terminal: Terminal): string[] {
  const unknown = names.filter((name) => !rules.some((rule) => rule.name === name));
  if (unknown.length > 0) {
    throw badInput(
      '--rule',
      `there is no rule ${unknown.map(shown).join(', ')}`,
      `Name some of these: ${rules.map(({ name }) => name).join(', ')}.`,
    );
  }
  for (const { name, kind } of rules)
    if (kind === 'effect' && names.includes(name))
      terminal.complain(`baton: ${name} reaches outside, so it ignores what is replayed`);
  return [...names];
}

const HELP = `
On AWS an event reaches the archive within minutes: what was just published may be missing. There, nobody counts deliveries that fail: they are
dead letters.

Exit codes:
  0 all was delivered again and handled   1 it failed or was cancelled, or deliveries of it failed   2 bad usage, no world

Examples:
  baton replay --from "2h ago"
  baton replay --from 2026-11-21T16:00Z --to 2026-11-21T17:00Z --rule settle-task judge-report
  baton replay --aws --from "1d ago" --name after-the-outage`;
