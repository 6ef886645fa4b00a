import { mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import * as z from 'zod';
import { INVOCATION_MAX_BYTES, SESSION_PORT, sessionInvocation } from '../schemas/agentcore-session.ts';
import { RUNNER_EXIT } from '../schemas/exit-codes.ts';
import { RUN_FILES } from '../schemas/run-files.ts';
import { STOP_TIMEOUT_S } from './limits.ts';
import { type SessionRun, sessionRun } from './session-run.ts';
import { writeWhole } from './supervisor-files.ts';

/** Carries the session id to the container, as it does to the service. */
const SESSION_HEADER = 'x-amzn-bedrock-agentcore-runtime-session-id';

/** The word by which this process is the server of a session, and the one by which it runs an attempt, as it does without a word. */
const SERVE = 'serve';
const RUN = 'run';

const environment = z.object({
  BATON_SESSION_HOST: z.string().min(1).default('0.0.0.0'),
  /** 0 takes a free one. */
  BATON_SESSION_PORT: z.coerce.number().int().min(0).max(65_535).default(SESSION_PORT),
  BATON_STOP_TIMEOUT_S: z.coerce.number().positive().default(STOP_TIMEOUT_S),
  /** Where it is written on which port the server listens; left out on AWS, which knows. */
  BATON_RUN_DIR: z.string().startsWith('/').optional(),
});

/**
 * One image for every back end: asked to `serve`, the process answers as AgentCore expects of a container, and runs the attempt that
 * it is invoked with in a process of its own (by the command that follows, or by itself with the word `run`). Asked to `run`, or for
 * nothing, it runs the attempt at once. A word that is mistyped must not start work that nobody meant.
 */
export async function serveOrRun(run: () => Promise<void>): Promise<void> {
  const [program = '', word, ...runner] = process.argv.slice(1);
  if (word === undefined || word === RUN) return run();
  const itself = [process.execPath, ...process.execArgv, program, RUN];
  const code = word === SERVE ? await serve(runner.length > 0 ? runner : itself) : unknownWord(word);
  process.stdout.write('', () => process.exit(code));
}

function unknownWord(word: string): number {
  process.stdout.write(`[baton] unknown word ${JSON.stringify(word)}; there are ${RUN} and ${SERVE}\n`);
  return RUNNER_EXIT.badPayload;
}

/** Serves until SIGTERM, which goes on to the run; answers the exit code. */
async function serve(runner: readonly string[]): Promise<number> {
  process.stdout.on('error', () => undefined);
  const say = (text: string): void => void process.stdout.write(`[baton] ${text}\n`);
  const settings = environment.safeParse(process.env);
  if (!settings.success) {
    say(`the server was started without a valid ${settings.error.issues.map(({ path }) => path.join('.')).join(', ')}`);
    return RUNNER_EXIT.badPayload;
  }
  const { BATON_SESSION_HOST: host, BATON_SESSION_PORT: port, BATON_RUN_DIR: runDir } = settings.data;
  const run = sessionRun({
    runner,
    environment: process.env,
    stopTimeoutMs: settings.data.BATON_STOP_TIMEOUT_S * 1_000,
    say,
    now: Date.now,
  });
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  const server = sessionServer(run);
  try {
    await listening(server, host, port);
    const { port: taken } = server.address() as AddressInfo;
    if (runDir !== undefined) {
      mkdirSync(runDir, { recursive: true, mode: 0o700 });
      writeWhole(join(runDir, RUN_FILES.session), { port: taken });
    } else say(`the session listens on port ${taken}`);
  } catch (error) {
    say(`the session cannot listen: ${String(error)}`);
    return RUNNER_EXIT.internal;
  }
  await stopped;
  const code = await run.stop();
  server.close();
  server.closeAllConnections();
  return code;
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}

/** `POST /invocations` and `GET /ping` over one run (AgentCore developer guide, HTTP protocol contract). */
export function sessionServer(run: SessionRun): Server {
  return createServer((request, response) => {
    answer(run, request, response).catch(() => response.destroy());
  });
}

async function answer(run: SessionRun, request: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (`${request.method} ${request.url?.split('?')[0]}`) {
    case 'GET /ping':
      return send(response, 200, run.health());
    case 'POST /invocations':
      return invoke(run, request, response);
    default:
      return send(response, 404, { error: 'There are GET /ping and POST /invocations.' });
  }
}

async function invoke(run: SessionRun, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  if (body === undefined)
    return send(response, 413, { error: `The body is larger than ${INVOCATION_MAX_BYTES} bytes.` });
  const parsed = sessionInvocation.safeParse(jsonIn(body));
  if (!parsed.success) return send(response, 400, { error: sentenceOf(parsed.error) });
  const { [SESSION_HEADER]: session = parsed.data.sessionId } = request.headers;
  if (session !== parsed.data.sessionId) {
    return send(response, 409, {
      error: `This is session ${session}, and the invocation is for ${parsed.data.sessionId}.`,
    });
  }
  const taken = await run.take(parsed.data);
  switch (taken.outcome) {
    case 'acknowledged':
      return send(response, 200, taken.answer);
    case 'refused':
      return send(response, 409, { error: taken.why });
    case 'failed':
      return send(response, 500, { error: taken.why });
  }
}

/** Undefined when it is too large; what is too much is read and not kept. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes <= INVOCATION_MAX_BYTES) chunks.push(chunk);
  }
  return bytes <= INVOCATION_MAX_BYTES ? Buffer.concat(chunks) : undefined;
}

function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Names of fields only: values are not for logs. */
const sentenceOf = (error: z.ZodError): string =>
  `The invocation is not understood: ${error.issues.map(({ path, message }) => `${path.join('.') || 'whole'} ${message}`).join('; ')}`;

function send(response: ServerResponse, status: number, body: object): void {
  const text = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': String(text.length),
  });
  response.end(text);
}
