import { describe, expect, it } from '@jest/globals';
import { configureRepository } from '../../handlers/configure-repository.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { CONFIGURATIONS_MAX } from '../../schemas/repository-config.ts';
import { aRequest, at } from '../builders.ts';
import { aScene, typesOf } from './scene.ts';

const name = 'https://git.example/team/app';

/** A request to configure, asked so many seconds after the beginning. */
function asked(config: unknown, { id = 'config-1', seconds = 0, time = at(seconds), more = {} } = {}): Envelope {
  const event = aRequest('TaskRequested', { name, config, ...more }, id);
  const metadata = { id, occurredAt: at(seconds), correlationId: id, causationId: id, schemaVersion: 1 };
  return {
    ...event,
    'detail-type': 'RepositoryConfigRequested',
    time,
    detail: { ...(event.detail as object), metadata },
  };
}

describe('a configuration that is asked for', () => {
  it('is stored, and said without the addresses of subscribers', async () => {
    const scene = aScene();
    const subscribers = [{ channel: 'webhook', target: 'https://example.com/secret' }];
    const told = await scene.deliver(configureRepository, asked({ limit: 2, subscribers }));
    expect(told).toEqual([
      expect.objectContaining({
        id: 'config-1#RepositoryConfigured',
        detail: {
          metadata: {
            id: 'config-1#RepositoryConfigured',
            correlationId: 'config-1',
            causationId: 'config-1',
            occurredAt: at(0),
            schemaVersion: 1,
          },
          data: { name, removed: false, limit: 2 },
        },
      }),
    ]);
    expect(await scene.repositories.configurationOf(name)).toEqual({
      name,
      config: { limit: 2, subscribers },
      setAt: at(0),
      setBy: 'config-1',
    });
  });

  it('is stored and said under the plain name of its repository', async () => {
    const scene = aScene();
    const [told] = await scene.deliver(configureRepository, asked({ limit: 2 }, { more: { name: `${name}.git/` } }));
    expect(told?.detail.data).toEqual({ name, removed: false, limit: 2 });
    expect((await scene.repositories.list()).map((entry) => entry.name)).toEqual([name]);
  });

  it('three times is stored and said once', async () => {
    const scene = aScene();
    expect(await scene.thrice(configureRepository, asked({ limit: 2 }))).toEqual([['RepositoryConfigured'], [], []]);
    expect(scene.ignored).toEqual(['configured_already', 'configured_already']);
  });

  it('is said by the retry when the first delivery died before telling', async () => {
    const scene = aScene();
    const first = await scene.deliver(configureRepository, asked({ limit: 2 }));
    expect(await scene.deliver(configureRepository, asked({ limit: 2 }), { tries: 2 })).toEqual(first);
  });

  it('does not replace one that was asked for later, in whatever order they come', async () => {
    const scene = aScene();
    scene.pass(10);
    await scene.deliver(configureRepository, asked({ limit: 7 }, { id: 'later', seconds: 9 }));
    const sooner = asked({ limit: 2 }, { id: 'sooner', seconds: 8 });
    const told = [await scene.deliver(configureRepository, sooner), await scene.deliver(configureRepository, sooner)];
    expect(told.flat().map(({ id, detail }) => [id, detail.data])).toEqual(
      [1, 2].map(() => [
        'sooner#RepositoryConfigRefused',
        { name, reason: { code: 'overtaken', message: 'a later request for this name holds' } },
      ]),
    );
    expect(scene.ignored).toEqual(['configured_again_since', 'configured_again_since']);
    expect((await scene.repositories.list())[0]?.config).toEqual({ limit: 7 });
  });

  it('does not come back by a late copy of its request when it was removed since', async () => {
    const scene = aScene();
    scene.pass(10);
    const first = asked({ limit: 7 }, { id: 'first', seconds: 1 });
    await scene.deliver(configureRepository, first);
    const told = await scene.deliver(configureRepository, asked(null, { id: 'second', seconds: 2 }));
    expect(told[0]?.detail.data).toEqual({ name, removed: true, limit: null });
    const late = await scene.deliver(configureRepository, first, { tries: 2 });
    expect(late.map(({ detail }) => detail.data)).toMatchObject([{ name, reason: { code: 'overtaken' } }]);
    expect(await scene.repositories.list()).toEqual([]);
  });

  it('is ordered by the clock of the bus when that of the producer is far off', async () => {
    const scene = aScene();
    scene.pass(4_000);
    await scene.deliver(configureRepository, asked({ limit: 1 }, { id: 'a', seconds: 3_600, time: at(10) }));
    await scene.deliver(configureRepository, asked({ limit: 2 }, { id: 'b', seconds: 20 }));
    expect((await scene.repositories.list())[0]).toMatchObject({ config: { limit: 2 }, setAt: at(20) });
  });

  it('is stored with a warning where the deployment does not have what it names', async () => {
    const scene = aScene();
    const [told] = await scene.deliver(configureRepository, asked({ fleet: 'builders' }));
    const warning = `fleet: "ecs" has no fleets, and so none named "builders" (the configuration "${name}" says so)`;
    expect(told?.detail.data).toMatchObject({ warning });
    expect((await scene.repositories.list())[0]).toMatchObject({ warning });
  });

  it('for users who are isolated is stored whole, and said without a word of what they get', async () => {
    const scene = aScene();
    const secrets = { TOKEN: 'arn:aws:ssm:us-east-1:000000000000:parameter/ada/token' };
    const config = { isolation: 'per-user', users: { ada: { secrets }, '*': {} }, capacity: 'spot-first' };
    const [told] = await scene.deliver(configureRepository, asked(config));
    expect(told?.detail.data).toEqual({ name, removed: false, limit: null });
    expect((await scene.repositories.list())[0]?.config).toEqual(config);
  });

  it('during a replay configures nothing', async () => {
    const scene = aScene();
    const event = { ...asked({ limit: 2 }), 'replay-name': 'again' };
    expect(await scene.deliver(configureRepository, event)).toEqual([]);
    expect(scene.ignored).toEqual(['replay']);
    expect(await scene.repositories.list()).toEqual([]);
  });
});

describe('a configuration is refused, and nothing is stored', () => {
  it.each([
    ['an unknown back end', { compute: 'moon' }, {}, /config\.compute/],
    ['an unknown field', { limt: 2 }, {}, /config: Unrecognized key: "limt"/],
    ['a limit of nobody', { limit: 0 }, {}, /config\.limit/],
    [
      'a secret instead of a reference',
      { environment: { TOKEN: 'hunter2' } },
      {},
      /config\.environment\.TOKEN: is no reference/,
    ],
    ['a variable of the runner', { environment: { BATON_TABLE: 'variable:X' } }, {}, /BATON_TABLE/],
    ['an unknown capacity', { capacity: 'cheap' }, {}, /config\.capacity/],
    [
      'isolated users of whom it says nothing',
      { isolation: 'per-user' },
      {},
      /config\.users: is missing: where isolation/,
    ],
    ['users who are not isolated', { users: { ada: {} } }, {}, /config\.users: .* only where isolation is per-user/],
    [
      'a secret of a user instead of its ARN',
      { isolation: 'per-user', users: { ada: { secrets: { TOKEN: 'hunter2' } } } },
      {},
      /config\.users\.ada\.secrets\.TOKEN: is no ARN of a secret(?!.*hunter2)/,
    ],
    ['a subscriber without an address', { subscribers: [{ channel: 'webhook' }] }, {}, /subscribers/],
    ['no configuration at all', undefined, {}, /config/],
    ['a name that no repository has', { limit: 2 }, { name: 'team/app' }, /name: is neither/],
    ['credentials in its name', { limit: 2 }, { name: 'https://me:pw@git.example/a' }, /name: holds credentials/],
  ])('with %s', async (_what, config, more, says) => {
    const scene = aScene();
    const told = await scene.deliver(configureRepository, asked(config, { more }));
    expect(typesOf(told)).toEqual(['RepositoryConfigRefused']);
    expect(told[0]?.detail.data).toMatchObject({
      reason: { code: 'bad_request', message: expect.stringMatching(says) },
    });
    expect(await scene.repositories.list()).toEqual([]);
  });

  it.each([[undefined], [null], ['a text'], [7]])('whose data is %p', async (data) => {
    const scene = aScene();
    const event = { ...asked({}), detail: { data } };
    expect(typesOf(await scene.deliver(configureRepository, event))).toEqual(['RepositoryConfigRefused']);
  });

  it('by who asks under a source of its own', async () => {
    const scene = aScene();
    const event = { ...asked({ limit: 2 }), source: 'baton.request.ada' };
    const told = await scene.deliver(configureRepository, event);
    expect(told[0]?.detail.data).toMatchObject({ reason: { message: expect.stringContaining('"ada"') } });
    expect(await scene.repositories.list()).toEqual([]);
  });

  it('as of a time that is not yet: nothing could replace it until then', async () => {
    const scene = aScene();
    expect(typesOf(await scene.deliver(configureRepository, asked({ limit: 2 }, { seconds: 3_600 })))).toEqual([
      'RepositoryConfigRefused',
    ]);
  });

  it('when there are as many as there may be', async () => {
    const scene = aScene();
    for (let n = 0; n < CONFIGURATIONS_MAX; n++)
      await scene.configurations.set(`https://git.example/${n}`, {}, { id: `${n}`, at: at(0) });
    const told = await scene.deliver(configureRepository, asked({ limit: 2 }));
    expect(told[0]?.detail.data).toMatchObject({ reason: { message: expect.stringContaining('no room') } });
    expect(await scene.repositories.list()).toHaveLength(CONFIGURATIONS_MAX);
  });
});
