import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { QUIET_LOGGER } from '../../runtime/aws/clients/client-config.ts';
import { createTable, dropTable } from './dynamo-table.ts';

const require = createRequire(import.meta.url);

/** How long an engine may take until it listens, in milliseconds: dynalite loads in one second, in many on a busy machine. */
const ENGINE_START_MS = 30_000;
/** How often it is looked at meanwhile, in milliseconds. */
const ENGINE_POLL_MS = 10;
/** How many characters of what an engine says are kept, for the error message. */
const ENGINE_WORDS_MAX = 4096;

/** A DynamoDB engine that listens on loopback. */
export interface DynamoServer {
  readonly endpoint: string;
  /** A new client with made-up credentials; whoever asked for it destroys it. */
  client(config?: DynamoDBClientConfig): DynamoDBClient;
  /** Creates an empty table as the deployment has it, under a name of its own unless one is given, and answers the name. */
  createTable(name?: string): Promise<string>;
  dropTable(name: string): Promise<void>;
  stop(): Promise<void>;
}

export interface DynamoEngine {
  readonly name: string;
  /** Why it cannot run here; undefined when it can. */
  readonly absent?: string;
  start(): Promise<DynamoServer>;
}

/** Pure JavaScript, so it always runs; says nothing about the item when a condition fails. */
export const dynalite: DynamoEngine = {
  name: 'DynamoDB (dynalite)',
  start: () =>
    startEngine(process.execPath, (port) => [
      require.resolve('dynalite/cli.js'),
      ...['--host', '127.0.0.1', '--port', String(port)],
      ...['--createTableMs', '0', '--deleteTableMs', '0', '--updateTableMs', '0'],
    ]),
};

/** One static binary for Linux on x64; closer to the service. */
export const dynoxide: DynamoEngine = {
  name: 'DynamoDB (dynoxide)',
  ...dynoxideAbsent(),
  start: () => startEngine(dynoxideBinary(), (port) => ['serve', '--host', '127.0.0.1', '--port', String(port)]),
};

/** Any other engine, by the address that the variable names: `scripts/parity/dynamodb-local` says how. */
const elsewhere = process.env['BATON_TEST_DYNAMODB_ENDPOINT'];

const asked: readonly DynamoEngine[] = elsewhere
  ? [{ name: `DynamoDB (${elsewhere})`, start: async () => serverAt(elsewhere, async () => {}) }]
  : [];

/** Every engine that the contract of record stores runs on. */
export const dynamoEngines: readonly DynamoEngine[] = [dynalite, dynoxide, ...asked];

/** The engine that most resembles the service, of those that run here. */
export const nearestEngine: DynamoEngine = dynoxide.absent ? dynalite : dynoxide;

/** Engines for what is built on record stores, and asks no more of an engine than their contract does. */
export const nearestEngines: readonly DynamoEngine[] = [nearestEngine, ...asked];

async function startEngine(command: string, argsFor: (port: number) => string[]): Promise<DynamoServer> {
  const port = await freePort();
  const child = spawnTied(command, argsFor(port));
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-ENGINE_WORDS_MAX);
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.stdin?.end();
    await ended;
  };
  for (const until = Date.now() + ENGINE_START_MS; !(await listens(port)); await sleep(ENGINE_POLL_MS)) {
    if (Date.now() < until) continue;
    await stop();
    throw new Error(`${command} does not listen on port ${port} after ${ENGINE_START_MS} ms: ${said}`);
  }
  return serverAt(`http://127.0.0.1:${port}`, stop);
}

/** Starts a process that ends with its standard input, so that it outlives neither the test nor a killed test worker. */
function spawnTied(command: string, args: string[]): ChildProcess {
  const script = '"$@" >&2 & engine=$!; cat >/dev/null; kill -9 $engine; wait $engine; exit 0';
  return spawn('/bin/sh', ['-c', script, 'engine', command, ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
}

function serverAt(endpoint: string, stop: () => Promise<void>): DynamoServer {
  const client = (config: DynamoDBClientConfig = {}) =>
    new DynamoDBClient({
      endpoint,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      logger: QUIET_LOGGER,
      ...config,
    });
  const own = client();
  return {
    endpoint,
    client,
    createTable: (name) => createTable(own, name),
    dropTable: (name) => dropTable(own, name),
    stop: async () => {
      own.destroy();
      await stop();
    },
  };
}

/** A port that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('a listening TCP server has a port');
  return address.port;
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function dynoxideBinary(): string {
  return require.resolve('@dynoxide/linux-x64/package.json').replace(/package\.json$/, 'dynoxide');
}

function dynoxideAbsent(): { absent?: string } {
  try {
    const { status } = spawnSync(dynoxideBinary(), ['--version'], { timeout: ENGINE_START_MS });
    return status === 0 ? {} : { absent: 'its binary does not run on this machine' };
  } catch {
    return { absent: '@dynoxide/linux-x64 is not installed: there is none for this platform' };
  }
}
