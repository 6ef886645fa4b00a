import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LOCAL_CONTAINERS_VARIABLE, type LocalContainers, localContainers } from '../schemas/local-containers.ts';
import type { RunSpec } from '../schemas/supervised-run.ts';
import { type ContainerFile, containerFile, localContainer } from './local-container.ts';
import { createWhole, readWhole } from './supervisor-files.ts';

/*
 * Stands for `docker` on a local worker, as far as the script of the host uses it: `local-containers <command> …`. A container is a
 * process under a supervisor, its image is the runner of this build, and its first volume is the directory that it works in. It isolates
 * nothing: all of it is the same user on the same machine.
 */

/** What `docker` exits with when the fault is its own, or that of who calls it (docker run, exit status). */
const EXIT_ENGINE = 125;

const [command = '', ...words] = process.argv.slice(2);
const host = process.env['BATON_HOST_DIR'] ?? '';
const folder = join(host, 'containers');

try {
  if (host === '') throw new Error('BATON_HOST_DIR is not set');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  process.exitCode = await obeyed(command, words);
} catch (error) {
  process.stderr.write(`docker ${command}: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = EXIT_ENGINE;
}

async function obeyed(verb: string, given: string[]): Promise<number> {
  switch (verb) {
    case 'run':
      return started(given);
    case 'wait':
      return each(given, async (known) => print(String(await localContainer(known).ended())));
    case 'stop':
      return each(given, (known) => localContainer(known).stop());
    case 'kill':
      return each(given, (known) => localContainer(known).kill());
    case 'rm':
      return removed(given);
    case 'ps':
      return listed(given);
    case 'container':
      return pruned(given);
    default:
      throw new Error('there is no such command here');
  }
}

async function started(given: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: given,
    allowPositionals: true,
    options: {
      detach: { type: 'boolean' },
      pull: { type: 'string' },
      name: { type: 'string' },
      label: { type: 'string', multiple: true },
      'stop-timeout': { type: 'string' },
      'security-opt': { type: 'string' },
      'pids-limit': { type: 'string' },
      'oom-score-adj': { type: 'string' },
      ulimit: { type: 'string' },
      'env-file': { type: 'string' },
      env: { type: 'string', multiple: true },
      volume: { type: 'string', multiple: true },
    },
  });
  const { name = '', volume: volumes = [], 'env-file': file, 'stop-timeout': stopTimeout = '10' } = values;
  const settings = localContainers.parse(JSON.parse(process.env[LOCAL_CONTAINERS_VARIABLE] ?? ''));
  const mounts = volumes.map((volume) => volume.split(':'));
  const [[workspace = ''] = []] = mounts;
  const known: ContainerFile = {
    name,
    labels: Object.fromEntries((values.label ?? []).map(pair)),
    path: nextPath(join(settings.runsDir, settings.runDirName)),
    workspace,
    stopTimeoutSeconds: Number(stopTimeout),
  };
  if (!createWhole(fileOf(name), known)) throw new Error(`Conflict. The container name "/${name}" is already in use.`);
  const listedVariables = (values.env ?? []).flatMap((one) => {
    const value = process.env[one];
    return value === undefined ? [] : [[one, value] as const];
  });
  const environment = Object.fromEntries([
    ...(file === undefined ? [] : variablesIn(readFileSync(file, 'utf8'))),
    ...listedVariables.map(([one, value]) => [one, outside(value, mounts)]),
  ]);
  const spec = specOf(known, settings, environment, positionals.slice(1));
  if (!(await localContainer(known).launch(spec, settings.supervisorCommand, ownEnvironment()))) {
    throw new Error('the container did not start');
  }
  return print(idOf(name));
}

/** A path in the container as it is on this machine; any other value as it is. */
function outside(value: string, mounts: readonly (readonly string[])[]): string {
  const mount = mounts.find(([, inside = '']) => value === inside || value.startsWith(`${inside}/`));
  return mount === undefined ? value : `${mount[0]}${value.slice(mount[1]?.length)}`;
}

function specOf(
  { name, path, workspace, stopTimeoutSeconds }: ContainerFile,
  { runnerCommand, environment: own, logMaxBytes }: LocalContainers,
  given: Readonly<Record<string, string>>,
  arguments_: readonly string[],
): RunSpec {
  return {
    schemaVersion: 1,
    taskArn: name,
    command: [...runnerCommand, ...arguments_],
    // The directory marks every process of the container, wherever it works.
    environment: { ...given, ...own, BATON_CONTAINER_DIR: path },
    cwd: workspace,
    stopTimeoutSeconds,
    logMaxBytes,
  };
}

/** What a container sees of this machine's environment: nothing of the command that started it. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const isOfCommand = (name: string): boolean => /^(BATON_|SSM_|AWS_SSM_)/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOfCommand(name)));
}

async function removed(given: string[]): Promise<number> {
  const { positionals } = parseArgs({
    args: given,
    allowPositionals: true,
    options: { force: { type: 'boolean' }, volumes: { type: 'boolean' } },
  });
  return each(positionals, async (known) => {
    const container = localContainer(known);
    await container.kill();
    if (!(await container.isGone())) throw new Error(`${known.name} cannot be killed`);
    container.keepReport();
    rmSync(fileOf(known.name), { force: true });
  });
}

function listed(given: string[]): number {
  const { values } = parseArgs({
    args: given,
    options: { all: { type: 'boolean' }, quiet: { type: 'boolean' }, filter: { type: 'string' } },
  });
  const [label = '', wanted] = pair((values.filter ?? '').replace(/^label=/, ''));
  for (const { name, labels } of containers()) {
    const isWanted = wanted === '' ? label in labels : labels[label] === wanted;
    if (isWanted) print(idOf(name));
  }
  return 0;
}

async function pruned(given: string[]): Promise<number> {
  if (given.join(' ') !== 'prune --force') throw new Error('there is no such command here');
  for (const known of containers()) {
    if (await localContainer(known).isGone()) rmSync(fileOf(known.name), { force: true });
  }
  return 0;
}

/** Does it to every container that is named, by name or id; one that is not there is the caller's fault. */
async function each(names: readonly string[], work: (known: ContainerFile) => unknown): Promise<number> {
  let code = 0;
  for (const name of names) {
    const known = containers().find((one) => one.name === name || idOf(one.name) === name);
    if (known) await work(known);
    else {
      process.stderr.write(`Error: No such container: ${name}\n`);
      code = 1;
    }
  }
  return code;
}

function containers(): ContainerFile[] {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  return files.flatMap((name) => containerFile.safeParse(readWhole(join(folder, name))).data ?? []);
}

/** A supervisor starts one container per directory, ever. */
function nextPath(first: string): string {
  let path = first;
  for (let number = 2; existsSync(path); number++) path = `${first}-${number}`;
  return path;
}

/** `NAME=value` per line; blank lines and those that begin with `#` say nothing (docker run, --env-file). */
function variablesIn(text: string): [string, string][] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return lines.map(pair);
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function fileOf(name: string): string {
  return join(folder, `${name}.json`);
}

/** Twelve hexadecimal digits, as the engine shows them. */
function idOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 12);
}

function print(line: string): number {
  process.stdout.write(`${line}\n`);
  return 0;
}
