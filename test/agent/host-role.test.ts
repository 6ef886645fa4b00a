import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { HOST_EXIT } from '../../schemas/ssm-command.ts';
import { eventually, lives } from '../runtime/engine/local-ecs-fixture.ts';
import { aCommand, agentDoes, aHost, GOES_ON, type Host, type HostOptions, onLinux, pidIn } from './host-scene.ts';
import { type MetadataStub, roleCredentials, startMetadataStub } from './metadata-stub.ts';

let metadata: MetadataStub;
const hosts: Host[] = [];
beforeEach(async () => {
  metadata = await startMetadataStub();
});
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close();
  await metadata.close();
});

/** An instance of EC2 with a role. */
function instance(options: HostOptions = {}): Host {
  const one = aHost({ metadata: metadata.url, ...options });
  hosts.push(one);
  return one;
}

/** What a runner in its container finds. */
const FOUND = 'cat "$BATON_CREDENTIALS_FILE" > "$BATON_SCRIPT.found"';
const found = (one: Host): Record<string, unknown> => JSON.parse(one.read('agent.sh.found') ?? '{}');
const expectNone = (one: Host): void => {
  for (const name of ['credentials', 'gone']) expect(existsSync(join(one.dir, name))).toBe(false);
};

onLinux('the credentials of a run on an instance', () => {
  it('are those of its role, in the words that the runner reads', async () => {
    const one = instance();
    agentDoes(one, FOUND);
    expect(await one.command(aCommand()).ended).toBe(0);
    expect(found(one)).toEqual({
      Version: 1,
      AccessKeyId: 'ASIAOFTHEROLE',
      SecretAccessKey: 'canary/secret+key',
      SessionToken: 'canary/session+token==',
      Expiration: '2099-01-01T06:00:00Z',
    });
    const role = 'GET /latest/meta-data/iam/security-credentials/';
    expect(metadata.asked).toEqual(['PUT /latest/api/token', role, `${role}${metadata.role}`]);
  });

  it('lie where nobody but root finds them who was not told their name, and cannot be written there', async () => {
    const one = instance();
    agentDoes(one, `${FOUND}; echo "$BATON_CREDENTIALS_FILE" > "$BATON_SCRIPT.path"; ${GOES_ON}`);
    const command = one.command(aCommand());
    await pidIn(one);
    const [name = ''] = one.names('host', 'credentials');
    expect(name).toMatch(/^[0-9a-f-]{36}$/);
    const folder = join(one.dir, 'credentials');
    expect(one.read('agent.sh.path')).toBe(`${join(folder, name, 'role.json')}\n`);
    // Whoever is not root may pass through, not look.
    const modes = [folder, join(folder, name), join(folder, name, 'role.json')].map((path) => statSync(path).mode);
    expect(modes.map((mode) => (mode & 0o777).toString(8))).toEqual(['711', '711', '444']);
    const [started = ''] = one.calls().filter((call) => call.startsWith('run '));
    expect(started).toContain(`--volume ${folder}:/run/baton-credentials:ro --env BATON_CREDENTIALS_FILE `);
    // The mounts of a container, and the words it was started with, are no secret: the name is in neither.
    expect(one.calls().join('\n')).not.toContain(name);
    expect(one.names('host', 'run')).toEqual([]);
    expect(command.output()).not.toMatch(new RegExp(`canary|${name}`));
    process.kill(command.pid, 'SIGTERM');
    await command.ended;
  });

  it('are renewed while it lasts, and stay when there is nothing newer to be had', async () => {
    const one = instance({ credentialsEveryS: 0.1 });
    agentDoes(one, `while :; do ${FOUND}.new && mv "$BATON_SCRIPT.found.new" "$BATON_SCRIPT.found"; sleep 0.05; done`);
    const command = one.command(aCommand());
    const has = (id: string) => eventually(() => found(one)['AccessKeyId'] === id || undefined, id);
    await has('ASIAOFTHEROLE');
    metadata.broken = true;
    const before = metadata.asked.length;
    await eventually(() => metadata.asked.length > before + 3 || undefined, 'three looks in vain');
    await has('ASIAOFTHEROLE');
    expect(one.read('host', 'guard.log')).toContain('no newer credentials');
    metadata.broken = false;
    metadata.credentials = roleCredentials({ AccessKeyId: 'ASIARENEWED', Expiration: '2099-01-01T12:00:00Z' });
    await has('ASIARENEWED');
    metadata.credentials = roleCredentials({ AccessKeyId: 'ASIABROKEN', Code: 'Failed' });
    const then = metadata.asked.length;
    await eventually(() => metadata.asked.length > then + 6 || undefined, 'two more looks');
    await has('ASIARENEWED');
    process.kill(command.pid, 'SIGTERM');
    expect(await command.ended).toBe(143);
    expectNone(one);
  });

  it('are asked for once more before the start is given up', async () => {
    const one = instance();
    agentDoes(one, FOUND);
    metadata.failing = 1;
    expect(await one.command(aCommand()).ended).toBe(0);
  });

  it.each([
    ['does not answer', () => ({ broken: true })],
    ['knows no role', () => ({ role: '' })],
    ['knows a role with a strange name', () => ({ role: 'role?of=another' })],
    ['has none of it', () => ({ credentials: roleCredentials({ Code: 'AssumeRoleUnauthorizedAccess' }) })],
    ['has half of them', () => ({ credentials: roleCredentials({ SecretAccessKey: undefined }) })],
    ['has some without an end', () => ({ credentials: roleCredentials({ Expiration: 'never' }) })],
    ['says something else', () => ({ credentials: '<html>Success</html>' })],
    ['says something hostile', () => ({ credentials: roleCredentials({ Token: '","x":"$(id)' }) })],
  ])('are what no run starts without: the metadata service %s', async (_, change) => {
    Object.assign(metadata, change());
    const one = instance();
    agentDoes(one, 'touch "$BATON_SCRIPT.ran"');
    const command = one.command(aCommand());
    expect(await command.ended).toBe(HOST_EXIT.notStarted);
    expect(command.output()).toContain('this instance has no credentials of a role');
    expect(command.output()).not.toContain('canary');
    expect(one.calls().filter((call) => call.startsWith('run '))).toEqual([]);
    expectNone(one);
  });

  it.each([
    ['ends by itself', async () => undefined],
    ['is stopped', async (pid: number) => process.kill(pid, 'SIGTERM')],
    ['has its command killed', async (pid: number) => process.kill(-pid, 'SIGKILL')],
  ])('are gone when it %s', async (how, end) => {
    const one = instance({ credentialsEveryS: 0.1 });
    agentDoes(one, how === 'ends by itself' ? FOUND : `${FOUND}; ${GOES_ON}`);
    const parameters = aCommand();
    const command = one.command(parameters);
    await eventually(() => one.read('agent.sh.found'), 'the run');
    await end(command.pid);
    await command.ended;
    // A repeated command waits for the proof.
    await one.command(parameters).ended;
    expectNone(one);
  });

  it('are gone when another command ends it, and when it cannot be started', async () => {
    const one = instance();
    agentDoes(one, GOES_ON);
    const parameters = aCommand();
    const run = one.command(parameters);
    await pidIn(one);
    expect(await one.command({ ...parameters, action: 'end', payload: '-' }).ended).toBe(0);
    await run.ended;
    expectNone(one);
    one.breakDocker('^run ');
    expect(await one.command(aCommand()).ended).toBe(HOST_EXIT.notStarted);
    expectNone(one);
  });

  it('do not come back by an answer that is late', async () => {
    const one = instance({ credentialsEveryS: 0.1 });
    agentDoes(one, `${FOUND}; until [ -e "$BATON_SCRIPT.go" ]; do sleep 0.05; done`);
    const command = one.command(aCommand());
    await eventually(() => one.read('agent.sh.found'), 'the run');
    let release: (value?: unknown) => void = () => undefined;
    metadata.held = new Promise((resolve) => {
      release = resolve;
    });
    const before = metadata.asked.length;
    await eventually(() => metadata.asked.length > before || undefined, 'a look');
    writeFileSync(join(one.folder, 'agent.sh.go'), '');
    await eventually(() => !existsSync(join(one.dir, 'credentials')) || undefined, 'the end of the run');
    release();
    expect(await command.ended).toBe(0);
    await eventually(() => metadata.asked.length >= before + 1 || undefined, 'its answer');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expectNone(one);
  });

  it('are not made where there is no role: on a machine that is no instance', async () => {
    const one = instance();
    writeFileSync(join(one.dir, 'region'), '');
    agentDoes(one, 'echo "[${BATON_CREDENTIALS_FILE-}]" > "$BATON_SCRIPT.found"');
    expect(await one.command(aCommand()).ended).toBe(0);
    expect(one.read('agent.sh.found')).toBe('[]\n');
    expect(one.calls().join('\n')).not.toMatch(/redentials/);
    expect([metadata.asked, one.awsCalls()]).toEqual([[], []]);
  });
});

onLinux('the next run on an instance', () => {
  it('finds nothing of the first: no file, no variable, no credentials, no process', async () => {
    const one = instance();
    const see =
      'env | sort > "$BATON_SCRIPT.env"; ls -AR . > "$BATON_SCRIPT.files"; ls "$(dirname "$(dirname "$BATON_CREDENTIALS_FILE")")" > "$BATON_SCRIPT.names"';
    agentDoes(
      one,
      `${see}; mkdir -m 0 shut; ln -s /etc/passwd link; echo secret-of-the-first > .hidden; (setsid sh -c '${GOES_ON}' >/dev/null 2>&1 &); until [ -s "$BATON_SCRIPT.pid" ]; do sleep 0.05; done; echo "$BATON_CREDENTIALS_FILE" > "$BATON_SCRIPT.first"`,
    );
    const first = aCommand();
    expect(await one.command(first).ended).toBe(0);
    expect(lives(await pidIn(one))).toBe(false);
    const [env = '', credentials = '', names = ''] = ['env', 'first', 'names'].map((it) => one.read(`agent.sh.${it}`));
    agentDoes(one, `${see}; test -e ${credentials.trim()} && echo still > "$BATON_SCRIPT.still"; true`);
    expect(await one.command(aCommand()).ended).toBe(0);
    expect(one.read('agent.sh.files')).toBe('.:\n');
    expect(one.read('agent.sh.env')).not.toContain(first['taskId']);
    expect(env).toContain(first['taskId']);
    expect(one.read('agent.sh.names')).toMatch(/^[0-9a-f-]{36}\n$/);
    expect(one.read('agent.sh.names')).not.toBe(names);
    expect(one.read('agent.sh.still')).toBeUndefined();
    // What stays on the host is the end of each attempt, for root alone.
    expect(one.names('host').sort()).toEqual(
      ['container.env', 'containers', 'ended', 'guard.log', 'holder', 'image', 'lock', 'region', 'run'].sort(),
    );
    expect(readFileSync(join(one.dir, 'guard.log'), 'utf8')).toBe('');
  });
});

onLinux('the tags of an instance', () => {
  const tagged = (status: string, task: string): string =>
    `ec2 create-tags --region eu-west-1 --resources i-0123456789abcdef0 --tags Key=baton:status,Value=${status} Key=baton:task-id,Value=${task}`;

  it('say whose run it has, and afterwards that it is idle', async () => {
    const one = instance();
    agentDoes(one, 'until [ -e "$BATON_SCRIPT.go" ]; do sleep 0.05; done');
    const parameters = aCommand();
    const command = one.command(parameters);
    await eventually(() => one.awsCalls().length || undefined, 'the first tag');
    expect(one.awsCalls()).toEqual([tagged('busy', parameters['taskId'] ?? '')]);
    writeFileSync(join(one.folder, 'agent.sh.go'), '');
    expect(await command.ended).toBe(0);
    expect(one.awsCalls().slice(1)).toEqual([tagged('idle', '')]);
  });

  it('say that it is idle as well when its command was killed, or another one ended its run', async () => {
    const one = instance();
    agentDoes(one, GOES_ON);
    const parameters = aCommand();
    const command = one.command(parameters);
    await pidIn(one);
    await eventually(() => one.awsCalls().length || undefined, 'the first tag');
    process.kill(-command.pid, 'SIGKILL');
    await command.ended;
    await eventually(() => one.awsCalls().length > 1 || undefined, 'the word of the guard');
    expect(one.awsCalls().at(-1)).toBe(tagged('idle', ''));
    expect(await one.command({ ...parameters, action: 'end', payload: '-' }).ended).toBe(0);
    expect(one.awsCalls().slice(2)).toEqual([tagged('idle', '')]);
  });

  it.each(['fails', 'hangs'] as const)('are no reason to fail or to wait: AWS %s, which is said', async (how) => {
    const one = instance();
    one.breakAws(how);
    agentDoes(one, 'exit 7');
    const command = one.command(aCommand());
    expect(await command.ended).toBe(7);
    for (const status of ['busy', 'idle']) {
      expect(command.output()).toContain(`baton: the tags of i-0123456789abcdef0 are not set to ${status}\n`);
    }
  });

  it('are the last that is done: whoever kills the command meanwhile changes nothing of its end', async () => {
    const one = instance();
    agentDoes(one, 'exit 7');
    const parameters = aCommand();
    const command = one.command(parameters);
    await eventually(() => one.awsCalls().length || undefined, 'the first tag');
    one.breakAws('hangs');
    await eventually(() => one.awsCalls().length > 1 || undefined, 'the last tag');
    process.kill(-command.pid, 'SIGKILL');
    await command.ended;
    expect(await one.command(parameters).ended).toBe(7);
  });

  it('stay as they are when something of the run is left', async () => {
    const one = instance({ stopTimeoutS: 1, marginS: 1 });
    agentDoes(one, GOES_ON);
    const command = one.command(aCommand());
    await pidIn(one);
    one.breakDocker('^(stop|rm) ');
    process.kill(command.pid, 'SIGTERM');
    expect(await command.ended).toBe(HOST_EXIT.unproven);
    expect(one.awsCalls().filter((call) => call.includes('idle'))).toEqual([]);
  });
});
