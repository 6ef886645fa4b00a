import { awsTimings } from '../../lifecycle/timings.ts';
import type { AgentReport } from '../../schemas/agent-report.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { because } from '../../schemas/reason.ts';
import { type RunPayload, runPayload } from '../../schemas/run-payload.ts';
import type { RunSignal } from '../ports.ts';
import type { Random } from './random.ts';
import { type ControlPlane, type Scene, Unreachable } from './scene.ts';
import type { WiredPorts } from './wiring.ts';

/** A process inside an ECS task, or inside the container of a session. */
export interface RunnerProcess {
  /** SIGTERM: it saves its work and ends. */
  terminate(): void;
  /** SIGKILL, or the host is gone: it does nothing any more and says nothing. */
  kill(): void;
}

/** What the runner did that counts, told to whoever watches. */
export interface Witness {
  /** `body`: which of those that share a native id. */
  claimed(signal: RunSignal, body: string): void;
  /** Baton has taken the agent's first word. */
  spoke(signal: RunSignal): void;
  reported(signal: RunSignal): void;
  /** `isLate`: the machine was frozen between asking whether it still counts and pushing; git's lease alone decides there. */
  pushed(signal: RunSignal, isLate: boolean): void;
}

/** Heads of the branches on the remote, as every run sees them. */
export type Remote = Map<string, string>;

/** How long the runner goes on trying to reach Baton, in milliseconds. */
const PATIENCE_MS = 600_000;
/** How long beats may fail, in milliseconds. */
const LOST_BEATS_MAX_MS = 300_000;
/** Longest time between the confirmation before a push and the push itself, in milliseconds: shorter than any wait between attempts. */
const PUSH_MAX_MS = 1_000;

class Gone extends Error {}
class Stopped extends Error {}
class Fenced extends Error {}

/** Where a runner may die; `exits-well` leaves with 0 and no report. */
const deaths = ['before-claim', 'after-claim', 'before-report', 'after-report', 'exits-well'] as const;

/** Where a machine may freeze, besides any moment of its agent's work. */
const freezes = ['before-claim', 'after-claim', 'at-work', 'before-push', 'before-report', 'after-report'] as const;
/** How long a machine is frozen, in milliseconds: a snapshot, or a laptop's lid. */
const FROZEN_MS = [180_000, 7_200_000] as const;

interface Fate {
  /** How long the agent works, in milliseconds. */
  readonly worksMs: number;
  readonly dies: (typeof deaths)[number] | undefined;
  readonly freezes: (typeof freezes)[number] | undefined;
  readonly frozenMs: number;
  readonly agent: 'changes' | 'changes-nothing' | 'fails' | 'meets-a-limit';
  readonly retryAfterSeconds: number;
  /** The agent says nothing, however long it works. */
  readonly isSilent: boolean;
  /** What the runner's clock is wrong by, in milliseconds. */
  readonly skewMs: number;
}

/** How long an agent works, in milliseconds: for short, for long, and beyond every deadline. */
const WORKS_MS = { short: 60_000, long: 4 * 3_600_000, slow: 9 * 3_600_000 } as const;
/** The same where the runner beats: each beat is a write and each look at it a wake-up, so that hours of it show nothing new. */
const BEATS_MS = { short: 60_000, long: 900_000, slow: 2_700_000 } as const;

function fateOf(scene: Scene, random: Random, most: typeof WORKS_MS | typeof BEATS_MS): Fate {
  const slow = scene.has('slow-agent') && random.chance(0.3);
  const short = random.chance(0.5);
  return {
    worksMs: slow ? most.slow : short ? random.int(500, most.short) : random.int(most.short, most.long),
    dies: scene.has('runner-crash') && random.chance(0.35) ? random.pick(deaths) : undefined,
    freezes: scene.has('frozen-runner') && random.chance(0.3) ? random.pick(freezes) : undefined,
    frozenMs: random.int(60_000, random.pick(FROZEN_MS)),
    retryAfterSeconds: random.int(1, random.pick([60, 1_800, 4 * 3_600])),
    isSilent: scene.has('silent-agent') && random.chance(0.4),
    agent:
      scene.has('rate-limit') && random.chance(0.35)
        ? 'meets-a-limit'
        : random.chance(0.15)
          ? 'fails'
          : random.chance(0.2)
            ? 'changes-nothing'
            : 'changes',
    skewMs: scene.has('clock-skew') ? random.int(-7_200_000, 7_200_000) : 0,
  };
}

export interface RunnerOptions {
  readonly scene: Scene;
  readonly plane: ControlPlane;
  readonly witness: Witness;
  readonly random: Random;
  readonly remote: Remote;
  readonly nativeId: string;
  /** Tells it from others that show the same native id. */
  readonly body: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Its back end is asked about it now and then: hours of it show nothing new. */
  readonly isAskedAbout?: boolean;
  readonly ended: (exitCode: number) => void;
}

/** Does what the real runner does, against the same ports, with scripted work in place of an agent. `ended` gets the exit code. */
export function simulatedRunner(options: RunnerOptions): RunnerProcess {
  const { scene, plane, witness, random, remote, nativeId, body, environment } = options;
  const { time, trace } = scene;
  const beatMs = Number(environment['BATON_HEARTBEAT_S'] ?? 0) * 1_000;
  const fate = fateOf(scene, random, beatMs > 0 || options.isAskedAbout ? BEATS_MS : WORKS_MS);
  const name = `runner ${body.slice(-8)}`;
  let dead = false;
  let told: 'nothing' | 'to-stop' | 'is-stopping' | 'is-fenced' = 'nothing';
  let isFrozen = false;
  let lostUntilMs = 0;
  /** On AWS the runner writes its record itself, by its own clock; in the embedded world it asks Baton to. */
  const writesItself = scene.timings === awsTimings;
  let wake: (() => void) | undefined;
  let seq = 0;
  /** What the machine's clock is wrong by, in milliseconds. */
  let skewMs = fate.skewMs;
  /** Head of the branch on the remote, as recorded at claim. */
  let lease: string | undefined;

  /** Who this run speaks as, once it has claimed. */
  let signal: RunSignal | undefined;

  void live().then((exitCode) => {
    if (dead || exitCode === undefined) return;
    if (exitCode === RUNNER_EXIT.fenced && signal) say('RunFenced', signal);
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
    try {
      await pause(random.int(100, 2_000));
      const payload = await fetched();
      if (!payload) return RUNNER_EXIT.badPayload;
      dies('before-claim');
      await freeze('before-claim');
      const me = { taskId: payload.taskId, attempt: payload.attempt, nativeId };
      if ((await claim(me)) === 'fenced') return RUNNER_EXIT.fenced;
      signal = me;
      trace.line(`${name} claimed ${me.taskId}#${me.attempt}`);
      witness.claimed(me, body);
      if (beatMs > 0) beat(me);
      lease = remote.get(payload.branch);
      dies('after-claim');
      await freeze('after-claim');
      say('RunClaimed', me);
      if (random.chance(0.5)) say('RunProgressed', me, { text: 'cloned', by: 'runner' });
      return await work(me, payload);
    } catch (error) {
      if (error instanceof Gone) return undefined;
      if (error instanceof Died) return error.exitCode;
      if (error instanceof Fenced) return RUNNER_EXIT.fenced;
      if (error instanceof Stopped) return signal ? saveAndLeave(signal) : RUNNER_EXIT.stopped;
      if (error instanceof Unreachable) return RUNNER_EXIT.unavailable;
      throw error;
    }
  }

  async function fetched(): Promise<RunPayload | undefined> {
    const text = await insist('payload', ({ payloads }) => payloads.get(environment['BATON_PAYLOAD'] ?? ''));
    return text === undefined ? undefined : runPayload.parse(JSON.parse(text));
  }

  /**
   * With `BATON_CLAIM=once` a claim that stands under the same name is that of an earlier container. Where the runner writes it itself, it
   * knows its own by its time although the answer was lost; where it asks Baton, it does not.
   */
  async function claim(me: RunSignal): Promise<'claimed' | 'already' | 'fenced'> {
    const at = clockNow();
    return insist(
      'claim',
      async ({ runs, clock }) => {
        const answer = await runs.claim(me);
        if (answer !== 'already' || environment['BATON_CLAIM'] !== 'once') return answer;
        const { claim: stands } = (await runs.get(me.taskId, me.attempt)) ?? {};
        return writesItself && stands?.at === clock.now() ? 'claimed' : 'fenced';
      },
      () => at,
    );
  }

  /** Signs of life from the claim to the end, by the clock of this machine. What fails is not tried again: the next one is soon. */
  function beat(me: RunSignal): void {
    time.at(time.nowMs() + beatMs, () => {
      if (dead) return;
      if (!isFrozen) void show(me);
      beat(me);
    });
  }

  async function show(me: RunSignal): Promise<void> {
    if (scene.has('lost-beats') && areLost()) return;
    const answer = await plane
      .ask(`${name} beat`, ({ runs }) => runs.heartbeat(me), writesItself ? clockNow : undefined)
      .catch((error: unknown) => {
        if (error instanceof Unreachable) return 'unanswered';
        throw error;
      });
    if (answer !== 'fenced' || dead || isFrozen) return;
    told = 'is-fenced';
    wake?.();
  }

  /** The way to the record is broken for a while, now and then. */
  function areLost(): boolean {
    if (time.nowMs() >= lostUntilMs && random.chance(0.03))
      lostUntilMs = time.nowMs() + random.int(0, LOST_BEATS_MAX_MS);
    return time.nowMs() < lostUntilMs;
  }

  async function work(me: RunSignal, payload: RunPayload): Promise<number> {
    const startedAt = clockNow();
    for (let part = 0; part < 3; part++) {
      await pause(fate.worksMs / 3);
      if (part === 1) await freeze('at-work');
      if (fate.isSilent) continue;
      if (part === 0 && (await firstWord(me)) === 'fenced') return RUNNER_EXIT.fenced;
      say('RunProgressed', me, { text: `part ${part}` });
    }
    const commit = fate.agent === 'changes-nothing' ? undefined : `commit-${me.attempt}-${body.slice(-8)}`;
    const pushed = commit === undefined ? 'pushed' : await push(me, payload.branch, commit);
    if (pushed === 'fenced') return RUNNER_EXIT.fenced;
    dies('exits-well');
    dies('before-report');
    await freeze('before-report');
    const told = pushed === 'pushed' ? report(payload, startedAt, commit) : notPushed(startedAt);
    const stored = await insist('report', ({ runs }) => runs.report(me, told));
    if (stored === 'fenced') return RUNNER_EXIT.fenced;
    witness.reported(me);
    dies('after-report');
    await freeze('after-report');
    say('RunReported', me);
    if (pushed === 'refused') return RUNNER_EXIT.repositoryFailed;
    return told.outcome === 'failed' ? RUNNER_EXIT.agentFailed : RUNNER_EXIT.ok;
  }

  /** The work goes on where nobody took it. */
  async function firstWord(me: RunSignal): Promise<'kept' | 'already' | 'fenced' | 'not-taken'> {
    try {
      const taken = await insist('first word', ({ runs }) => runs.firstWord(me));
      if (taken !== 'fenced') witness.spoke(me);
      return taken;
    } catch (error) {
      if (error instanceof Unreachable) return 'not-taken';
      throw error;
    }
  }

  async function saveAndLeave(me: RunSignal): Promise<number | undefined> {
    told = 'is-stopping';
    try {
      const savedWork = { branch: `baton/${me.taskId}`, commit: `saved-${me.attempt}-${body.slice(-8)}` };
      const pushed = await push(me, savedWork.branch, savedWork.commit);
      if (pushed === 'fenced') return RUNNER_EXIT.fenced;
      if (pushed === 'refused') return RUNNER_EXIT.stopped;
      await insist('saved work', ({ runs }) => runs.saveWork(me, savedWork));
      return RUNNER_EXIT.stopped;
    } catch (error) {
      if (error instanceof Gone) return undefined;
      return error instanceof Fenced ? RUNNER_EXIT.fenced : RUNNER_EXIT.stopped;
    }
  }

  /** Confirms the claim and pushes at once, under the lease recorded at claim. */
  async function push(me: RunSignal, branch: string, commit: string): Promise<'pushed' | 'fenced' | 'refused'> {
    if ((await insist('confirm', ({ runs }) => runs.confirm(me))) === 'fenced') return 'fenced';
    await pause(random.int(0, PUSH_MAX_MS), 'to the end');
    const isLate = await freeze('before-push');
    if (remote.get(branch) !== lease) {
      trace.line(`${name} may not push ${commit}: the branch has moved`);
      return 'refused';
    }
    remote.set(branch, commit);
    lease = commit;
    trace.line(`${name} pushes ${me.taskId}#${me.attempt} ${commit}`);
    witness.pushed(me, isLate);
    return 'pushed';
  }

  function report(payload: RunPayload, startedAt: string, commit: string | undefined): AgentReport {
    const failed = fate.agent === 'fails' || fate.agent === 'meets-a-limit';
    const reason =
      fate.agent === 'fails'
        ? because('agent_failed', 'The agent exited with 3.')
        : because('rate_limited', 'The agent exited with 75.');
    const work = commit !== undefined;
    return {
      schemaVersion: 1,
      outcome: failed ? 'failed' : 'succeeded',
      ...(failed ? { reason } : {}),
      ...(failed && commit !== undefined ? { savedWork: { branch: payload.branch, commit } } : {}),
      ...(fate.agent === 'meets-a-limit' ? { retryAfterSeconds: fate.retryAfterSeconds } : {}),
      result: {
        branch: work ? payload.branch : null,
        commit: commit ?? null,
        baseCommit: 'base',
        filesChanged: work ? 1 : 0,
        insertions: work ? 1 : 0,
        deletions: 0,
        pullRequest: null,
      },
      agentExitCode: fate.agent === 'fails' ? 3 : failed ? 75 : 0,
      startedAt,
      endedAt: clockNow(),
    };
  }

  /** Somebody else pushed since the claim: nothing of this run is there. */
  function notPushed(startedAt: string): AgentReport {
    return {
      schemaVersion: 1,
      outcome: 'failed',
      reason: because('push_failed', 'The branch has moved.'),
      result: {
        branch: null,
        commit: null,
        baseCommit: 'base',
        filesChanged: 0,
        insertions: 0,
        deletions: 0,
        pullRequest: null,
      },
      agentExitCode: 0,
      startedAt,
      endedAt: clockNow(),
    };
  }

  function clockNow(): string {
    return new Date(time.nowMs() + skewMs).toISOString();
  }

  /** The whole machine stands still, and its clock with it: nothing wakes it, and a signal is seen when it thaws. Answers whether it did. */
  async function freeze(where: (typeof freezes)[number]): Promise<boolean> {
    if (fate.freezes !== where || dead) return false;
    trace.line(`${name} freezes: ${where}`);
    isFrozen = true;
    await time.sleep(fate.frozenMs);
    isFrozen = false;
    skewMs -= fate.frozenMs;
    trace.line(`${name} thaws`);
    check(where === 'before-push' ? 'to the end' : undefined);
    return true;
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
    if (told === 'is-fenced') throw new Fenced();
    if (!until && told === 'to-stop') throw new Stopped();
  }

  /** Asks Baton until it answers. */
  async function insist<T>(
    what: string,
    question: (ports: WiredPorts) => Promise<T>,
    now: () => string = clockNow,
  ): Promise<T> {
    const untilMs = time.nowMs() + PATIENCE_MS;
    for (;;) {
      try {
        const answer = await plane.ask(`${name} ${what}`, question, writesItself ? now : undefined);
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
    const id = `${me.taskId}#${me.attempt}#${body.slice(-8)}#${number}`;
    const at = clockNow();
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
