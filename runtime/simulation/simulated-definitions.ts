import { CLONE_TAGS, type NewDefinition } from '../../lifecycle/user-definition.ts';
import type { UserDefinitionRecord } from '../../schemas/task-definition.ts';
import { type DefinitionsOver, definitionsOver } from '../definitions.ts';
import type { AskedDefinition, Definitions, RunDefinition } from '../ports.ts';
import { userDefinitionKey } from '../records.ts';
import { taskIdOf } from './definition-promises.ts';
import type { Complain, Records } from './promise-names.ts';
import type { Gate, Scene } from './scene.ts';
import { BASE_FAMILY, CLONE_FAMILY, type Revision, type SimulatedRegistry } from './simulated-registry.ts';

/** After how long a superseded clone is due to be put away, in milliseconds. */
const PUT_AWAY_AFTER_MS = 3_600_000;

interface Options {
  readonly scene: Scene;
  readonly stage: string;
  readonly registry: SimulatedRegistry;
  readonly records: Records;
  readonly complain: Complain;
  /** A mistake put in on purpose. */
  readonly plant: ((under: DefinitionsOver) => DefinitionsOver) | undefined;
}

/** The shipped port over the simulated registry, as one invocation sees it; watched for what it leaves behind. */
export function simulatedDefinitions({ scene, stage, registry, records, complain, plant }: Options) {
  return function seenBy(gate: Gate): Definitions {
    let made: Revision[] = [];
    let claims: unknown[] = [];
    let asker: AskedDefinition | undefined;
    let sinceMs = 0;
    let isTroubled = false;
    const seen = registry.seenBy(gate, {
      made: (revision) => void made.push(revision),
      turnedAway: () => void claims.push(registeringOf(asker)),
    });
    const under: DefinitionsOver = {
      store: noticing(gate.store, troubled),
      registry: noticing(
        {
          ...seen,
          register(definition: NewDefinition) {
            mustBeNeeded(definition);
            return seen.register(definition);
          },
        },
        troubled,
      ),
      clock: { now: scene.time.now },
      stage,
      baseFamily: BASE_FAMILY,
      warn: (message) => scene.trace.line(`  ${message}`),
    };
    const real = definitionsOver(plant?.(under) ?? under);
    return {
      base: () => real.base(),
      async ofUser(asked) {
        [made, claims, asker, sinceMs, isTroubled] = [[], [], asked, scene.time.nowMs(), false];
        const before = recordOf(asked);
        const answer = await real.ofUser(asked);
        scene.trace.line(
          `  the definition of ${asked.by} is ${answer.outcome === 'ready' ? answer.arn : answer.outcome}`,
        );
        for (const revision of made) revision.kept = true;
        if (claims.some((claim) => claim !== undefined && claim === registeringOf(asked)))
          complain('own definition', taskIdOf(asked), `${asked.by} was turned away and still says that it registers`);
        if (before && !isTroubled) mustHavePutAway(asked, before, answer);
        return answer;
      },
    };

    function troubled(): void {
      isTroubled = true;
    }

    /** Nobody heard of it, and it is the newest of its family: then it is taken, and no other is registered. */
    function mustBeNeeded({ tags }: NewDefinition): void {
      const known = registry.standingSince(CLONE_FAMILY, sinceMs);
      const isSame = [CLONE_TAGS.base, CLONE_TAGS.terms].every((tag) => known?.tags[tag] === tags[tag]);
      const isSuperseded = recordOf(asker)?.superseded.some(({ arn }) => arn === known?.arn);
      if (known && isSame && !isSuperseded && asker)
        complain('own definition', taskIdOf(asker), `${asker.by} registers anew what ${known.arn} is`);
    }

    /** Who looked its clone up, or has made one, has had the time: of what is due to be put away, something is gone. */
    function mustHavePutAway(asked: AskedDefinition, before: UserDefinitionRecord, answer: RunDefinition): void {
      if (answer.outcome !== 'ready' || (before.current?.arn !== answer.arn && made.length === 0)) return;
      const due = before.superseded.filter(({ at }) => Date.parse(at) + PUT_AWAY_AFTER_MS <= sinceMs);
      const left = new Set(recordOf(asked)?.superseded.map(({ arn }) => arn));
      if (due.length > 0 && due.every(({ arn }) => left.has(arn)))
        complain('own definition', taskIdOf(asked), `${asked.by} left ${due[0]?.arn}, superseded at ${due[0]?.at}`);
    }
  };

  function recordOf(asked: AskedDefinition | undefined): UserDefinitionRecord | undefined {
    return asked && (records.get(userDefinitionKey(asked)) as UserDefinitionRecord | undefined);
  }

  /** What the record says of who registers, if it is this asker: the very object that was written. */
  function registeringOf(asked: AskedDefinition | undefined): unknown {
    const { registering } = recordOf(asked) ?? {};
    return registering?.by === asked?.by ? registering : undefined;
  }
}

/** The same port, which tells of calls that fail. */
function noticing<Port extends object>(port: Port, troubled: () => void): Port {
  const told = Object.entries(port).map(([name, call]) => [
    name,
    async (...given: unknown[]) => {
      try {
        return await call(...given);
      } catch (error) {
        troubled();
        throw error;
      }
    },
  ]);
  return Object.fromEntries(told);
}
