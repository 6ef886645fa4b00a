import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { DeployedFunction } from './deployment.ts';
import type { RuntimeApi, RuntimeError, RuntimeInvocation } from './runtime-api.ts';

/** Time for which a process may load its handler, in milliseconds: Lambda's 10 s, three times on a machine that is busy with other tests. */
const INIT_MAX_MS = 30_000;

const RUNTIME_CLIENT = fileURLToPath(new URL('./runtime-client.mjs', import.meta.url));

/** With them a process can take over what an earlier one compiled. */
const MODULES = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];

/** How an invocation ended. `unhandled`: not the handler said so, but the process died, did not start, or was too late. */
export type InvocationEnd =
  | { readonly outcome: 'answered'; readonly payload: unknown }
  | { readonly outcome: 'failed'; readonly unhandled: boolean; readonly error: RuntimeError };

/** One process of a function: handles one invocation at a time, and stays warm for the next. */
export interface FunctionProcess {
  /** What its SDK calls itself towards AWS. */
  readonly id: string;
  readonly pid: number | undefined;
  /** Handles nothing and can take an invocation at once. */
  isFree(): boolean;
  isAlive(): boolean;
  /** The tries of one asynchronous invocation have one request id. */
  invoke(payload: string, requestId: string): Promise<InvocationEnd>;
  kill(): void;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
}

export interface FunctionProcessOptions {
  readonly function: DeployedFunction;
  readonly api: RuntimeApi;
  /** Besides the function's own: region, credentials, addresses of the services. */
  readonly environment: Readonly<Record<string, string>>;
  readonly onLog: (line: string) => void;
}

interface UnderWay {
  readonly invocation: RuntimeInvocation;
  readonly end: (end: InvocationEnd) => void;
  /** It was given to the process, which asked for it. */
  taken: boolean;
}

/** Starts a process. It has a fresh environment, as Lambda gives it, and ends when this process does. */
export function functionProcess({
  function: deployed,
  api,
  environment,
  onLog,
}: FunctionProcessOptions): FunctionProcess {
  const id = randomUUID();
  let current: UnderWay | undefined;
  let waiting: ((invocation: RuntimeInvocation) => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  let alive = true;
  let killed = false;
  let doom: RuntimeError | undefined;

  const address = api.admit(id, {
    asksNext(answer) {
      waiting = answer;
      hand();
    },
    responds(requestId, payload) {
      finish(requestId, { outcome: 'answered', payload: payload === '' ? null : JSON.parse(payload) });
    },
    fails(requestId, error) {
      finish(requestId, { outcome: 'failed', unhandled: false, error });
    },
    failsToStart(error) {
      doom = error;
    },
  });
  const child = start(deployed, { ...environment, AWS_LAMBDA_RUNTIME_API: address, AWS_SDK_UA_APP_ID: id });
  for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on('line', onLog);
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => ended(resolve, error.message));
    child.once('exit', (code, signal) => ended(resolve, `exit ${signal ?? code}`));
  });

  return { id, pid: child.pid, isFree: () => alive && !killed && !current, isAlive: () => alive, invoke, kill, gone };

  function invoke(payload: string, requestId: string): Promise<InvocationEnd> {
    return new Promise((end) => {
      const initMs = waiting ? 0 : INIT_MAX_MS;
      const invocation = { requestId, functionArn: deployed.arn, deadlineMs: 0, payload };
      current = { invocation, end, taken: false };
      if (initMs > 0) timer = setTimeout(() => tooLate(`Init took more than ${initMs} ms`), initMs);
      hand();
    });
  }

  /** Gives the process its invocation as soon as there is one and the process asks for it; from then on its time counts. */
  function hand(): void {
    if (!current || current.taken || !waiting) return;
    clearTimeout(timer);
    const { timeoutSeconds } = deployed;
    timer = setTimeout(
      () => tooLate(`Task timed out after ${timeoutSeconds.toFixed(2)} seconds`),
      timeoutSeconds * 1_000,
    );
    const answer = waiting;
    waiting = undefined;
    current.taken = true;
    answer({ ...current.invocation, deadlineMs: Date.now() + timeoutSeconds * 1_000 });
  }

  function tooLate(errorMessage: string): void {
    doom = { errorType: 'Sandbox.Timedout', errorMessage };
    kill();
  }

  function finish(requestId: string, end: InvocationEnd): void {
    if (current?.invocation.requestId !== requestId) return;
    clearTimeout(timer);
    const ending = current;
    current = undefined;
    ending.end(end);
  }

  function ended(resolve: () => void, how: string): void {
    if (!alive) return;
    alive = false;
    api.dismiss(id);
    const error = doom ?? { errorType: 'Runtime.ExitError', errorMessage: `the process ended: ${how}` };
    if (current) finish(current.invocation.requestId, { outcome: 'failed', unhandled: true, error });
    resolve();
  }

  function kill(): void {
    killed = true;
    child.kill('SIGKILL');
  }
}

function start(deployed: DeployedFunction, environment: Readonly<Record<string, string>>): ChildProcess {
  const { compiled } = deployed;
  const args = compiled === undefined ? [RUNTIME_CLIENT] : [...MODULES, RUNTIME_CLIENT, compiled];
  return spawn(process.execPath, ['--enable-source-maps', ...args], {
    cwd: deployed.code,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      LANG: 'en_US.UTF-8',
      TZ: ':UTC',
      LAMBDA_TASK_ROOT: deployed.code,
      _HANDLER: deployed.handler,
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_LAMBDA_FUNCTION_NAME: deployed.name,
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${deployed.name}`,
      AWS_LAMBDA_LOG_STREAM_NAME: 'loopback',
      ...deployed.environment,
      ...environment,
    },
  });
}
