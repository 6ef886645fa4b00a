import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { BatonError } from '../runtime/errors.ts';
import { STAGE_DEFAULT } from '../schemas/stage.ts';
import { worldFile } from '../schemas/world-api.ts';
import { awsWorld } from './aws-world.ts';
import { badInput, WorldRefusal } from './cli-error.ts';
import { type WorldClient, worldClient } from './world-client.ts';

/** Where worlds keep their data unless told otherwise, relative to the working directory. */
export const DEFAULT_DATA_DIR = '.baton';
/** Where `baton dev` listens unless told otherwise. */
export const DEFAULT_PORT = 4570;

export interface PlaceOptions {
  readonly endpoint?: string;
  readonly data?: string;
  readonly aws?: true;
  readonly stage?: string;
}

export const withPlaceOptions = (command: Command): Command =>
  command
    .option(
      '--endpoint <url>',
      `the world to talk to (default: that of ./.baton, else http://127.0.0.1:${DEFAULT_PORT})`,
    )
    .option('--data <dir>', 'the data directory of the world to talk to')
    .option('--aws', 'the deployment on AWS instead of a world on this machine')
    .option('--stage <stage>', `which deployment on AWS (default: ${STAGE_DEFAULT}); implies --aws`);

/** The world that last said it runs on a data directory; it may be gone. */
export function worldOf(dataDir: string): { pid: number; url: string } | undefined {
  try {
    return worldFile.safeParse(JSON.parse(readFileSync(join(dataDir, 'world.json'), 'utf8'))).data;
  } catch {
    return undefined;
  }
}

/** The stage on AWS that the options mean; none where they mean a world on this machine. */
export const stageIn = ({ aws, stage }: Pick<PlaceOptions, 'aws' | 'stage'>): string | undefined =>
  stage ?? (aws ? STAGE_DEFAULT : undefined);

/** A running world, by the options or by where we are. Throws `no_world` with what to do, `bad_input` for a bad address. */
export async function findWorld(options: PlaceOptions, cwd: string): Promise<WorldClient> {
  const stage = stageIn(options);
  if (stage !== undefined) {
    if (options.endpoint !== undefined || options.data !== undefined)
      throw badInput('--aws', 'it excludes --endpoint and --data', 'Give one of the three.');
    return awsWorld(stage);
  }
  if (options.endpoint !== undefined) {
    if (options.data !== undefined) throw badInput('--endpoint', 'it excludes --data', 'Give one of the two.');
    return answering(worldClient(endpointIn(options.endpoint)));
  }
  const dataDir = resolve(cwd, options.data ?? DEFAULT_DATA_DIR);
  const known = worldOf(dataDir);
  if (known) {
    try {
      return await answering(worldClient(known.url));
    } catch (error) {
      // Left behind by a world that was killed.
      if (options.data !== undefined || !isNoWorld(error)) throw error;
    }
  }
  if (options.data !== undefined)
    throw new BatonError('no_world', `No world runs on ${dataDir}`, { remedy: remedyAt(dataDir) });
  const usual = worldClient(`http://127.0.0.1:${DEFAULT_PORT}`);
  return answering(usual).catch((error: unknown) => {
    if (!isNoWorld(error)) throw error;
    throw new BatonError('no_world', `No world runs on ${dataDir}, nor at ${usual.url}`, {
      remedy: remedyAt(dataDir),
      cause: error,
    });
  });
}

const START_ONE = 'Start one with `baton dev` (or `baton run`), or name it with --endpoint or --data.';

/** Whether a world ever ran on a data directory. */
export const hasRecords = (dataDir: string): boolean => existsSync(join(dataDir, 'baton.db'));

/** Tasks can only be asked about while a world runs on their directory; it opens again with all of them. */
const remedyAt = (dataDir: string): string =>
  hasRecords(dataDir)
    ? `Its tasks are kept: start \`baton dev --port 0 --data ${dataDir}\` in another shell, then ask again.`
    : START_ONE;

/** Nobody answers, or who answers is just closing. */
export const isNoWorld = (error: unknown): boolean =>
  (error instanceof BatonError && error.code === 'no_world') ||
  (error instanceof WorldRefusal && error.code === 'store_closed');

async function answering(client: WorldClient): Promise<WorldClient> {
  await client.facts();
  return client;
}

function endpointIn(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol !== 'http:') {
    throw badInput(
      '--endpoint',
      `"${given}" is not an http address`,
      `Write it like http://127.0.0.1:${DEFAULT_PORT}.`,
    );
  }
  return url.origin;
}
