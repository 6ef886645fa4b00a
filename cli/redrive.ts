import type { Command } from 'commander';
import { rules } from '../rules/index.ts';
import type { DeadLetterView, Redriven } from '../schemas/world-api.ts';
import { badInput } from './cli-error.ts';
import { deadLetterTable, redrivenText, remediesOf } from './dead-letter-table.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { findWorld, type PlaceOptions, withPlaceOptions } from './find-world.ts';
import type { Terminal } from './terminal.ts';
import type { WorldClient } from './world-client.ts';

interface RedriveOptions extends PlaceOptions {
  readonly rule?: string;
  readonly all?: true;
  readonly json?: true;
}

export const redriveCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('redrive'))
    .summary('list what was given up, or deliver it once more')
    .description(
      'Lists the dead letters of a world. With ids, or --all, delivers them once more: as they were, to the rule that failed and to no other.',
    )
    .argument('[id...]', 'ids of dead letters, or as much of their beginnings as is unique')
    .option('--rule <rule>', 'only those of this rule')
    .option('--all', 'deliver all of them once more')
    .option('--json', 'print an array as JSON: the letters, or what became of each')
    .addHelpText('after', HELP)
    .action((ids: string[], options: RedriveOptions) => redrive(ids, options, terminal));

async function redrive(ids: readonly string[], options: RedriveOptions, terminal: Terminal): Promise<void> {
  if (ids.length > 0 && options.all) throw badInput('--all', 'it excludes ids', 'Give ids, or --all.');
  const client = await findWorld(options, process.cwd());
  const letters = await client.deadLetters(options.rule);
  if (letters.length === 0) assertRule(options.rule);
  const isAsked = ids.length > 0 || options.all === true;
  if (!isAsked) list(letters, client, options, terminal);
  else await redriven(options.all ? letters : ids.map((id) => letterOf(id, letters)), client, options, terminal);
}

/** A letter may be of a rule that this version does not have; where there is none, the name is a mistake. */
function assertRule(rule: string | undefined): void {
  const names = rules.map(({ name }) => name);
  if (rule === undefined || names.includes(rule)) return;
  throw badInput('--rule', `there is no rule "${rule}"`, `Give one of ${names.join(', ')}.`);
}

function list(letters: readonly DeadLetterView[], client: WorldClient, options: RedriveOptions, terminal: Terminal) {
  if (options.json) {
    terminal.json(letters);
    return;
  }
  if (letters.length === 0) {
    terminal.line(`No dead letters${ofRule(options)} in the world at ${client.url}.`);
    return;
  }
  for (const line of deadLetterTable(letters, Date.now(), terminal.paint)) terminal.line(terminal.fit(line));
  terminal.line();
  for (const line of remediesOf(letters, terminal.paint)) terminal.line(line);
}

/** Oldest first: what happened first is made good first. */
async function redriven(
  letters: readonly DeadLetterView[],
  client: WorldClient,
  options: RedriveOptions,
  terminal: Terminal,
): Promise<void> {
  const told = await client.redrive([...new Set(letters)].sort((one, other) => (one.at < other.at ? -1 : 1)));
  if (options.json) terminal.json(told);
  else if (told.length === 0) terminal.line(`No dead letters${ofRule(options)} in the world at ${client.url}.`);
  else for (const one of told) terminal.line(redrivenText(one, terminal.paint));
  if (told.some(isLeft)) process.exitCode = CLI_EXIT.failed;
}

const isLeft = ({ outcome }: Redriven): boolean => !['handled', 'sent', 'under_way'].includes(outcome);

const ofRule = ({ rule }: RedriveOptions): string => (rule === undefined ? '' : ` of ${rule}`);

/** By the id, or by its beginning where only one letter has it. */
function letterOf(id: string, letters: readonly DeadLetterView[]): DeadLetterView {
  const exact = letters.find((letter) => letter.id === id);
  const fitting = exact ? [exact] : letters.filter((letter) => id !== '' && letter.id.startsWith(id));
  const [found] = fitting;
  if (!found) throw badInput('<id>', `there is no dead letter ${id}`, '`baton redrive` lists those that are there.');
  if (fitting.length > 1)
    throw badInput('<id>', `${fitting.length} dead letters begin with ${id}`, 'Give more of the id.');
  return found;
}

const HELP = `
Exit codes:
  0 listed, or all were handled (on AWS: handed over again)   1 some failed again, and are kept   2 bad usage, no such letter, no world

Examples:
  baton redrive
  baton redrive --rule wake-task --all
  baton redrive --stage prod --json`;
