import { type CommandParameters, HOST_EXIT, workerRunId } from '../../schemas/ssm-command.ts';
import type { Random } from './random.ts';
import type { Scene } from './scene.ts';
import type { RunnerProcess } from './simulated-runner.ts';
import type { WatchedRun } from './watched-run.ts';

/** From SIGTERM to SIGKILL of a run, and what a host leaves beyond that, in milliseconds: as in `agent/host/run.sh`. */
const STOP_TIMEOUT_MS = 30_000;
const END_MARGIN_MS = 30_000;
/** How often a script that waits for the lock of another looks again, in milliseconds. */
const LOOK_AGAIN_MS = 5_000;
/** How long a container takes to come up, and a script or guard for what it does itself, in milliseconds. */
const CONTAINER_UP_MS = 3_000;
const STEP_MAX_MS = 200;
/** What a host's script exits with of a run that SIGKILL ended. */
const KILLED = HOST_EXIT.killed;

/** One container on a host, with the runner inside. */
export interface HostRun extends WatchedRun {
  readonly worker: string;
  readonly payload: string;
  /** Which of all containers of this world. */
  readonly number: number;
  process?: RunnerProcess;
  /** Its process is over; nothing short of that is its end. */
  stopped: boolean;
}

/** What the script on a host does beside running attempts; the shipped one does all of it. */
export interface HostHabits {
  /** Removes what a run left in the workspace. */
  readonly wipes: boolean;
  /** Looks whether the attempt was here before. */
  readonly remembers: boolean;
  /** One at a time. */
  readonly locks: boolean;
}
export const hostHabits: HostHabits = { wipes: true, remembers: true, locks: true };

export interface HostSurroundings {
  readonly scene: Scene;
  readonly random: Random;
  readonly habits: HostHabits;
  /** Starts the process inside a container; a container that is made is told before. */
  readonly boot: (run: HostRun, ended: (exitCode: number) => void) => RunnerProcess;
  readonly numbered: () => number;
  /** A container begins, while these are left of others: containers, and whose files are in the workspace. */
  readonly begins: (
    run: HostRun,
    left: { readonly living: readonly HostRun[]; readonly files: readonly string[] },
  ) => void;
}

/** A script under way on a host. */
export interface HostScript {
  /** SIGKILL to the script alone. */
  kill(): void;
}

interface Script extends HostScript {
  isKilled: boolean;
  readonly killed: Promise<'killed'>;
}

/** One machine of a fleet, as far as its script (`agent/host/run.sh`) and what that started go. */
export interface SimulatedHost {
  /** Starts the script; `exited` hears of its end, if anybody still can. */
  execute(parameters: CommandParameters, exited: (exitCode: number) => void): HostScript;
  /** The operating system goes down in order: whatever runs gets SIGTERM. */
  goDown(): void;
  /** Nothing runs here any more. */
  lose(): void;
  /** Whether anything of the attempt runs here or lies here, or may still begin. */
  has(taskId: string, attempt: number): boolean;
  bars(taskId: string, attempt: number): boolean;
  readonly living: () => readonly HostRun[];
}

const nameOf = ({ taskId, attempt }: { readonly taskId: string; readonly attempt: number | string }): string =>
  `${taskId}/${attempt}`;

export function simulatedHost(worker: string, surroundings: HostSurroundings): SimulatedHost {
  const { scene, random, habits, boot, numbered, begins } = surroundings;
  const { time, trace, has } = scene;
  /** Attempts that must not start here any more, with the exit code that each has. */
  const ended = new Map<string, number>();
  const containers: HostRun[] = [];
  const files = new Set<string>();
  /** Something can be removed by nobody from some point on. */
  let isStuck = false;
  let isLost = false;
  /** Who waits for the end of a container. */
  const ends = new Map<HostRun, (exitCode: number) => void>();
  let lock: { readonly holder: string; readonly free: Promise<void>; release(): void } | undefined;

  return {
    execute,
    goDown: () => {
      for (const run of living()) run.process?.terminate();
    },
    lose,
    has: (taskId, attempt) =>
      files.has(nameOf({ taskId, attempt })) ||
      living().some(({ spec }) => nameOf(spec) === nameOf({ taskId, attempt })),
    bars: (taskId, attempt) => isLost || ended.has(nameOf({ taskId, attempt })),
    living,
  };

  function living(): HostRun[] {
    return containers.filter(({ stopped }) => !stopped);
  }

  function execute(parameters: CommandParameters, exited: (exitCode: number) => void): HostScript {
    const name = nameOf(parameters);
    let wake: () => void = () => undefined;
    const killed = new Promise<'killed'>((resolve) => {
      wake = () => resolve('killed');
    });
    const script = { isKilled: false, killed, kill };
    const work = parameters.action === 'run' ? runAttempt(parameters, script) : endAttempt(name);
    void work.then((code) => {
      if (isLost || script.isKilled) return;
      trace.line(`host ${worker} ${parameters.action} ${name} exits ${code}`);
      exited(code);
    });
    return script;

    function kill(): void {
      script.isKilled = true;
      wake();
    }
  }

  async function runAttempt(parameters: CommandParameters, script: Script): Promise<number> {
    const { killed } = script;
    const name = nameOf(parameters);
    await step();
    for (let waitedMs = 0; lock !== undefined && habits.locks; ) {
      if (lock.holder === name) {
        if ((await Promise.race([lock.free, killed])) === 'killed') return KILLED;
        continue;
      }
      for (const other of living()) if (nameOf(other.spec) !== name) killNow(other);
      await rest(LOOK_AGAIN_MS);
      waitedMs += LOOK_AGAIN_MS;
      if (waitedMs >= STOP_TIMEOUT_MS + END_MARGIN_MS) return HOST_EXIT.unproven;
    }
    const release = take(name);
    const before = habits.remembers ? ended.get(name) : undefined;
    if (!cleared() || before !== undefined) {
      release();
      return cleared() && before !== undefined ? before : HOST_EXIT.unproven;
    }
    const came = await Promise.race([containerEnds(parameters, script), killed]);
    if (came === 'killed') trace.line(`host ${worker}: the script of ${name} is killed`);
    // Whether the script ended or its guard does it: the run ends, the host is wiped, and that alone gives the lock free.
    let code = came === 'killed' ? KILLED : came;
    await stopAll(name);
    await step();
    if (cleared()) ended.set(name, code);
    else code = HOST_EXIT.unproven;
    release();
    return code;
  }

  /** The exit code of the container, or that it did not come up. */
  async function containerEnds({ taskId, attempt, payload }: CommandParameters, script: Script): Promise<number> {
    await rest(random.int(10, CONTAINER_UP_MS));
    // Without its script nobody starts it any more.
    if (script.isKilled) return KILLED;
    const name = nameOf({ taskId, attempt });
    if (has('failing-start') && random.chance(0.15)) return HOST_EXIT.notStarted;
    const owner = { taskId, attempt: Number(attempt) };
    const run: HostRun = {
      nativeId: workerRunId({ instanceId: worker, ...owner }),
      spec: owner,
      worker,
      payload,
      number: numbered(),
      stopped: false,
      livesOn: false,
    };
    begins(run, { living: living(), files: [...files] });
    containers.push(run);
    files.add(name);
    trace.line(`host ${worker} runs ${name}`);
    if (has('unclean-host') && random.chance(0.3)) isStuck = true;
    return new Promise((resolve) => {
      run.process = boot(run, (exitCode) => {
        if (run.stopped) return;
        run.stopped = true;
        resolve(exitCode);
      });
      ends.set(run, resolve);
    });
  }

  async function endAttempt(name: string): Promise<number> {
    if (!ended.has(name)) ended.set(name, HOST_EXIT.over);
    await step();
    for (let waitedMs = 0; lock !== undefined; ) {
      if (lock.holder !== name && !living().some(({ spec }) => nameOf(spec) === name)) return 0;
      const fromMs = time.nowMs();
      await stopAll(name);
      await rest(LOOK_AGAIN_MS);
      waitedMs += time.nowMs() - fromMs;
      if (waitedMs >= STOP_TIMEOUT_MS + END_MARGIN_MS && lock !== undefined) return HOST_EXIT.unproven;
    }
    return cleared() ? 0 : HOST_EXIT.unproven;
  }

  function take(holder: string): () => void {
    let freed: () => void = () => undefined;
    const free = new Promise<void>((resolve) => {
      freed = resolve;
    });
    const own = { holder, free, release };
    lock = own;
    return release;

    function release(): void {
      if (lock === own) lock = undefined;
      freed();
    }
  }

  /** Nothing of any run is left: neither a container nor a file. */
  function cleared(): boolean {
    if (isStuck && files.size > 0) return false;
    for (const run of living()) killNow(run);
    if (living().length > 0) return false;
    if (habits.wipes) files.clear();
    return true;
  }

  /** SIGTERM to what runs for the attempt, SIGKILL later. */
  async function stopAll(name: string): Promise<void> {
    const own = living().filter(({ spec }) => nameOf(spec) === name);
    if (own.length === 0) return;
    // Some hear nothing.
    for (const run of own) if (!(has('ignores-stop') && random.chance(0.3))) run.process?.terminate();
    for (let waitedMs = 0; waitedMs < STOP_TIMEOUT_MS && own.some(({ stopped }) => !stopped); waitedMs += LOOK_AGAIN_MS)
      await rest(LOOK_AGAIN_MS);
    for (const run of own) killNow(run);
  }

  /** What is stuck survives that. */
  function killNow(run: HostRun): void {
    if (run.stopped || (isStuck && !isLost)) return;
    run.process?.kill();
    run.stopped = true;
    ends.get(run)?.(KILLED);
  }

  function lose(): void {
    isLost = true;
    for (const run of living()) killNow(run);
  }

  function step(): Promise<void> {
    return rest(random.int(1, STEP_MAX_MS));
  }

  /** Nothing on a machine that is gone goes on. */
  async function rest(ms: number): Promise<void> {
    await time.sleep(ms);
    if (isLost) await new Promise<never>(() => undefined);
  }
}
