import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import { BASE_MARKER, type Described, type NewDefinition, userFamilyOf } from '../../lifecycle/user-definition.ts';
import type { Registry } from '../definitions.ts';
import { CONCURRENT } from '../engine/local-registry.ts';
import { ComputeError } from '../errors.ts';
import type { Gate, Scene } from './scene.ts';

/** The family that infrastructure writes, and the one of the clones. */
export const BASE_FAMILY = 'baton-agent';
export const CLONE_FAMILY = userFamilyOf(BASE_FAMILY);
/** How long ECS may answer as if a change had not been made, in milliseconds: nobody promises that an answer has seen it. */
export const LAG_MAX_MS = 8_000;
/** How long runs may still be started from a revision that was deregistered, in milliseconds (Amazon ECS API reference, DeregisterTaskDefinition). */
const STARTABLE_FOR_MS = 600_000;
/** Longest time that a registration takes, in milliseconds: longer than somebody is believed who said that it registers. */
const REGISTERS_MAX_MS = 120_000;

/** Longest time in which ECS makes a revision and takes no other of the same family, in milliseconds. */
const MAKES_MAX_MS = 1_000;

/** Who writes task definitions: infrastructure, Baton, or somebody who should not. */
type Writer = 'infrastructure' | 'baton' | 'stranger';

export interface Revision extends Described {
  readonly by: Writer;
  /** By when everybody sees it. */
  readonly shownFromMs: number;
  readonly registeredMs: number;
  /** Deregistered: since when, by whom, since when everybody sees it, and since when no run can be started from it. */
  gone?: { readonly ms: number; readonly by: Writer; readonly shownFromMs: number; readonly refusedFromMs: number };
  /** Whoever registered it heard of that, and wrote it down. */
  kept: boolean;
}

/** Who watches what Baton asks of the registry. */
export interface RegistryEars {
  /** Reached during a replay. */
  reachedOut(what: string): void;
  registers(definition: NewDefinition): void;
  deregisters(revision: Revision): void;
}

/** What one caller hears of its own registrations. */
export interface CallerEars {
  /** The answer says that it was made. */
  made(revision: Revision): void;
  /** The answer says that nothing was made. */
  turnedAway(): void;
}

export interface SimulatedRegistry {
  /** The registry as one invocation sees it. */
  seenBy(gate: Gate, caller: CallerEars): Registry;
  /** As it is, whatever anybody has seen of it. */
  revision(arn: string | undefined): Revision | undefined;
  /** The newest active revision of a family at some time since then, each of them. */
  newestSince(family: string, sinceMs: number): ReadonlySet<Revision | undefined>;
  /** The newest active revision of a family, if everybody who asked since then was answered with it. */
  standingSince(family: string, sinceMs: number): Revision | undefined;
  readonly revisions: readonly Revision[];
  register(definition: NewDefinition, by: Writer): Revision;
  deregister(revision: Revision, by: Writer): void;
}

/** The task definitions of ECS, with the faults that the scene has. */
export function simulatedRegistry(scene: Scene, hear: RegistryEars): SimulatedRegistry {
  const { time, trace } = scene;
  const random = scene.random.fork('registry');
  const revisions: Revision[] = [];
  const byArn = new Map<string, Revision>();
  const counts = new Map<string, number>();
  /** Until when ECS makes a revision, by family. */
  const madeUntilMs = new Map<string, number>();
  const revision = (arn: string | undefined): Revision | undefined => byArn.get(arn ?? '');

  return { seenBy, revision, newestSince, standingSince, revisions, register, deregister };

  function seenBy(gate: Gate, caller: CallerEars): Registry {
    const slow = async (): Promise<void> => {
      if (isBusy(0.1)) await gate.sleep(random.int(1_000, REGISTERS_MAX_MS));
    };
    const asked = async (what: string): Promise<void> => {
      await gate.point(what);
      if (gate.replay) hear.reachedOut(what);
      trouble();
    };
    return {
      async newest(family) {
        await asked(`registry.newest ${family}`);
        return newest(family, isShown);
      },
      async active(arn) {
        await asked(`registry.active ${arn}`);
        const known = byArn.get(arn);
        return known && isShown(known) ? known : undefined;
      },
      async register(definition) {
        await gate.store.durable();
        await gate.point(`registry.register ${definition.family}`);
        if (gate.replay) hear.reachedOut(`a registration in ${definition.family}`);
        hear.registers(definition);
        if (isBusy(0.3)) {
          caller.turnedAway();
          throw random.pick([throttled, throttled, denied])();
        }
        if (isBusy(0.1)) throw unavailable();
        await slow();
        if ((madeUntilMs.get(definition.family) ?? 0) > time.nowMs()) {
          trace.line(`ecs refuses ${definition.family}: two at once`);
          caller.turnedAway();
          throw throttled(`ClientException: ${CONCURRENT}`);
        }
        const takesMs = random.int(0, MAKES_MAX_MS);
        madeUntilMs.set(definition.family, time.nowMs() + takesMs);
        await gate.sleep(takesMs);
        const made = register(definition, 'baton');
        if (isBusy(0.1)) throw unavailable();
        await slow();
        await gate.point(`registry.register answered ${made.arn}`);
        caller.made(made);
        return made.arn;
      },
      async deregister(arn) {
        await asked(`registry.deregister ${arn}`);
        const known = byArn.get(arn);
        if (!known) return;
        hear.deregisters(known);
        deregister(known, 'baton');
        if (isBusy(0.1)) throw unavailable();
      },
    };
  }

  function isBusy(share: number): boolean {
    return scene.has('registry-throttle') && random.chance(share);
  }

  function trouble(): void {
    if (isBusy(0.15)) throw random.pick([throttled, unavailable, denied])();
  }

  function lagMs(): number {
    return scene.has('delay') || scene.has('reorder') ? random.int(0, LAG_MAX_MS) : 0;
  }

  function isShown({ shownFromMs, gone }: Revision): boolean {
    const now = time.nowMs();
    return shownFromMs <= now && (gone === undefined || gone.shownFromMs > now);
  }

  function newest(family: string, has: (revision: Revision) => boolean): Revision | undefined {
    return revisions.findLast((one) => one.family === family && has(one));
  }

  function newestSince(family: string, sinceMs: number): ReadonlySet<Revision | undefined> {
    const changes = revisions.flatMap(({ registeredMs, gone }) => (gone ? [registeredMs, gone.ms] : [registeredMs]));
    const moments = [sinceMs, ...changes.filter((ms) => ms > sinceMs)];
    return new Set(
      moments.map((ms) =>
        newest(family, ({ registeredMs, gone }) => registeredMs <= ms && (gone === undefined || gone.ms > ms)),
      ),
    );
  }

  function standingSince(family: string, sinceMs: number): Revision | undefined {
    const now = time.nowMs();
    const wasShown = ({ shownFromMs, gone }: Revision): boolean =>
      shownFromMs <= now && (gone === undefined || gone.shownFromMs > sinceMs);
    const newest = revisions.findLast((one) => one.family === family && wasShown(one));
    return newest && !newest.gone && newest.shownFromMs <= sinceMs ? newest : undefined;
  }

  function register({ family, definition, tags }: NewDefinition, by: Writer): Revision {
    const number = (counts.get(family) ?? 0) + 1;
    counts.set(family, number);
    const arn = `arn:aws:ecs:local:000000000000:task-definition/${family}:${number}`;
    const now = time.nowMs();
    const made: Revision = {
      arn,
      family,
      tags,
      definition: { ...definition, family, taskDefinitionArn: arn, revision: number, status: 'ACTIVE' },
      by,
      registeredMs: now,
      // Nobody begins before the first deployment is there.
      shownFromMs: number === 1 && by === 'infrastructure' ? now : now + lagMs(),
      kept: false,
    };
    revisions.push(made);
    byArn.set(arn, made);
    trace.line(`${by} registers ${family}:${number}`);
    return made;
  }

  function deregister(revision: Revision, by: Writer): void {
    if (revision.gone) return;
    const now = time.nowMs();
    const refusedFromMs = now + random.int(0, STARTABLE_FOR_MS);
    revision.gone = { ms: now, by, shownFromMs: now + lagMs(), refusedFromMs };
    trace.line(`${by} deregisters ${revision.arn}`);
  }
}

/** A base as infrastructure deploys it: each has an image of its own. */
export const aBase = (image: string, stage: string): NewDefinition => ({
  family: BASE_FAMILY,
  tags: { [BASE_MARKER]: stage },
  definition: {
    cpu: '2048',
    memory: '4096',
    containerDefinitions: [{ name: 'sidecar' }, { name: AGENT_CONTAINER, image }],
  },
});

const throttled = (said?: string): ComputeError =>
  new ComputeError('compute_throttled', `ECS RegisterTaskDefinition: ${said ?? 'ThrottlingException: Rate exceeded'}`);
/** Rights come later than the code that needs them, while a deployment goes on. */
const denied = (): ComputeError => new ComputeError('compute_denied', 'ECS: AccessDeniedException: not authorized');
const unavailable = (): ComputeError => new ComputeError('compute_unavailable', 'The answer of ECS was lost.');
