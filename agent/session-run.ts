import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import {
  parseSessionId,
  type SessionAcknowledgement,
  type SessionHealth,
  type SessionInvocation,
} from '../schemas/agentcore-session.ts';
import { signalGroup } from './survivors.ts';

export interface SessionRunOptions {
  /** Program and arguments of the runner. */
  readonly runner: readonly string[];
  /** What the deployment set; it outweighs what an invocation says. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** From SIGTERM to SIGKILL of the runner. */
  readonly stopTimeoutMs: number;
  readonly say: (text: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What an invocation comes to. `refused`: by this container, now and later; `failed`: the runner could not be started. */
export type Taken =
  | { readonly outcome: 'acknowledged'; readonly answer: SessionAcknowledgement }
  | { readonly outcome: 'refused' | 'failed'; readonly why: string };

/** The one run of a session, in a process of its own, so that the server answers whatever the run does. */
export interface SessionRun {
  /** Starts the run at the first invocation; repetitions of it start nothing, also after its end. */
  take(invocation: SessionInvocation): Promise<Taken>;
  health(): SessionHealth;
  /** SIGTERM to the runner, SIGKILL when the time is over; resolves with its exit code, as a shell has it, when it is gone. */
  stop(): Promise<number>;
}

interface Begun {
  readonly taskId: string;
  readonly attempt: number;
  readonly child: ChildProcess;
  readonly ended: Promise<RunnerEnd>;
}

/** How the process of the runner ended; `signal` where one ended it. */
interface RunnerEnd {
  /** As a shell has it. */
  readonly code: number;
  readonly signal?: NodeJS.Signals;
}

/**
 * A session works for one attempt and never again: a container that is restored from a snapshot knows nothing of its own, so
 * everything that names the run is in the invocation.
 */
export function sessionRun({ runner, environment, stopTimeoutMs, say, now }: SessionRunOptions): SessionRun {
  let run: Begun | undefined;
  let stopping = false;
  let health = healthAt('Healthy');

  return { take, health: () => health, stop };

  async function take(invocation: SessionInvocation): Promise<Taken> {
    const { sessionId, taskId, attempt } = invocation;
    const owner = parseSessionId(sessionId);
    if (owner?.taskId !== taskId || owner.attempt !== attempt) {
      return { outcome: 'refused', why: `Session ${sessionId} is not that of attempt ${attempt} of task ${taskId}.` };
    }
    if (run && (run.taskId !== taskId || run.attempt !== attempt)) {
      const why = `This session works for attempt ${run.attempt} of task ${run.taskId}, and for no other.`;
      return { outcome: 'refused', why };
    }
    if (run) return acknowledged(invocation, 'already');
    if (stopping) return { outcome: 'refused', why: 'This session is being stopped.' };
    return begin(invocation);
  }

  async function begin(invocation: SessionInvocation): Promise<Taken> {
    const [program = '', ...parameters] = runner;
    const child = spawn(program, parameters, {
      env: runnerEnvironment(invocation, environment),
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (child.pid === undefined) {
      const [error]: unknown[] = await once(child, 'error');
      return { outcome: 'failed', why: `The runner could not be started: ${String(error)}` };
    }
    const { taskId, attempt } = invocation;
    const ended = endOf(child, child.pid);
    run = { taskId, attempt, child, ended };
    health = healthAt('HealthyBusy');
    say(`attempt ${attempt} of task ${taskId} begins`);
    void ended.then(({ code, signal }) => {
      health = healthAt('Healthy');
      say(`attempt ${attempt} of task ${taskId} ${signal ? `was killed by ${signal}` : `has ended with ${code}`}`);
    });
    return acknowledged(invocation, 'accepted');
  }

  async function stop(): Promise<number> {
    stopping = true;
    if (run === undefined) return 0;
    const { child, ended } = run;
    child.kill('SIGTERM');
    const overdue = setTimeout(() => signalGroup(child.pid ?? 0, 'SIGKILL'), stopTimeoutMs);
    const { code } = await ended;
    clearTimeout(overdue);
    return code;
  }

  function healthAt(status: SessionHealth['status']): SessionHealth {
    return { status, time_of_last_update: Math.floor(now() / 1_000) };
  }
}

const acknowledged = (
  { sessionId, taskId, attempt }: SessionInvocation,
  status: SessionAcknowledgement['status'],
): Taken => ({ outcome: 'acknowledged', answer: { status, sessionId, taskId, attempt } });

/**
 * A session that was stopped and is invoked again is another container of the same name. Its runner must not take the claim of the
 * first for its own: `BATON_CLAIM` has a claim count for who makes it, once.
 */
function runnerEnvironment(
  { sessionId, taskId, attempt, environment }: SessionInvocation,
  own: Readonly<Record<string, string | undefined>>,
): NodeJS.ProcessEnv {
  return {
    ...environment,
    ...own,
    BATON_TASK_ID: taskId,
    BATON_ATTEMPT: String(attempt),
    BATON_NATIVE_ID: sessionId,
    BATON_CLAIM: 'once',
  };
}

/** What the runner left behind in its group ends with it. */
function endOf(child: ChildProcess, groupId: number): Promise<RunnerEnd> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      signalGroup(groupId, 'SIGKILL');
      resolve(signal ? { code: 128 + constants.signals[signal], signal } : { code: code ?? 0 });
    });
  });
}
