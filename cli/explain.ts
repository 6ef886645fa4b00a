import type { Command } from 'commander';
import { explanationText } from './explanation-text.ts';
import { findWorld, type PlaceOptions, withPlaceOptions } from './find-world.ts';
import type { Terminal } from './terminal.ts';

interface ExplainOptions extends PlaceOptions {
  readonly json?: true;
}

export const explainCommand = (program: Command, terminal: Terminal): Command =>
  withPlaceOptions(program.command('explain'))
    .summary('tell why a task stands where it stands, and what comes next')
    .description(
      'Tells what led to what, from the request to settled; what each attempt began with and why it was lost; what was ignored; what is due; what must happen next, who does it, and by when.',
    )
    .argument('<task>', 'the id of the task, or as much of its beginning as is unique')
    .option('--json', 'print the explanation as JSON')
    .addHelpText('after', HELP)
    .action((task: string, options: ExplainOptions) => explain(task, options, terminal));

async function explain(task: string, options: ExplainOptions, terminal: Terminal): Promise<void> {
  const client = await findWorld(options, process.cwd());
  const told = await client.explain(task);
  if (options.json) {
    terminal.json(told);
    return;
  }
  for (const line of explanationText(told, terminal.paint)) terminal.line(line);
}

const HELP = `
Examples:
  baton explain t4k2m
  baton explain t4k2m --json | jq .next`;
