import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { RebuildReport } from '../runtime/engine/rebuild.ts';
import { badInput } from './cli-error.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { DEFAULT_DATA_DIR, type PlaceOptions, stageIn } from './find-world.ts';
import { shown } from './paint.ts';
import type { Terminal } from './terminal.ts';

/** Differences printed; JSON has more. */
const DIFFERENCES_SHOWN = 50;

interface RebuildOptions extends Pick<PlaceOptions, 'data' | 'aws' | 'stage'> {
  readonly into: string;
  readonly json?: true;
}

export const rebuildCommand = (program: Command, terminal: Terminal): Command =>
  program
    .command('rebuild')
    .summary('fold the archive into an empty place and compare')
    .description(
      'Folds the facts of the archive into what the records of tasks must be, writes that into an empty directory, and tells where\n' +
        'the live records differ. Changes nothing live; a world may run meanwhile.',
    )
    .requiredOption('--into <dir>', 'where the result goes: a directory that is empty or does not exist')
    .option('--data <dir>', 'the data directory of the world', DEFAULT_DATA_DIR)
    .option('--aws', 'not possible: see below')
    .option('--stage <stage>', 'not possible: see below')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', HELP)
    .action(async (options: RebuildOptions) => {
      if (stageIn(options) !== undefined) {
        throw badInput(
          '--aws',
          'EventBridge gives the events of an archive to rules only, by a replay, so nobody can read it from here',
          'Repair records with `baton replay --aws`; look at one task with `baton explain --aws <task>`.',
        );
      }
      terminal.status(() => 'folding the archive');
      const { rebuildWorld } = await import('../runtime/rebuilt-world.ts');
      const report = await rebuildWorld({
        from: resolve(options.data ?? DEFAULT_DATA_DIR),
        into: resolve(options.into),
      }).finally(() => terminal.status(undefined));
      if (options.json) terminal.json(report);
      else for (const line of linesOf(report)) terminal.line(line);
      process.exitCode = report.different === 0 ? CLI_EXIT.completed : CLI_EXIT.failed;
    });

function linesOf({ facts, tasks, same, silent, moved, older, different, differences }: RebuildReport): string[] {
  const told = [
    `${same} the same`,
    `${silent} further by steps that say nothing`,
    ...(moved > 0 ? [`${moved} moved meanwhile`] : []),
    ...(older > 0 ? [`${older} older than the archive`] : []),
    `${different} different`,
  ];
  const more = differences.length > DIFFERENCES_SHOWN ? [`  … and ${different - DIFFERENCES_SHOWN} more`] : [];
  return [
    `${facts} facts of ${tasks} tasks: ${told.join(', ')}`,
    ...differences.slice(0, DIFFERENCES_SHOWN).flatMap(lineOf),
    ...more,
  ];
}

function lineOf(difference: RebuildReport['differences'][number]): string[] {
  const { taskId } = difference;
  switch (difference.kind) {
    case 'differs':
      return difference.fields.map(
        ({ field, told, stored }) => `  ${taskId}  ${field}: told ${textOf(told)}, stored ${textOf(stored)}`,
      );
    case 'record_missing':
      return [`  ${taskId}  there is no record of it`];
    case 'facts_missing':
      return [`  ${taskId}  no fact tells version ${difference.versions.join(', ')}`];
    default:
      return [];
  }
}

const textOf = (value: unknown): string => shown(value === undefined ? 'nothing' : JSON.stringify(value));

const HELP = `
Only for worlds on this machine: EventBridge shows an archive to nobody but the rules of a replay.

Exit codes:
  0 nothing differs   1 something differs   2 bad usage, no world there, or the target is not empty

Examples:
  baton rebuild --into shadow
  baton rebuild --into /tmp/shadow --json | jq .differences`;
