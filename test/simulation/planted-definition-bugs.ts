import { BASE_MARKER, type Described, userFamilyOf } from '../../lifecycle/user-definition.ts';
import type { Definitions, EcsBackend, RunDefinition } from '../../runtime/ports.ts';
import type { Plant } from '../../runtime/simulated-world.ts';
import { because } from '../../schemas/reason.ts';
import type { UserDefinitionRecord, UserTerms } from '../../schemas/task-definition.ts';
import type { PlantedBug } from './planted-bug.ts';

type Under = Parameters<NonNullable<Plant['definitions']>>[0];

/** Changes the ports of whoever starts; what `change` remembers lasts as long as the process. */
const starting = (change: () => (ports: Starter) => Partial<Starter>): Plant => ({
  reactions: (all) =>
    all.map((one) => {
      if (one.rule.name !== 'start-run-on-ecs') return one;
      const changed = change();
      return {
        rule: one.rule,
        run: (event, ports, ...rest) => one.run(event, { ...ports, ...changed(ports as unknown as Starter) }, ...rest),
      };
    }),
});

interface Starter {
  readonly definitions: Definitions;
  readonly ecs: EcsBackend;
}

const asking = (ports: Starter, ofUser: (real: Definitions['ofUser']) => Definitions['ofUser']): Partial<Starter> => ({
  definitions: { ...ports.definitions, ofUser: ofUser(ports.definitions.ofUser) },
});

/** Changes the registry below the port. */
const registering = (change: (real: Under['registry'], under: Under) => Partial<Under['registry']>): Plant => ({
  definitions: (under) => ({ ...under, registry: { ...under.registry, ...change(under.registry, under) } }),
});

/** Changes what is written of a user's clones: undefined where it is not written at all. */
const writing = (
  change: (after: UserDefinitionRecord, before: UserDefinitionRecord | undefined, under: Under) => Promise<boolean>,
): Plant => ({
  definitions: (under) => ({
    ...under,
    store: {
      ...under.store,
      async put(key, value, expected, index) {
        const before = (await under.store.get(key))?.value as UserDefinitionRecord | undefined;
        if (await change(value as UserDefinitionRecord, before, under))
          return under.store.put(key, value, expected, index);
        return { outcome: 'written', revision: 0 };
      },
    },
  }),
});

const marked = (known: Described | undefined, { stage, baseFamily }: Under): Described | undefined =>
  known && { ...known, family: baseFamily, tags: { ...known.tags, [BASE_MARKER]: stage } };

/** Mistakes that one could make with the task definitions from which runs start. */
export const definitionBugs: readonly PlantedBug[] = [
  {
    name: 'a warm function remembers the definition between starts',
    within: 50,
    faults: 'new-base',
    plant: starting(() => {
      let known: RunDefinition | undefined;
      return ({ definitions }) => ({
        definitions: {
          ...definitions,
          async base() {
            known ??= await definitions.base();
            return known;
          },
        },
      });
    }),
  },
  {
    name: 'the newest of a mixed family is taken without a look at its marker',
    within: 50,
    faults: 'legacy-family',
    plant: registering((real, under) => ({ newest: async (family) => marked(await real.newest(family), under) })),
  },
  {
    name: 'a clone is made from the clone before it',
    within: 50,
    faults: 'changed-users',
    plant: registering((real, under) => ({
      newest: async (family) =>
        (family === under.baseFamily ? marked(await real.newest(userFamilyOf(family)), under) : undefined) ??
        real.newest(family),
    })),
  },
  {
    name: 'a start names the family, not the revision',
    within: 20,
    faults: 'none',
    plant: starting(() => ({ ecs }) => ({
      ecs: { ...ecs, start: (spec) => ecs.start({ ...spec, definition: 'baton-agent' }) },
    })),
  },
  {
    name: 'a start that is repeated looks its definition up anew',
    within: 50,
    faults: 'new-base,late-handle,crash',
    plant: starting(() => ({ ecs, definitions }) => ({
      ecs: {
        ...ecs,
        async start(spec) {
          const anew = spec.repeats ? await definitions.base() : undefined;
          return ecs.start(anew?.outcome === 'ready' ? { ...spec, definition: anew.arn } : spec);
        },
      },
    })),
  },
  {
    name: 'a start that is repeated goes on demand',
    within: 50,
    faults: 'spot,late-handle,crash',
    plant: starting(() => ({ ecs }) => ({
      ecs: {
        ...ecs,
        start: (spec) => ecs.start({ ...spec, capacityProvider: spec.repeats ? 'FARGATE' : spec.capacityProvider }),
      },
    })),
  },
  {
    name: 'whoever is turned away goes on saying that it registers',
    within: 50,
    faults: 'registry-throttle',
    plant: writing(
      async (after, before) => !before?.registering || after.registering !== undefined || isNew(after, before),
    ),
  },
  {
    name: 'a superseded clone is deregistered at once',
    within: 200,
    faults: 'new-base,changed-users,delay',
    plant: writing(async (after, before, { registry }) => {
      if (before?.current && isNew(after, before)) await registry.deregister(before.current.arn);
      return true;
    }),
  },
  {
    name: 'a superseded clone is forgotten',
    within: 50,
    faults: 'new-base,changed-users',
    plant: {
      definitions: (under) => ({
        ...under,
        store: {
          ...under.store,
          put: (key, value, ...rest) =>
            under.store.put(key, { ...(value as UserDefinitionRecord), superseded: [] }, ...rest),
        },
      }),
    },
  },
  {
    name: 'superseded clones are never put away',
    within: 100,
    faults: 'new-base,changed-users',
    plant: {
      definitions: (under) => ({
        ...under,
        registry: { ...under.registry, deregister: async () => undefined },
        store: {
          ...under.store,
          async put(key, value, ...rest) {
            const before = (await under.store.get(key))?.value as UserDefinitionRecord | undefined;
            const after = value as UserDefinitionRecord;
            return under.store.put(key, { ...after, superseded: everyOf(before, after) }, ...rest);
          },
        },
      }),
    },
  },
  {
    name: 'a registration that nobody heard of is never taken',
    within: 50,
    faults: 'registry-throttle',
    plant: registering((real, { baseFamily }) => ({
      newest: async (family) => (family === baseFamily ? real.newest(family) : undefined),
    })),
  },
  {
    name: 'nobody is believed who says that it registers',
    within: 100,
    faults: 'changed-users,reorder,delay',
    plant: {
      definitions(under) {
        let mine: string | undefined;
        return {
          ...under,
          store: {
            ...under.store,
            async get(key) {
              const stored = await under.store.get(key);
              const { registering, ...rest } = (stored?.value ?? {}) as UserDefinitionRecord;
              return stored && (registering?.by === mine ? stored : { ...stored, value: rest });
            },
            put(key, value, ...rest) {
              mine = (value as UserDefinitionRecord).registering?.by;
              return under.store.put(key, value, ...rest);
            },
          },
        };
      },
    },
  },
  {
    name: 'a clone that was put away behind our back is handed out',
    within: 50,
    faults: 'clone-gone',
    plant: starting(() => {
      const known = new Map<string, RunDefinition>();
      return (ports) =>
        asking(ports, (real) => async (asked) => {
          const key = JSON.stringify([asked.userId, asked.configuration, asked.terms]);
          const answer = known.get(key) ?? (await real(asked));
          if (answer.outcome === 'ready') known.set(key, answer);
          return answer;
        });
    }),
  },
  {
    name: 'what a user gets is remembered between starts',
    within: 50,
    faults: 'changed-users',
    plant: starting(() => {
      const known = new Map<string, UserTerms>();
      return (ports) =>
        asking(ports, (real) => (asked) => {
          const terms = known.get(asked.userId) ?? asked.terms;
          known.set(asked.userId, terms);
          return real({ ...asked, terms });
        });
    }),
  },
  {
    name: 'users share the clone of whoever came first',
    within: 50,
    faults: 'changed-users',
    plant: starting(() => {
      const known = new Map<string, string>();
      return (ports) =>
        asking(ports, (real) => (asked) => {
          const userId = known.get(asked.configuration) ?? asked.userId;
          known.set(asked.configuration, userId);
          return real({ ...asked, userId });
        });
    }),
  },
  {
    name: 'a task fails when ECS is too busy to register its definition',
    within: 50,
    faults: 'registry-throttle',
    plant: starting(
      () => (ports) =>
        asking(ports, (real) => async (asked) => {
          const answer = await real(asked);
          return answer.outcome === 'later'
            ? { outcome: 'refused', reason: because('definition_refused', answer.message) }
            : answer;
        }),
    ),
  },
];

/** Another clone is in use than before. */
const isNew = (after: UserDefinitionRecord, before: UserDefinitionRecord): boolean =>
  after.current?.arn !== before.current?.arn;

/** All that was ever superseded. */
const everyOf = (before: UserDefinitionRecord | undefined, after: UserDefinitionRecord) => [
  ...(before?.superseded ?? []),
  ...after.superseded.filter(({ arn }) => !before?.superseded.some((one) => one.arn === arn)),
];
