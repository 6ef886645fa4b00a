import type { Command } from 'commander';
import { plainName } from '../schemas/repository-config.ts';
import { badInput } from './cli-error.ts';
import { findWorld, type PlaceOptions, stageIn, withPlaceOptions } from './find-world.ts';
import { shown } from './paint.ts';
import { type ConfigOptions, configFrom, repositoryNameFrom, withConfigOptions } from './repo-options.ts';
import { repositoryTable, repositoryText, warningOf } from './repo-text.ts';
import type { Terminal } from './terminal.ts';

interface RepoOptions extends PlaceOptions {
  readonly json?: true;
}

export function repoCommand(program: Command, terminal: Terminal): Command {
  const repo = program
    .command('repo')
    .summary('configure what holds for the tasks of a repository')
    .description(
      'Configures what holds for the tasks of a repository, or of all whose address fits a pattern, unless a task asks otherwise.\n' +
        '"*" stands for any characters. The configuration of the very name wins, else the pattern that names most of the address.',
    )
    .addHelpText('after', HELP);
  withPlaceOptions(withConfigOptions(repo.command('set')))
    .summary('change fields of a configuration, or make one')
    .description(
      'Changes the fields that are given and leaves the others as they are; --unset takes a field away, --from replaces all.\n' +
        'It holds for tasks that are asked for from now on. A changed limit lets those who wait start at once.',
    )
    .argument('<repository>', 'an address, a path of this machine, or a pattern')
    .option('--json', 'print the configuration as JSON')
    .addHelpText('after', SET_HELP)
    .action((given: string, options: RepoOptions & ConfigOptions) => set(given, options, terminal));
  withPlaceOptions(repo.command('show'))
    .summary('show a configuration, or the one that holds for an address')
    .description('Shows the configuration of that name, or the one that holds for a task of that repository.')
    .argument('<repository>', 'an address, a path of this machine, or a pattern')
    .option(
      '--json',
      'print it as JSON: { name, config, setAt, setBy }, with warning where the deployment lacks something',
    )
    .addHelpText('after', SHOW_HELP)
    .action((given: string, options: RepoOptions) => show(given, options, terminal));
  withPlaceOptions(repo.command('list'))
    .summary('list all configurations')
    .description('Lists all configurations, by name.')
    .option('--json', 'print an array, each as `repo show --json` gives it')
    .addHelpText('after', LIST_HELP)
    .action((options: RepoOptions) => list(options, terminal));
  withPlaceOptions(repo.command('remove'))
    .summary('remove a configuration')
    .description('Removes the configuration of that very name. Tasks that were accepted under it keep what they got.')
    .argument('<repository>', 'the name, as `repo list` shows it')
    .option('--json', 'print { name, entry: null } as JSON')
    .addHelpText('after', REMOVE_HELP)
    .action((given: string, options: RepoOptions) => remove(given, options, terminal));
  return repo;
}

async function set(given: string, options: RepoOptions & ConfigOptions, terminal: Terminal): Promise<void> {
  const name = nameIn(given, options);
  // What is wrong by itself is told before a world is asked.
  if (options.from !== undefined) configFrom(options, {}, process.cwd());
  const client = await findWorld(options, process.cwd());
  const before = (await client.repositories()).find((entry) => entry.name === name);
  if (before?.unreadable !== undefined && options.from === undefined)
    throw badInput(
      name,
      `its configuration cannot be read by this version of Baton (${before.unreadable}); a change would lose what it says`,
      'Replace it whole with --from <file>, or remove it first.',
    );
  const config = configFrom(options, before?.config ?? {}, process.cwd());
  const { entry, superseded } = await client.configure(name, config);
  if (superseded) terminal.complain('baton: somebody else set it at the same time; this is what holds now');
  if (options.json) {
    terminal.json(entry);
    return;
  }
  if (!entry) return;
  const { warning, ...rest } = entry;
  for (const line of repositoryText(rest, Date.now(), terminal.paint)) terminal.line(line);
  if (warning !== undefined) terminal.complain(`baton: ${warningOf(warning)}`);
}

async function show(given: string, options: RepoOptions, terminal: Terminal): Promise<void> {
  const name = nameIn(given, options);
  const entry = await (await findWorld(options, process.cwd())).repository(name);
  if (options.json) {
    terminal.json(entry);
    return;
  }
  if (entry.name !== name) terminal.line(terminal.paint.dim(`holds for ${shown(name)}:`));
  for (const line of repositoryText(entry, Date.now(), terminal.paint)) terminal.line(line);
}

async function list(options: RepoOptions, terminal: Terminal): Promise<void> {
  const client = await findWorld(options, process.cwd());
  const entries = await client.repositories();
  if (options.json) {
    terminal.json(entries);
    return;
  }
  if (entries.length === 0) {
    terminal.line(`No repository is configured in the world at ${client.url}.`);
    return;
  }
  for (const line of repositoryTable(entries, Date.now(), terminal.paint)) terminal.line(terminal.fit(line));
}

async function remove(given: string, options: RepoOptions, terminal: Terminal): Promise<void> {
  const client = await findWorld(options, process.cwd());
  const view = await client.configure(nameIn(given, options), null);
  if (view.superseded) terminal.complain('baton: somebody else set it at the same time; `repo show` tells what holds');
  if (options.json) terminal.json({ name: view.name, entry: view.entry });
  else if (!view.superseded) terminal.line(`removed ${shown(view.name)}`);
}

const nameIn = (given: string, options: PlaceOptions): string =>
  plainName(repositoryNameFrom(given, { cwd: process.cwd(), elsewhere: stageIn(options) !== undefined }));

const HELP = `
Examples:
  baton repo set . --limit 2 --timeout 30m
  baton repo set 'https://github.com/acme/*' --compute ecs --priority 5
  baton repo show https://github.com/acme/app`;

const SET_HELP = `
Examples:
  baton repo set . --limit 2 --agent 'claude -p'
  baton repo set 'https://github.com/acme/*' --attempts 5 --retry-agent-failure
  baton repo set . --env NPM_TOKEN=variable:NPM_TOKEN --subscribe webhook=https://example.com/hook
  baton repo set . --unset limit
  baton repo set . --isolation per-user --user bob --user 'ada=2048/4096, fs-…/fsap-…, NPM_TOKEN=arn:aws:secretsmanager:…'
  baton repo set . --unset users.ada
  baton repo set . --from baton.json`;

const SHOW_HELP = `
Examples:
  baton repo show .
  baton repo show https://github.com/acme/app --json | jq .config`;

const LIST_HELP = `
Examples:
  baton repo list
  baton repo list --json | jq -r '.[].name'`;

const REMOVE_HELP = `
Examples:
  baton repo remove 'https://github.com/acme/*'`;
