import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { identityOfChild, killAll } from '../../../agent/supervisor-processes.ts';
import {
  type LocalAgentcoreOptions,
  SessionFault,
  type SessionName,
  type SessionRecord,
  sessionKey,
} from '../../../runtime/engine/local-agentcore-session.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { type ProcessIdentity, runMarker } from '../../../schemas/supervised-run.ts';
import { type AgentcoreWorld, agentcoreWorld, aSession, SHELL, servedBy } from './local-agentcore-fixture.ts';
import { eventually, lives } from './local-ecs-fixture.ts';

const worlds: AgentcoreWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function aWorld(options: Partial<LocalAgentcoreOptions> = {}): Promise<AgentcoreWorld> {
  const world = await agentcoreWorld(options);
  worlds.push(world);
  return world;
}

async function reopened(world: AgentcoreWorld, options: Partial<LocalAgentcoreOptions> = {}): Promise<AgentcoreWorld> {
  const next = await world.reopen(options);
  worlds.push(next);
  return next;
}

/** Goes on until it is killed, and says who it is. */
const GOES_ON = 'echo $$ > pid; while :; do sleep 0.05; done';
const pidOf = (world: AgentcoreWorld, name: ReturnType<typeof aSession>, nth = 1): Promise<number> =>
  eventually(() => Number(world.file(name, 'pid', nth)) || undefined, 'the run');
const refusal = (kind: SessionFault['kind']) => expect.objectContaining({ name: 'SessionFault', kind });

describe('a session that is invoked', () => {
  it('is a container of its own, which gets the payload and answers', async () => {
    const world = await aWorld();
    const name = aSession();
    expect(await world.invoke(name, 'echo "$BATON_NATIVE_ID" > who')).toMatchObject({
      status: 'accepted',
      sessionId: name.sessionId,
    });
    expect(await eventually(() => world.file(name, 'who'), 'the run')).toBe(`${name.sessionId}\n`);
    expect(world.containers()).toEqual([name.sessionId]);
  });

  it('is one container, however often it is invoked at once', async () => {
    const world = await aWorld();
    const name = aSession();
    const told = await Promise.all(Array.from({ length: 10 }, () => world.invoke(name, 'echo run >> runs')));
    expect(told.filter(({ status }) => status === 'accepted')).toHaveLength(1);
    await eventually(() => world.file(name, 'runs'), 'the run');
    expect(world.file(name, 'runs')).toBe('run\n');
    expect(world.containers()).toHaveLength(1);
  });

  it('is another at another endpoint of the runtime', async () => {
    const world = await aWorld({ dirNameOf: ({ sessionId, qualifier }) => `${sessionId}-${qualifier}` });
    const name = await world.begin(GOES_ON);
    const other = { ...name, qualifier: 'canary' };
    await expect(world.agentcore.stop(other)).rejects.toEqual(refusal('not_found'));
    expect(await world.invoke(other, GOES_ON)).toMatchObject({ status: 'accepted' });
    expect(world.containers()).toHaveLength(2);
  });

  it('passes on that its container refuses', async () => {
    const world = await aWorld();
    const name = await world.begin(GOES_ON);
    const strange = Buffer.from('{"schemaVersion":1}');
    await expect(world.agentcore.invoke(name, strange, 'application/json')).rejects.toEqual(
      expect.objectContaining({ kind: 'container', message: expect.stringContaining('(400)') }),
    );
  });

  it.each([
    ['ends before it is healthy', ['/bin/false'], {}],
    ['does not exist', ['/nowhere/server'], {}],
    ['is not healthy in time', ['/bin/sleep', '300'], { provisionMs: 100 }],
  ])('is refused when its container %s, and is gone', async (_, serverCommand, limits) => {
    const world = await aWorld({ serverCommand, limits });
    const name = aSession();
    await expect(world.invoke(name, 'true')).rejects.toEqual(refusal('container'));
    await world.ended(name);
    await expect(world.agentcore.stop(name)).rejects.toEqual(refusal('not_found'));
  });

  it('is on disk before its container is started', async () => {
    const store = memoryStore({ freezeValues: true });
    const name = aSession();
    const syncedWith: [containers: number, isStored: boolean][] = [];
    const durable = async () => {
      syncedWith.push([world.containers().length, (await store.get(sessionKey(name))) !== undefined]);
    };
    const world = await aWorld({ store: { ...store, durable } });
    await world.invoke(name, 'true');
    expect(syncedWith[0]).toEqual([0, true]);
  });

  it('has its supervisor on disk before it gets the payload', async () => {
    const store = memoryStore({ freezeValues: true });
    const name = aSession();
    const syncedWith: unknown[] = [];
    const durable = async () => {
      const record = (await store.get(sessionKey(name)))?.value as SessionRecord | undefined;
      if (world.file(name, 'runs') === undefined) syncedWith.push(record?.supervisor);
    };
    const world = await aWorld({ store: { ...store, durable } });
    await world.invoke(name, 'echo run > runs; sleep 300');
    expect(syncedWith.at(-1)).toEqual(supervisorOf(world, name));
  });

  it('is refused when there is no supervisor', async () => {
    const world = await aWorld({ supervisorCommand: ['/nowhere/supervisor'] });
    await expect(world.invoke(aSession(), 'true')).rejects.toEqual(refusal('container'));
  });
});

describe('a session that is stopped', () => {
  it('ends with all its processes, and is known to nobody then', async () => {
    const world = await aWorld();
    const name = await world.begin(`(${GOES_ON}) & sleep 300`);
    const pid = await pidOf(world, name);
    await world.agentcore.stop(name);
    expect(await world.ended(name)).toBe('stopped');
    expect(lives(pid)).toBe(false);
    await expect(world.agentcore.stop(name)).rejects.toEqual(refusal('not_found'));
  });

  it('is a conflict for everybody while it is taken down', async () => {
    const world = await aWorld({ stopTimeoutSeconds: 1 });
    const name = await world.begin(`trap "" TERM; ${GOES_ON}`);
    await pidOf(world, name);
    await world.agentcore.stop(name);
    await expect(world.agentcore.stop(name)).rejects.toEqual(refusal('conflict'));
    await expect(world.invoke(name, 'true')).rejects.toEqual(refusal('conflict'));
    expect(await world.ended(name)).toBe('stopped');
  });

  it('is a conflict while it is made', async () => {
    const serverCommand = [
      '/bin/sh',
      '-c',
      'until [ -e go ]; do sleep 0.05; done; exec "$@"',
      'late',
      ...servedBy(...SHELL),
    ];
    const world = await aWorld({ serverCommand });
    const name = aSession();
    const begun = world.invoke(name, GOES_ON);
    await eventually(() => world.containers().length > 0, 'its directory');
    await expect(world.agentcore.stop(name)).rejects.toEqual(refusal('conflict'));
    writeFileSync(join(world.dataDir, 'runs', name.sessionId, 'go'), '');
    expect(await begun).toMatchObject({ status: 'accepted' });
  });

  it('is not dead: invoked again it runs again, in a new container', async () => {
    const world = await aWorld();
    const name = await world.begin(GOES_ON);
    await pidOf(world, name);
    await world.agentcore.stop(name);
    await world.ended(name);
    expect(await world.invoke(name, GOES_ON)).toMatchObject({ status: 'accepted' });
    expect(lives(await pidOf(world, name, 2))).toBe(true);
    expect(world.containers()).toHaveLength(2);
  });

  it('ends although its supervisor hangs', async () => {
    let aheadMs = 0;
    const world = await aWorld({ clock: { now: () => new Date(Date.now() + aheadMs).toISOString() } });
    const name = await world.begin(GOES_ON);
    const pid = await pidOf(world, name);
    process.kill(supervisorOf(world, name).pid, 'SIGSTOP');
    await world.agentcore.stop(name);
    aheadMs = 11_000;
    expect(await world.ended(name)).toBe('stopped');
    expect(lives(pid)).toBe(false);
  });

  it('ends although its directory was removed', async () => {
    const world = await aWorld({ limits: { unhealthyPings: 1_000 } });
    const name = await world.begin(GOES_ON);
    const pid = await pidOf(world, name);
    removeContainers(world);
    await world.agentcore.stop(name);
    expect(await world.ended(name)).toBe('stopped');
    expect(lives(pid)).toBe(false);
  });

  it('was never there', async () => {
    const world = await aWorld();
    await expect(world.agentcore.stop(aSession())).rejects.toEqual(refusal('not_found'));
    expect(world.containers()).toEqual([]);
  });
});

describe('a session that nobody stops', () => {
  it('ends when it is idle for long; one that is busy for as long goes on', async () => {
    const world = await aWorld({ limits: { idleMs: 300 } });
    const busy = await world.begin(GOES_ON);
    const pid = await pidOf(world, busy);
    const idle = await world.begin('true');
    expect(await world.ended(idle)).toBe('idle');
    expect(lives(pid)).toBe(true);
    expect(world.ends).toHaveLength(1);
  });

  it('ends at its maximum lifetime, busy or not', async () => {
    const world = await aWorld({ limits: { maxLifetimeMs: 500 } });
    const name = await world.begin(GOES_ON);
    expect(await world.ended(name)).toBe('lifetime');
  });

  it('ends when it does not answer its pings', async () => {
    const world = await aWorld({ limits: { pingTimeoutMs: 100 } });
    const name = await world.begin('echo $PPID > server; echo $$ > pid; sleep 300');
    const pid = await pidOf(world, name);
    process.kill(Number(world.file(name, 'server')), 'SIGSTOP');
    expect(await world.ended(name)).toBe('unhealthy');
    expect(lives(pid)).toBe(false);
  });

  it('goes on when only some of its pings are not answered', async () => {
    const world = await aWorld({ serverCommand: serverOf('pings % 3 ? undefined : Date.now()') });
    const name = aSession();
    await world.agentcore.invoke(name, Buffer.from('{}'), 'application/json');
    await pingsOf(world, name, 12);
    expect(world.ends).toEqual([]);
  });

  it('is not idle when it was invoked lately, for however long its container has been quiet', async () => {
    const world = await aWorld({ serverCommand: serverOf('1') });
    const name = aSession();
    await world.agentcore.invoke(name, Buffer.from('{}'), 'application/json');
    await pingsOf(world, name, 5);
    expect(world.ends).toEqual([]);
  });

  it('can be stopped although it does not answer', async () => {
    const world = await aWorld({ limits: { pingTimeoutMs: 60_000 } });
    const name = await world.begin('echo $PPID > server; echo $$ > pid; sleep 300');
    await pidOf(world, name);
    process.kill(Number(world.file(name, 'server')), 'SIGSTOP');
    await world.agentcore.stop(name);
    expect(await world.ended(name)).toBe('stopped');
  });

  // A trap of AWS: a time of last update that moves with every ping.
  it('is never idle when it says at every ping that it has just changed', async () => {
    const world = await aWorld({
      limits: { idleMs: 10, maxLifetimeMs: 1_500 },
      serverCommand: serverOf('Date.now() + 1_000'),
    });
    const name = aSession();
    await world.agentcore.invoke(name, Buffer.from('{}'), 'application/json');
    expect(await world.ended(name)).toBe('lifetime');
  });

  it('ends without a word when its machine is taken away, or its server dies', async () => {
    const world = await aWorld({ limits: { unhealthyPings: 1_000 } });
    const [first, second] = [await world.begin(GOES_ON), await world.begin(`echo $PPID > server; ${GOES_ON}`)];
    expect(await world.agentcore.takeAway(first)).toBe(true);
    expect(await world.ended(first)).toBe('taken away');
    await pidOf(world, second);
    process.kill(Number(world.file(second, 'server')), 'SIGKILL');
    expect(await world.ended(second)).toBe('ended by itself');
    expect(lives(await pidOf(world, second))).toBe(false);
    expect(await world.agentcore.takeAway(second)).toBe(false);
  });

  it('is not gone while processes of it live that its supervisor could not kill', async () => {
    const world = await aWorld({ limits: { unhealthyPings: 1_000 } });
    const name = await world.begin(GOES_ON);
    const pid = await pidOf(world, name);
    const exit = { exitCode: null, signal: null, startedAt: null, endedAt: new Date().toISOString(), survivors: 1 };
    writeFileSync(join(world.dataDir, 'runs', name.sessionId, 'exit.json'), JSON.stringify(exit));
    process.kill(supervisorOf(world, name).pid, 'SIGKILL');
    expect(await world.ended(name)).toBe('ended by itself');
    expect(lives(pid)).toBe(false);
  });

  it('has its end told again until it is taken, and not for ever', async () => {
    let tries = 0;
    const world = await aWorld({
      onEnd: async () => {
        tries += 1;
        throw new Error('not now');
      },
    });
    const name = await world.begin(GOES_ON);
    await world.agentcore.stop(name);
    await eventually(() => tries === 5, 'five tries');
    await expect(world.agentcore.stop(name)).rejects.toEqual(refusal('not_found'));
  });
});

describe('a world that comes back', () => {
  it('finds its sessions alive, and can stop them', async () => {
    const world = await aWorld();
    const name = await world.begin(GOES_ON);
    const pid = await pidOf(world, name);
    const next = await reopened(world);
    expect(lives(pid)).toBe(true);
    expect(await next.invoke(name, 'touch never')).toMatchObject({ status: 'already' });
    await next.agentcore.stop(name);
    expect(await next.ended(name)).toBe('stopped');
    expect(lives(pid)).toBe(false);
  });

  it('finds its sessions alive although their directories were removed, and can stop them', async () => {
    const world = await aWorld({ limits: { unhealthyPings: 1_000 } });
    const name = await world.begin(GOES_ON);
    const pid = await pidOf(world, name);
    await world.agentcore.close();
    removeContainers(world);
    const next = await reopened(world);
    expect(next.containers()).toEqual([]);
    await next.agentcore.stop(name);
    expect(await next.ended(name)).toBe('stopped');
    expect(lives(pid)).toBe(false);
  });

  it('goes on with a stop that was under way', async () => {
    const world = await aWorld({ stopTimeoutSeconds: 1 });
    const name = await world.begin(`trap "" TERM; ${GOES_ON}`);
    await pidOf(world, name);
    await world.agentcore.stop(name);
    const next = await reopened(world);
    expect(await next.ended(name)).toBe('stopped');
  });

  it('goes on counting how long a session is idle', async () => {
    const world = await aWorld({ limits: { idleMs: 300 } });
    const name = await world.begin(GOES_ON);
    const pid = await pidOf(world, name);
    const next = await reopened(world);
    process.kill(pid, 'SIGKILL');
    expect(await next.ended(name)).toBe('idle');
  });

  it('knows nothing of a session that ended meanwhile', async () => {
    const world = await aWorld();
    const name = await world.begin(GOES_ON);
    await pidOf(world, name);
    await world.agentcore.close();
    await killAll({ leader: undefined, origin: identityOfChild(process.pid), places: [join(world.dataDir, 'runs')] });
    const next = await reopened(world);
    expect(next.ends).toEqual([{ sessionId: name.sessionId, why: 'ended by itself' }]);
    await expect(next.agentcore.stop(name)).rejects.toEqual(refusal('not_found'));
  });

  it('lets nobody start a container that it was about to start', async () => {
    const store = memoryStore({ freezeValues: true });
    const name = aSession();
    const world = await aWorld({ store });
    await world.agentcore.close();
    const path = join(world.dataDir, 'runs', name.sessionId);
    mkdirSync(path, { recursive: true });
    const at = new Date().toISOString();
    await store.put(
      sessionKey(name),
      { schemaVersion: 1, name, path, startedAt: at, invokedAt: at } satisfies SessionRecord,
      'absent',
    );
    const next = await reopened(world);
    expect(next.file(name, 'spawned')).toContain('abandoned');
    expect(await store.get(sessionKey(name))).toBeUndefined();
  });
});

describe('a world that is closed', () => {
  it('does not wait for a container that does not come up; the next world ends it', async () => {
    const world = await aWorld({ serverCommand: ['/bin/sleep', '300'], limits: { provisionMs: 5_000 } });
    const name = aSession();
    const begun = world.invoke(name, 'true').catch((error: unknown) => error);
    await eventually(() => world.file(name, 'spawned'), 'its supervisor');
    await world.agentcore.close();
    expect(await begun).toEqual(refusal('internal'));
    expect(await (await reopened(world)).ended(name)).toBe('unhealthy');
  });
});

describe('a fault that is asked for', () => {
  it('is the answer, and nothing is done', async () => {
    const faults = [new SessionFault('throttled', 'Rate exceeded'), new SessionFault('quota', 'Too many sessions')];
    const world = await aWorld({ failing: () => faults.shift() });
    const name = aSession();
    await expect(world.invoke(name, 'true')).rejects.toEqual(refusal('throttled'));
    await expect(world.agentcore.stop(name)).rejects.toEqual(refusal('quota'));
    expect(world.containers()).toEqual([]);
  });
});

function supervisorOf(world: AgentcoreWorld, name: SessionName): ProcessIdentity {
  const { owner } = runMarker.parse(JSON.parse(world.file(name, 'spawned') ?? ''));
  if (!owner) throw new Error('no supervisor took it');
  return owner;
}

/** As a person does who tidies up; what lives in there goes on. */
function removeContainers(world: AgentcoreWorld): void {
  rmSync(join(world.dataDir, 'runs'), { recursive: true, maxRetries: 5 });
}

/** A server that is no Baton's: it is never busy, counts its `pings` and leaves those unanswered for which there is no time of last update. */
const serverOf = (lastUpdateMs: string): string[] => [
  process.execPath,
  '-e',
  `
  const { writeFileSync } = require('node:fs');
  let pings = 0;
  const server = require('node:http').createServer((request, response) => {
    if (request.method === 'POST') return response.end('{}');
    pings += 1;
    const lastUpdateMs = ${lastUpdateMs};
    if (lastUpdateMs === undefined) response.writeHead(503).end();
    else response.end(JSON.stringify({ status: 'Healthy', time_of_last_update: Math.floor(lastUpdateMs / 1000) }));
    writeFileSync('pings', String(pings));
  });
  server.listen(0, '127.0.0.1', () => writeFileSync('session.json', JSON.stringify({ port: server.address().port })));`,
];
const pingsOf = (world: AgentcoreWorld, name: SessionName, atLeast: number) =>
  eventually(() => Number(world.file(name, 'pings')) >= atLeast, `${atLeast} pings`);
