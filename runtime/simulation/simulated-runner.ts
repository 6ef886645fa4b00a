import type { AgentReport } from '../../schemas/agent-report.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { because } from '../../schemas/reason.ts';
import { type RunPayload, runPayload } from '../../schemas/run-payload.ts';
import type { RunSignal } from '../ports.ts';
import type { Random } from './random.ts';
import { type ControlPlane, type Scene, Unreachable } from './scene.ts';
import type { WiredPorts } from './wiring.ts';

/** A process inside an ECS task. */
export interface RunnerProcess {
  /** SIGTERM: it saves its work and ends. */
  terminate(): void;
  /** SIGKILL, or the host is gone: it does nothing any more and says nothing. */
  kill(): void;
}

/** What the runner did that counts, told to whoever watches. */
export interface Witness {
  claimed(signal: RunSignal): void;
  reported(signal: RunSignal): void;
  pushed(signal: RunSignal): void;
}

/** How long the runner goes on trying to reach Baton, in milliseconds. */
const PATIENCE_MS = 600_000;
/** Longest time between the confirmation before a push and the push itself, in milliseconds: shorter than any wait between attempts. */
const PUSH_MAX_MS = 1_000;

class Gone extends Error {}
class Stopped extends Error {}

/** Where a runner may die; `exits-well` leaves with 0 and no report. */
const deaths = ['before-claim', 'after-claim', 'before-report', 'after-report', 'exits-well'] as const;

interface Fate {
  /** How long the agent works, in milliseconds. */
  readonly worksMs: number;
  readonly dies: (typeof deaths)[number] | undefined;
  readonly agent: 'changes' | 'changes-nothing' | 'fails';
  /** What the runner's clock is wrong by, in milliseconds. */
  readonly skewMs: number;
}

function fateOf(scene: Scene, random: Random): Fate {
  const slow = scene.has('slow-agent') && random.chance(0.3);
  const short = random.chance(0.5);
  return {
    worksMs: slow ? 9 * 3_600_000 : short ? random.int(500, 60_000) : random.int(60_000, 4 * 3_600_000),
    dies: scene.has('runner-crash') && random.chance(0.35) ? random.pick(deaths) : undefined,
    agent: random.chance(0.15) ? 'fails' : random.chance(0.2) ? 'changes-nothing' : 'changes',
    skewMs: scene.has('clock-skew') ? random.int(-7_200_000, 7_200_000) : 0,
  };
}

/** Does what the real runner does, against the same ports, with scripted work in place of an agent. `ended` gets the exit code. */
export function simulatedRunner(options: {
  readonly scene: Scene;
  readonly plane: ControlPlane;
  readonly witness: Witness;
  readonly random: Random;
  readonly nativeId: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly ended: (exitCode: number) => void;
}): RunnerProcess {
  const { scene, plane, witness, random, nativeId, environment } = options;
  const { time, trace } = scene;
  const fate = fateOf(scene, random);
  const name = `runner ${nativeId.slice(-8)}`;
  let dead = false;
  let told: 'nothing' | 'to-stop' | 'is-stopping' = 'nothing';
  let wake: (() => void) | undefined;
  let seq = 0;

  void live().then((exitCode) => {
    if (dead || exitCode === undefined) return;
    dead = true;
    trace.line(`${name} exits ${exitCode}`);
    options.ended(exitCode);
  });

  return {
    terminate() {
      if (told === 'nothing') told = 'to-stop';
      wake?.();
    },
    kill() {
      dead = true;
      wake?.();
    },
  };

  async function live(): Promise<number | undefined> {
    let signal: RunSignal | undefined;
    try {
      await pause(random.int(100, 2_000));
      const payload = await fetched();
      if (!payload) return RUNNER_EXIT.badPayload;
      dies('before-claim');
      const me = { taskId: payload.taskId, attempt: payload.attempt, nativeId };
      if ((await insist('claim', ({ runs }) => runs.claim(me))) === 'fenced') return RUNNER_EXIT.fenced;
      signal = me;
      trace.line(`${name} claimed ${me.taskId}#${me.attempt}`);
      witness.claimed(me);
      dies('after-claim');
      say('RunClaimed', me);
      return await work(me, payload);
    } catch (error) {
      if (error instanceof Gone) return undefined;
      if (error instanceof Died) return error.exitCode;
      if (error instanceof Stopped) return signal ? saveAndLeave(signal) : RUNNER_EXIT.stopped;
      if (error instanceof Unreachable) return RUNNER_EXIT.unavailable;
      throw error;
    }
  }

  async function fetched(): Promise<RunPayload | undefined> {
    const text = await insist('payload', ({ payloads }) => payloads.get(environment['BATON_PAYLOAD'] ?? ''));
    return text === undefined ? undefined : runPayload.parse(JSON.parse(text));
  }

  async function work(me: RunSignal, payload: RunPayload): Promise<number> {
    const startedAt = new Date(time.nowMs() + fate.skewMs).toISOString();
    for (let part = 0; part < 3; part++) {
      await pause(fate.worksMs / 3);
      say('RunProgressed', me, { text: `part ${part}` });
    }
    if (fate.agent === 'changes' && !(await push(me))) return RUNNER_EXIT.fenced;
    dies('exits-well');
    dies('before-report');
    const stored = await insist('report', ({ runs }) => runs.report(me, report(payload, startedAt)));
    if (stored === 'fenced') return RUNNER_EXIT.fenced;
    witness.reported(me);
    dies('after-report');
    say('RunReported', me);
    return fate.agent === 'fails' ? RUNNER_EXIT.agentFailed : RUNNER_EXIT.ok;
  }

  async function saveAndLeave(me: RunSignal): Promise<number | undefined> {
    told = 'is-stopping';
    try {
      if (!(await push(me))) return RUNNER_EXIT.fenced;
      const savedWork = { branch: `baton/${me.taskId}`, commit: `saved-${me.attempt}` };
      await insist('saved work', ({ runs }) => runs.saveWork(me, savedWork));
      return RUNNER_EXIT.stopped;
    } catch (error) {
      if (error instanceof Gone) return undefined;
      return RUNNER_EXIT.stopped;
    }
  }

  /** Confirms the claim and pushes at once; false when fenced. */
  async function push(me: RunSignal): Promise<boolean> {
    if ((await insist('confirm', ({ runs }) => runs.confirm(me))) === 'fenced') return false;
    await pause(random.int(0, PUSH_MAX_MS), 'to the end');
    trace.line(`${name} pushes ${me.taskId}#${me.attempt}`);
    witness.pushed(me);
    return true;
  }

  function report(payload: RunPayload, startedAt: string): AgentReport {
    const changed = fate.agent === 'changes';
    return {
      schemaVersion: 1,
      outcome: fate.agent === 'fails' ? 'failed' : 'succeeded',
      ...(fate.agent === 'fails' ? { reason: because('agent_failed', 'The agent exited with 3.') } : {}),
      result: {
        branch: changed ? payload.branch : null,
        commit: changed ? `commit-${payload.attempt}-${nativeId.slice(-8)}` : null,
        baseCommit: 'base',
        filesChanged: changed ? 1 : 0,
        insertions: changed ? 1 : 0,
        deletions: 0,
        pullRequest: null,
      },
      agentExitCode: fate.agent === 'fails' ? 3 : 0,
      startedAt,
      endedAt: new Date(time.nowMs() + fate.skewMs).toISOString(),
    };
  }

  function dies(where: (typeof deaths)[number]): void {
    if (fate.dies !== where) return;
    trace.line(`${name} dies: ${where}`);
    throw new Died(
      where === 'exits-well' ? RUNNER_EXIT.ok : random.pick([137, RUNNER_EXIT.internal, RUNNER_EXIT.unavailable]),
    );
  }

  /** Waits; a signal wakes it. `to the end` waits out a stop, not a kill. */
  async function pause(ms: number, until?: 'to the end'): Promise<void> {
    check(until);
    await new Promise<void>((resolve) => {
      const cancel = time.at(time.nowMs() + ms, resolve);
      if (until) return;
      wake = () => {
        cancel();
        resolve();
      };
    });
    wake = undefined;
    check(until);
  }

  function check(until?: 'to the end'): void {
    if (dead) throw new Gone();
    if (!until && told === 'to-stop') throw new Stopped();
  }

  /** Asks Baton until it answers. */
  async function insist<T>(what: string, question: (ports: WiredPorts) => Promise<T>): Promise<T> {
    const untilMs = time.nowMs() + PATIENCE_MS;
    for (;;) {
      try {
        const answer = await plane.ask(`${name} ${what}`, question);
        check();
        return answer;
      } catch (error) {
        if (!(error instanceof Unreachable) || time.nowMs() > untilMs) throw error;
        await pause(random.int(500, 5_000));
      }
    }
  }

  /** A hint, never waited for: it may be lost. */
  function say(type: string, me: RunSignal, more: object = {}): void {
    const number = seq++;
    const isLost = scene.has('lose') && random.chance(0.3);
    trace.line(`${name} says ${type}${isLost ? ' (lost)' : ''}`);
    if (isLost) return;
    const id = `${me.taskId}#${me.attempt}#${nativeId.slice(-8)}#${number}`;
    const at = new Date(time.nowMs() + fate.skewMs).toISOString();
    const event: Envelope = {
      version: '0',
      id,
      'detail-type': type,
      source: 'baton.agent',
      account: '000000000000',
      time: at,
      region: 'local',
      resources: [],
      detail: {
        metadata: {
          id,
          taskId: me.taskId,
          attempt: me.attempt,
          correlationId: me.taskId,
          causationId: id,
          occurredAt: at,
          schemaVersion: 1,
        },
        data: { ...me, seq: number, ...more },
      },
    };
    const times = scene.has('duplicate') && random.chance(0.5) ? 2 : 1;
    for (let copy = 0; copy < times; copy++) {
      const onTheWayMs = scene.has('delay') && random.chance(0.05) ? random.int(1_000, 1_800_000) : random.int(1, 500);
      time.at(time.nowMs() + onTheWayMs, () => void plane.publish(event));
    }
  }
}

class Died extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`died with ${exitCode}`);
    this.exitCode = exitCode;
  }
}
