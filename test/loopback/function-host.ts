import { randomUUID } from 'node:crypto';
import type { DeployedFunction } from './deployment.ts';
import { type FunctionProcess, functionProcess, type InvocationEnd } from './function-process.ts';
import { runtimeApi } from './runtime-api.ts';

/** Processes of one function at the same time: one works while another dies or starts; more only crowd a machine of two cores. */
export const PROCESSES_PER_FUNCTION = 2;
/**
 * A further process is started for what has waited so long for one that works or starts, in milliseconds: most invocations take a part of
 * what a start takes. AWS does not wait: stories about a function that races with itself set 0.
 */
const CROWDED_MS = 1_000;
/** Waits before the second and the third try of an asynchronous invocation, in seconds (Lambda guide, "Asynchronous invocation"). */
export const RETRY_WAITS_S: readonly number[] = [60, 120];
/** Lines kept per function. */
const LOG_MAX_LINES = 5_000;

export interface FunctionHostOptions {
  readonly functions: readonly DeployedFunction[];
  /** What every function gets besides its own variables; may replace some of them. */
  readonly environmentOf: (deployed: DeployedFunction) => Readonly<Record<string, string>>;
  readonly processesPerFunction?: number;
  readonly crowdedMs?: number;
  /** Waits between tries times this: 1 as on AWS. */
  readonly waitScale?: number;
  /** Takes what was given up; `destination` is the ARN of the function's on-failure destination. */
  readonly onGivenUp: (destination: string | undefined, record: GivenUp) => void;
  /** Hears every line that a function writes. */
  readonly onLog?: (line: string) => void;
  /** Told of every failed try. */
  readonly onFailedTry?: (functionName: string, end: InvocationEnd & { outcome: 'failed' }) => void;
}

/** What Lambda sends to an on-failure destination (Lambda guide, "Capturing records of Lambda asynchronous invocations"). */
export interface GivenUp {
  readonly version: '1.0';
  readonly timestamp: string;
  readonly requestContext: {
    readonly requestId: string;
    readonly functionArn: string;
    readonly condition: 'RetriesExhausted' | 'EventAgeExceeded';
    readonly approximateInvokeCount: number;
  };
  readonly requestPayload: unknown;
  readonly responseContext: {
    readonly statusCode: 200;
    readonly executedVersion: '$LATEST';
    readonly functionError: string;
  };
  readonly responsePayload: unknown;
}

/** Lambda on this machine: the deployed bundles in processes of their own, which may die at any moment. */
export interface FunctionHost {
  /** Asynchronous invocation: taken at once, tried up to three times, then given up. Answers false where there is no such function. */
  invokeLater(nameOrArn: string, payload: unknown): boolean;
  /** Synchronous invocation, tried once. */
  invoke(nameOrArn: string, payload: unknown): Promise<InvocationEnd>;
  has(nameOrArn: string): boolean;
  /** Asynchronous invocations that are neither done nor given up, and synchronous ones. */
  underWay(): number;
  /** Invocations of a function so far, every try counted. */
  invocations(): Readonly<Record<string, number>>;
  /** Kills processes, working ones first, each with this chance; answers how many. */
  killSome(random: () => number, chance: number): number;
  /** Kills the process that calls itself so towards AWS. */
  killCaller(id: string): void;
  /** Name of the function whose process calls itself so. */
  functionOf(id: string): string | undefined;
  /** What a function has written, oldest first. */
  log(nameOrArn: string): string[];
  pids(): number[];
  close(): Promise<void>;
}

interface Hosted {
  readonly deployed: DeployedFunction;
  readonly processes: Set<FunctionProcess>;
  readonly waiting: {
    readonly payload: string;
    readonly requestId: string;
    /** It has waited long enough for a process of its own. */
    crowded: boolean;
    readonly end: (end: InvocationEnd) => void;
  }[];
  readonly log: string[];
  invocations: number;
}

export async function functionHost(options: FunctionHostOptions): Promise<FunctionHost> {
  const { processesPerFunction = PROCESSES_PER_FUNCTION, crowdedMs = CROWDED_MS, waitScale = 1 } = options;
  const api = await runtimeApi();
  const hosted = new Map<string, Hosted>();
  for (const deployed of options.functions) {
    const one = { deployed, processes: new Set<FunctionProcess>(), waiting: [], log: [], invocations: 0 };
    hosted.set(deployed.name, one);
  }
  const pauses = new Set<NodeJS.Timeout>();
  let underWay = 0;
  let closed = false;

  return {
    invokeLater(nameOrArn, payload) {
      const one = found(nameOrArn);
      if (one) void tryAll(one, payload);
      return one !== undefined;
    },
    async invoke(nameOrArn, payload) {
      const one = found(nameOrArn);
      if (!one) throw new Error(`there is no function ${nameOrArn}`);
      underWay += 1;
      const end = await tryOnce(one, JSON.stringify(payload), randomUUID());
      underWay -= 1;
      return end;
    },
    has: (nameOrArn) => found(nameOrArn) !== undefined,
    underWay: () => underWay,
    invocations: () => Object.fromEntries([...hosted].map(([name, one]) => [name, one.invocations])),
    killSome(random, chance) {
      const victims = [...hosted.values()]
        .flatMap(({ processes }) => [...processes])
        .sort((one, other) => Number(one.isFree()) - Number(other.isFree()))
        .filter((process) => process.isAlive() && random() < chance);
      for (const process of victims) process.kill();
      return victims.length;
    },
    killCaller(id) {
      for (const { processes } of hosted.values())
        for (const process of processes) if (process.id === id) process.kill();
    },
    functionOf: (id) =>
      [...hosted].find(([, { processes }]) => [...processes].some((process) => process.id === id))?.[0],
    log: (nameOrArn) => [...(found(nameOrArn)?.log ?? [])],
    pids: () => [...hosted.values()].flatMap(({ processes }) => [...processes].flatMap(({ pid }) => pid ?? [])),
    async close() {
      closed = true;
      for (const pause of pauses) clearTimeout(pause);
      const processes = [...hosted.values()].flatMap((one) => [...one.processes]);
      for (const process of processes) process.kill();
      await Promise.all(processes.map(({ gone }) => gone));
      await api.close();
    },
  };

  function found(nameOrArn: string): Hosted | undefined {
    return hosted.get(
      nameOrArn
        .replace(/:\$LATEST$/, '')
        .split(':')
        .at(-1) ?? nameOrArn,
    );
  }

  async function tryAll(one: Hosted, payload: unknown): Promise<void> {
    const { deployed } = one;
    const requestId = randomUUID();
    const text = JSON.stringify(payload);
    const startedMs = Date.now();
    underWay += 1;
    for (let tries = 1; !closed; tries++) {
      const end = await tryOnce(one, text, requestId);
      if (closed || end.outcome === 'answered') break;
      const isTooOld = Date.now() - startedMs > deployed.maxEventAgeSeconds * 1_000;
      if (tries > deployed.retries || isTooOld) {
        const condition = isTooOld ? 'EventAgeExceeded' : 'RetriesExhausted';
        options.onGivenUp(deployed.onFailure, givenUp({ requestId, deployed, condition, tries, payload, end }));
        break;
      }
      await pause((RETRY_WAITS_S[tries - 1] ?? 0) * waitScale * 1_000);
    }
    underWay -= 1;
  }

  async function tryOnce(one: Hosted, payload: string, requestId: string): Promise<InvocationEnd> {
    const end = await new Promise<InvocationEnd>((resolve) => {
      const waiting = { payload, requestId, crowded: false, end: resolve };
      one.waiting.push(waiting);
      work(one);
      if (one.waiting.length > 0)
        void pause(crowdedMs).then(() => {
          waiting.crowded = true;
          work(one);
        });
    });
    if (end.outcome === 'failed' && !closed) {
      one.log.push(`ERROR ${end.error.errorType}: ${end.error.errorMessage}`);
      options.onFailedTry?.(one.deployed.name, end);
    }
    return end;
  }

  /** Gives what waits to free processes, and starts further ones within the bound. */
  function work(one: Hosted): void {
    while (!closed && one.waiting.length > 0) {
      const process = [...one.processes].find((candidate) => candidate.isFree()) ?? started(one);
      if (!process) return;
      const next = one.waiting.shift();
      if (!next) return;
      one.invocations += 1;
      void process.invoke(next.payload, next.requestId).then((end) => {
        next.end(end);
        work(one);
      });
    }
  }

  function started(one: Hosted): FunctionProcess | undefined {
    if (one.processes.size >= processesPerFunction) return undefined;
    if (one.processes.size > 0 && !one.waiting[0]?.crowded) return undefined;
    const process = functionProcess({
      function: one.deployed,
      api,
      environment: options.environmentOf(one.deployed),
      onLog(line) {
        options.onLog?.(line);
        one.log.push(line);
        if (one.log.length > LOG_MAX_LINES) one.log.shift();
      },
    });
    one.processes.add(process);
    void process.gone.then(() => {
      one.processes.delete(process);
      work(one);
    });
    return process;
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        pauses.delete(timer);
        resolve();
      }, ms);
      pauses.add(timer);
    });
  }
}

function givenUp(about: {
  requestId: string;
  deployed: DeployedFunction;
  condition: 'RetriesExhausted' | 'EventAgeExceeded';
  tries: number;
  payload: unknown;
  end: InvocationEnd & { outcome: 'failed' };
}): GivenUp {
  const { requestId, deployed, condition, tries, payload, end } = about;
  return {
    version: '1.0',
    timestamp: new Date().toISOString(),
    requestContext: { requestId, functionArn: `${deployed.arn}:$LATEST`, condition, approximateInvokeCount: tries },
    requestPayload: payload,
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    responsePayload: end.error,
  };
}
