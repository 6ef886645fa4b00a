import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { findAgentCommand } from '../agent/agent-command.ts';
import { embeddedComputes } from '../runtime/embedded-computes.ts';
import { unfit } from '../runtime/engine/local-fleet-worker.ts';
import { BatonError } from '../runtime/errors.ts';
import { STAGE_DEFAULT } from '../schemas/stage.ts';
import type { WorldView } from '../schemas/world-api.ts';
import { checksOf } from './aws-world.ts';
import { badInput, codeOf } from './cli-error.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { DEFAULT_DATA_DIR, type PlaceOptions, stageIn, worldOf } from './find-world.ts';
import type { Terminal } from './terminal.ts';
import { worldClient } from './world-client.ts';
import { computesText } from './world-means.ts';

/** The oldest Node and git that Baton is tested with. */
const NODE_OLDEST: readonly [number, number] = [20, 20];
const GIT_OLDEST: readonly [number, number] = [2, 30];

interface DoctorOptions extends Pick<PlaceOptions, 'data' | 'aws' | 'stage'> {
  readonly json?: true;
}

/** What one look found. `remedy` is there when it is not well. */
interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  readonly remedy?: string;
}

interface Check {
  readonly name: string;
  /** Resolves with what is well; rejects with a BatonError. */
  look(): Promise<string> | string;
}

export const doctorCommand = (program: Command, terminal: Terminal): Command =>
  program
    .command('doctor')
    .summary('see whether everything that Baton needs is here')
    .description(
      'Looks for all that Baton needs on this machine, or to ask a deployment on AWS, and says what to do where something is missing.',
    )
    .option('--data <dir>', `the data directory to look at (default: ${DEFAULT_DATA_DIR})`)
    .option('--aws', 'look at the deployment on AWS instead of this machine')
    .option('--stage <stage>', `which deployment on AWS (default: ${STAGE_DEFAULT}); implies --aws`)
    .option('--json', 'print an array of { name, ok, found, remedy } as JSON')
    .addHelpText('after', HELP)
    .action(async (options: DoctorOptions) => {
      process.exitCode = await doctor(options, terminal);
    });

async function doctor(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const checks = await checksFor(options);
  const findings: Finding[] = [];
  for (const check of checks) {
    const finding = await lookedAt(check);
    findings.push(finding);
    if (!options.json) tell(finding, terminal);
  }
  if (options.json) terminal.json(findings);
  return findings.every(({ ok }) => ok) ? 0 : CLI_EXIT.failed;
}

/** Who asks a deployment needs neither git nor an agent nor a data directory here. */
async function checksFor(options: DoctorOptions): Promise<readonly Check[]> {
  const stage = stageIn(options);
  if (stage === undefined) return machineChecks(resolve(options.data ?? DEFAULT_DATA_DIR));
  if (options.data !== undefined) throw badInput('--aws', 'it excludes --data', 'Give one of the two.');
  return [NODE, ...(await checksOf(stage))];
}

const NODE: Check = {
  name: 'node',
  look: () => atLeast('Node', process.versions.node, NODE_OLDEST, 'Install a newer Node.'),
};

function machineChecks(dataDir: string): readonly Check[] {
  return [
    NODE,
    { name: 'git', look: gitVersion },
    { name: 'agent', look: defaultAgent },
    { name: 'data directory', look: () => writable(dataDir) },
    { name: 'world', look: () => runningWorld(dataDir) },
    { name: 'back ends', look: () => backEndsOf(dataDir) },
    { name: 'fleet', look: fleetHere },
    { name: 'screening', look: () => screeningOf(dataDir) },
  ];
}

async function lookedAt({ name, look }: Check): Promise<Finding> {
  try {
    return { name, ok: true, found: await look() };
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    return { name, ok: false, found: error.message, remedy: error.remedy };
  }
}

function tell({ name, ok, found, remedy }: Finding, { line, paint }: Terminal): void {
  line(`${ok ? paint.green('ok     ') : paint.red('missing')} ${name}: ${found}`);
  if (remedy !== undefined) line(`        ${remedy}`);
}

function atLeast(what: string, version: string, [major, minor]: readonly [number, number], remedy: string): string {
  const [isMajor = 0, isMinor = 0] = version.split('.').map(Number);
  if (isMajor > major || (isMajor === major && isMinor >= minor)) return `${what} ${version}`;
  throw new BatonError('bad_input', `${what} ${version} is older than ${major}.${minor}`, { remedy });
}

function gitVersion(): string {
  const { stdout, error } = spawnSync('git', ['--version'], { encoding: 'utf8' });
  const version = /(\d+\.\d+[\d.]*)/.exec(stdout ?? '')?.[1];
  if (version === undefined) {
    throw new BatonError('bad_input', `git does not answer${error ? ` (${codeOf(error)})` : ''}`, {
      remedy: 'Install git.',
    });
  }
  return atLeast('git', version, GIT_OLDEST, 'Install a newer git.');
}

function defaultAgent(): string {
  const agent = findAgentCommand(undefined, process.env);
  if (!agent.found) throw new BatonError('bad_input', agent.message, { remedy: agent.remedy });
  return `"${agent.command}" is installed`;
}

/** Makes nothing: a look leaves no directory behind. */
function writable(dataDir: string): string {
  let existing = dataDir;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    if (!statSync(existing).isDirectory()) throw new Error('is not a directory');
    accessSync(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    const why = codeOf(error) ?? (error instanceof Error ? error.message : String(error));
    throw new BatonError('store_unwritable', `${existing} cannot be written (${why})`, { cause: error });
  }
  return existing === dataDir ? `${dataDir} can be written` : `${dataDir} can be made`;
}

async function runningWorld(dataDir: string): Promise<string> {
  const known = worldOf(dataDir);
  if (!known) return `none runs on ${dataDir}; \`baton run\` opens one by itself`;
  const facts = await worldClient(known.url)
    .facts()
    .catch((error: unknown) => {
      if (error instanceof BatonError && error.code === 'no_world') return undefined;
      throw error;
    });
  if (!facts) return `the last one on ${dataDir} (pid ${known.pid}) is gone; the next start takes up what it left`;
  if (facts.deadLetters === 0) return `version ${facts.version} at ${facts.url}, ${facts.unsettled} tasks under way`;
  throw new BatonError('bad_input', `the world at ${facts.url} has ${facts.deadLetters} dead letters`, {
    remedy: '`baton redrive` lists them with their causes, and delivers them once more.',
  });
}

/** Those of the running world, which may be of another version; else those of the world that would be opened. */
const backEndsOf = async (dataDir: string): Promise<string> =>
  computesText((await factsOf(dataDir))?.computes ?? embeddedComputes());

/** Whoever runs nothing on a fleet lacks nothing. */
function fleetHere(): string {
  const lacks = unfit();
  if (lacks === undefined) return 'this machine can have workers; `baton workers` lists those of a running world';
  return `none: ${lacks}; only tasks on ec2 need one`;
}

/** Off is no defect: whoever runs agents on this machine gives them the texts. */
async function screeningOf(dataDir: string): Promise<string> {
  const facts = await factsOf(dataDir);
  if (facts?.screening === 'stand-in') return 'by the stand-in, which knows a few phrases and keeps no attacker out';
  if (facts?.screening === 'required') return 'required';
  return 'off; `baton dev --screening stand-in` shows what it does, a deployment on AWS has it done by a guardrail';
}

/** What the running world says of itself, if there is one. */
async function factsOf(dataDir: string): Promise<WorldView | undefined> {
  const known = worldOf(dataDir);
  return (
    known &&
    worldClient(known.url)
      .facts()
      .catch(() => undefined)
  );
}

const HELP = `
Exit codes:
  0 all is well   1 something is missing   2 bad usage

Examples:
  baton doctor
  baton doctor --aws
  baton doctor --json | jq '.[] | select(.ok | not)'`;
