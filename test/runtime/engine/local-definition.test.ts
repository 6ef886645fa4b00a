import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { LocalEcsOptions } from '../../../runtime/engine/local-ecs.ts';
import type { LocalRun } from '../../../runtime/engine/local-ecs-run.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { putAway, sceneFolder } from '../../scene-folder.ts';
import { aDefinition, aRun, type EcsWorld, ecsWorld } from './local-ecs-fixture.ts';
import { journalStore } from './local-ecs-journal.ts';

const worlds: EcsWorld[] = [];
afterEach(async () => {
  const opened = worlds.splice(0);
  for (const world of opened) await world.close();
  for (const dataDir of new Set(opened.map((world) => world.dataDir))) await putAway(dataDir);
});

async function aWorld(options: Partial<LocalEcsOptions> = {}): Promise<EcsWorld> {
  const world = await ecsWorld({ ...options });
  worlds.push(world);
  return world;
}

/** Runs it to its end. */
async function ended(world: EcsWorld, run: LocalRun) {
  const { taskArn } = await world.start(run);
  const { detail } = await world.event(taskArn, 'STOPPED');
  return { taskArn, detail, log: world.log(taskArn) };
}

const ADA = 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:ada-AbCdEf';
const BOB = 'arn:aws:ssm:eu-west-1:000000000000:parameter/bob';
const withSecrets = (secrets: Readonly<Record<string, string>>) =>
  aDefinition({ secrets: Object.entries(secrets).map(([name, valueFrom]) => ({ name, valueFrom })) });
const write = (world: EcsWorld, text: string) =>
  writeFileSync(join(world.dataDir, 'secrets.json'), text, { mode: 0o600 });

const volume = (accessPointId?: string) => ({
  name: 'user',
  efsVolumeConfiguration: { fileSystemId: 'fs-01234567', authorizationConfig: { accessPointId, iam: 'ENABLED' } },
});
const withFiles = (accessPointId?: string) =>
  aDefinition(
    {
      environment: [{ name: 'BATON_USER_FILES', value: '/mnt/user' }],
      mountPoints: [{ sourceVolume: 'user', containerPath: '/mnt/user' }],
    },
    { volumes: [volume(accessPointId)] },
  );

describe('a run of a task definition', () => {
  it('shows what it was started from: revision, group, size and image', async () => {
    const world = await aWorld();
    const { family: _family, ...more } = aDefinition({ image: 'agent:7' }, { cpu: '4096', memory: '8192' });
    const definition = await world.registry.register({ family: 'another', ...more });
    const { detail } = await ended(world, aRun('exit 0', { definition }));
    expect(definition).toMatch(/:task-definition\/another:1$/);
    expect(detail).toMatchObject({
      taskDefinitionArn: definition,
      group: 'family:another',
      cpu: '4096',
      memory: '8192',
      containers: [{ name: 'agent', image: 'agent:7', exitCode: 0 }],
    });
    const [observed] = await world.ecs.ask({ startedBy: detail.startedBy ?? '' });
    expect(observed).toMatchObject({ handle: { taskDefinitionArn: definition } });
  });

  it('has the variables of the definition, but what the start says comes first', async () => {
    const world = await aWorld();
    const definition = await world.registry.register(
      aDefinition({
        environment: [
          { name: 'OWN', value: 'of the definition' },
          { name: 'BOTH', value: 'of the definition' },
          { name: 'BATON_NATIVE_ID', value: 'of the definition' },
        ],
      }),
    );
    const run = aRun('echo "$OWN|$BOTH|$BATON_NATIVE_ID"', { definition });
    const { log, taskArn } = await ended(world, { ...run, environment: { ...run.environment, BOTH: 'of the start' } });
    expect(log).toBe(`of the definition|of the start|${taskArn}\n`);
  });

  it('keeps them although this process was killed before it was started', async () => {
    const dataDir = sceneFolder();
    const store = journalStore(join(dataDir, 'journal'));
    let crashed = false;
    const dies = () => (crashed ? new Promise<void>(() => undefined) : store.durable());
    // It is left as it is: whoever is killed closes nothing.
    const crashing = await ecsWorld({
      dataDir,
      store: { ...store, durable: dies },
    });
    const definition = await crashing.registry.register(aDefinition({ environment: [{ name: 'OWN', value: 'kept' }] }));
    await store.durable();
    crashed = true;
    const run = aRun('echo "$OWN"', { definition });
    crashing.ecs.start(run).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(existsSync(join(dataDir, 'runs'))).toBe(false);
    const later = await aWorld({ dataDir });
    const { taskArn } = await later.start(run);
    await later.event(taskArn, 'STOPPED');
    expect(later.log(taskArn)).toBe('kept\n');
  });

  // T9
  it.each([
    ['is not there', 'arn:aws:ecs:local:000000000000:task-definition/baton-agent:9', 'TaskDefinition not found.'],
    [
      'is of elsewhere',
      'arn:aws:ecs:eu-west-1:000000000000:task-definition/baton-agent:1',
      'TaskDefinition not found.',
    ],
    ['names no revision', 'baton-agent', 'TaskDefinition not found.'],
  ])('that %s is refused, and there is no task', async (_, definition, sentence) => {
    const world = await aWorld();
    const run = aRun('exit 0', { definition });
    expect(await world.ecs.start(run)).toEqual({
      outcome: 'refused',
      reason: { code: 'start_refused', message: `ClientException: ${sentence}` },
    });
    expect(await world.ecs.ask(run)).toEqual([]);
  });

  // T6, T9
  it('that is INACTIVE is refused, unless the token has its task already; that task goes on', async () => {
    const world = await aWorld();
    const definition = await world.registry.register(aDefinition());
    const run = aRun('sleep 0.3; exit 3', { definition });
    const handle = await world.start(run);
    await world.registry.deregister(definition);
    expect(await world.ecs.start(aRun('exit 0', { definition }))).toMatchObject({
      reason: { code: 'start_refused', message: 'ClientException: TaskDefinition is inactive' },
    });
    expect(await world.ecs.start(run)).toEqual({ outcome: 'started', handle });
    const { detail } = await world.event(handle.taskArn, 'STOPPED');
    expect(detail.containers?.[0]?.exitCode).toBe(3);
    // Its handle still finds and stops it.
    expect(handle).toMatchObject({ taskDefinitionArn: definition });
    expect(await world.ecs.stop(handle, 'enough')).toBe('already_ended');
  });

  it('needs a container for the agent', async () => {
    const world = await aWorld();
    const definition = await world.registry.register(aDefinition({ name: 'sidecar' }));
    expect(await world.ecs.start(aRun('exit 0', { definition }))).toMatchObject({
      outcome: 'refused',
      reason: { message: expect.stringContaining('container named agent is not a container in the TaskDefinition') },
    });
  });

  it.each<[string, Partial<LocalRun>]>([
    ['definition', { definition: 'arn:aws:ecs:local:000000000000:task-definition/baton-agent:2' }],
    ['capacity', { capacityProvider: 'FARGATE_SPOT' }],
    ['tags', { tags: { one: 'more' } }],
    ['propagation of tags', { propagateTags: 'NONE' }],
  ])('is another with another %s, and its token has a task then', async (_, changes) => {
    const world = await aWorld();
    await world.registry.register(aDefinition());
    const run = aRun('exit 0', { tags: { a: '1', b: '2' } });
    const handle = await world.start(run);
    expect(await world.ecs.startOnce({ ...run, tags: { b: '2', a: '1' } })).toEqual({ outcome: 'started', handle });
    expect(await world.ecs.startOnce({ ...run, ...changes })).toEqual({ outcome: 'conflict', taskArn: handle.taskArn });
    expect(await world.ecs.start({ ...run, ...changes })).toEqual({ outcome: 'started', handle });
  });
});

describe('tags of a task', () => {
  it('are its own and those of its definition, in no event, and gone when it is stopped', async () => {
    const world = await aWorld();
    const run = aRun('sleep 60', { tags: { 'baton:task': 't1', team: 'own' } });
    const handle = await world.start(run);
    const alone = await world.start(aRun('exit 0', { tags: { own: 'yes' }, propagateTags: 'NONE' }));
    expect(await world.ecs.tags(handle.taskArn)).toEqual({ team: 'own', 'baton:task': 't1' });
    expect(await world.ecs.tags(alone.taskArn)).toEqual({ own: 'yes' });
    expect(await world.ecs.tags('arn:of:nobody')).toEqual({});
    await world.event(alone.taskArn, 'STOPPED');
    expect(await world.ecs.tags(alone.taskArn)).toEqual({ own: 'yes' });
    await world.event(handle.taskArn, 'RUNNING');
    await world.ecs.stop(handle, 'enough');
    expect(await world.ecs.tags(handle.taskArn)).toEqual({});
    await world.event(handle.taskArn, 'STOPPED');
    expect(JSON.stringify(world.events)).not.toContain('baton:task');
  });
});

describe('a record of a version without task definitions', () => {
  it('is still read, and its run taken up', async () => {
    const dataDir = sceneFolder();
    const before = await aWorld({ dataDir, store: memoryStore() });
    const run = aRun('exit 4');
    const handle = await before.start(run);
    // What that version wrote: no definition, capacity or tags.
    const { definition: _definition, capacityProvider: _capacity, tags: _tags, ...old } = run;
    const detail = await before.ecs.describe(handle.taskArn);
    await before.close();
    const store = journalStore(join(dataDir, 'journal'));
    const key = `ECSTASK#${handle.taskArn.split('/').at(-1)}`;
    await store.put(key, { schemaVersion: 1, run: old, detail, unpublished: [] }, 'absent');
    const world = await aWorld({ dataDir, store });
    expect((await world.event(handle.taskArn, 'STOPPED')).detail.containers?.[0]?.exitCode).toBe(4);
    expect(await world.ecs.tags(handle.taskArn)).toEqual({});
    expect(await world.ecs.start(run)).toEqual({ outcome: 'started', handle });
  });
});

describe('a secret of a definition', () => {
  it('is looked up at each start, and lies in no file, record or event but its own', async () => {
    const world = await aWorld();
    const definition = await world.registry.register(withSecrets({ NPM_TOKEN: ADA, OTHER: BOB }));
    write(world, JSON.stringify({ [ADA]: 'canary-1', [BOB]: 'canary-b' }));
    // Turned by one letter, so that what the test itself writes down has no value in it.
    const run = () => aRun('echo "$NPM_TOKEN $OTHER" | tr a-y b-z', { definition });
    expect((await ended(world, run())).log).toBe('dbobsz-1 dbobsz-c\n');
    write(world, JSON.stringify({ [ADA]: 'canary-2', [BOB]: 'canary-b' }));
    expect((await ended(world, run())).log).toBe('dbobsz-2 dbobsz-c\n');

    expect(JSON.stringify(world.events)).not.toContain('canary-');
    await world.close();
    const files = readdirSync(world.dataDir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
    const telling = files.filter((file) => readFileSync(join(file.parentPath, file.name), 'utf8').includes('canary-'));
    expect(telling.map(({ name }) => name)).toEqual(['secrets.json']);
    expect(files.length).toBeGreaterThan(5);
  });

  it.each([
    ['is not in the file', JSON.stringify({ [BOB]: 'canary' }), 'has no text for it'],
    ['is no text', JSON.stringify({ [ADA]: 7 }), 'has no text for it'],
    ['cannot be a variable', JSON.stringify({ [ADA]: 'can\0ary' }), 'has no text for it'],
    ['is in a file that is no JSON', '{"canary', 'is no JSON object'],
    ['is in a file that is no object', '["canary"]', 'is no JSON object'],
    ['has no file', undefined, 'cannot be read: ENOENT'],
  ])('that %s makes the task fail to start, as on Fargate', async (_, text, why) => {
    const world = await aWorld();
    const definition = await world.registry.register(withSecrets({ NPM_TOKEN: ADA }));
    if (text !== undefined) write(world, text);
    const { detail, log } = await ended(world, aRun('echo started', { definition }));
    expect(detail).toMatchObject({ stopCode: 'TaskFailedToStart', containers: [] });
    expect(detail.stoppedReason).toMatch(
      /^ResourceInitializationError: unable to pull secrets or registry auth: .*ResourceNotFoundException/,
    );
    expect(detail.stoppedReason).toContain(ADA);
    expect(detail.stoppedReason).toContain(why);
    expect(JSON.stringify(world.events)).not.toContain('canary');
    expect(JSON.stringify(world.events)).not.toContain(world.dataDir);
    expect(log).toBe('');
  });

  it('counts from the next start on when it is there after all', async () => {
    const world = await aWorld();
    const definition = await world.registry.register(withSecrets({ NPM_TOKEN: ADA }));
    expect((await ended(world, aRun('exit 0', { definition }))).detail.stopCode).toBe('TaskFailedToStart');
    write(world, JSON.stringify({ [ADA]: 'value' }));
    expect((await ended(world, aRun('echo $NPM_TOKEN', { definition }))).log).toBe('value\n');
  });
});

describe('files of a definition', () => {
  it('are a directory per access point, closed to others, which the next run finds again', async () => {
    const world = await aWorld();
    const ada = await world.registry.register(withFiles('fsap-0000000a'));
    const bob = await world.registry.register(withFiles('fsap-0000000b'));
    const write = await ended(
      world,
      aRun('echo of-ada > "$BATON_USER_FILES/note"; echo $BATON_USER_FILES', { definition: ada }),
    );
    const directory = join(world.dataDir, 'user-files', 'fsap-0000000a');
    expect(write.log).toBe(`${directory}\n`);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(world.dataDir, 'user-files')).mode & 0o777).toBe(0o700);
    expect((await ended(world, aRun('cat "$BATON_USER_FILES/note"', { definition: ada }))).log).toBe('of-ada\n');
    expect((await ended(world, aRun('ls "$BATON_USER_FILES"', { definition: bob }))).log).toBe('');
    expect(JSON.stringify(world.events)).not.toContain(world.dataDir);
  });

  it.each(['../../elsewhere', 'fsap-', undefined])('are not mounted for the access point %s', async (accessPoint) => {
    const world = await aWorld();
    const definition = await world.registry.register(withFiles(accessPoint));
    const { detail } = await ended(world, aRun('exit 0', { definition }));
    expect(detail).toMatchObject({
      stopCode: 'TaskFailedToStart',
      stoppedReason: expect.stringMatching(/^ResourceInitializationError: failed to invoke EFS utils commands/),
    });
    expect(existsSync(join(world.dataDir, 'user-files'))).toBe(false);
  });

  it('that cannot be made keep the task from starting, without a word of where they are', async () => {
    const world = await aWorld();
    writeFileSync(join(world.dataDir, 'user-files'), 'a file where a directory should be');
    const definition = await world.registry.register(withFiles('fsap-0000000a'));
    const { detail } = await ended(world, aRun('exit 0', { definition }));
    expect(detail.stoppedReason).toMatch(/EFS volumes: fsap-0000000a: (ENOTDIR|EEXIST)$/);
    rmSync(join(world.dataDir, 'user-files'));
    expect((await ended(world, aRun('exit 0', { definition }))).detail.stopCode).toBe('EssentialContainerExited');
  });
});
