import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { INVOCATION_MAX_BYTES, sessionIdOf } from '../../schemas/agentcore-session.ts';
import { isAlive, TASK_ID, until } from './scene.ts';
import { anInvocation, type Container, OTHER_TASK, SESSION_ID, startContainer } from './session-scene.ts';

const containers: Container[] = [];
afterEach(async () => {
  for (const container of containers.splice(0)) await container.close();
});

async function aContainer(options?: Parameters<typeof startContainer>[0]): Promise<Container> {
  const container = await startContainer(options);
  containers.push(container);
  return container;
}
const idle = (container: Container) => untilPing(container, 'Healthy');

describe('a session that is invoked', () => {
  it('acknowledges at once, works in another process, and is busy until that has ended', async () => {
    const container = await aContainer();
    expect((await container.ping()).status).toBe('Healthy');
    const answer = await container.invoke(anInvocation('echo $$ > pid; until [ -e go ]; do sleep 0.05; done'));
    expect(answer).toEqual({
      status: 200,
      body: { status: 'accepted', sessionId: SESSION_ID, taskId: TASK_ID, attempt: 1 },
    });
    expect((await container.ping()).status).toBe('HealthyBusy');
    await until('the runner is there', () => fileIn(container, 'pid') !== '');
    await container.invoke(anInvocation('touch never'));
    writeFileSync(join(container.folder, 'go'), '');
    await idle(container);
    expect(existsSync(join(container.folder, 'never'))).toBe(false);
  });

  it('answers pings while its run takes all that it can get', async () => {
    const container = await aContainer();
    await container.invoke(anInvocation('echo $$ > pid; while :; do :; done'));
    await until('the runner is there', () => fileIn(container, 'pid') !== '');
    const pings = await Promise.all(Array.from({ length: 20 }, () => container.ping()));
    expect(new Set(pings.map(({ status }) => status))).toEqual(new Set(['HealthyBusy']));
  });

  it('runs once, however often it is invoked at the same time and afterwards', async () => {
    const container = await aContainer();
    const invocation = anInvocation('echo run >> runs');
    const answers = await Promise.all(Array.from({ length: 10 }, () => container.invoke(invocation)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
    expect(answers.filter(({ body }) => body['status'] === 'accepted')).toHaveLength(1);
    await idle(container);
    expect((await container.invoke(invocation)).body).toMatchObject({ status: 'already' });
    expect((await container.ping()).status).toBe('Healthy');
    expect(fileIn(container, 'runs')).toBe('run\n');
  });

  it('works for no other task and no other attempt, and goes on with its own', async () => {
    const container = await aContainer();
    await container.invoke(anInvocation('echo $$ > pid; sleep 300'));
    const ofAnother = sessionIdOf({ stage: 'test', taskId: OTHER_TASK, attempt: 1 });
    const ofTheNext = sessionIdOf({ stage: 'test', taskId: TASK_ID, attempt: 2 });
    for (const other of [
      anInvocation('touch never', { taskId: OTHER_TASK, sessionId: ofAnother }),
      anInvocation('touch never', { attempt: 2, sessionId: ofTheNext }),
      // Named right, but for another session: as when two ids were mixed up.
      anInvocation('touch never', { taskId: OTHER_TASK }),
    ]) {
      const { status, body } = await container.invoke(other);
      expect({ status, body }).toEqual({ status: 409, body: { error: expect.stringMatching(/ session|Session /) } });
    }
    expect((await container.ping()).status).toBe('HealthyBusy');
    expect(existsSync(join(container.folder, 'never'))).toBe(false);
  });

  it('works only in the session that the service says it is', async () => {
    const container = await aContainer();
    const header = 'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id';
    expect((await container.invoke(anInvocation(), { [header]: `${SESSION_ID}0` })).status).toBe(409);
    expect((await container.invoke(anInvocation(), { [header]: SESSION_ID })).body).toMatchObject({
      status: 'accepted',
    });
  });

  it('gives its run who it is, what to claim by, and how often to beat; what the deployment set stands', async () => {
    const container = await aContainer({ environment: { BATON_TABLE: 'the-table', BATON_TASK_ID: 'stale' } });
    const invocation = anInvocation('env | grep ^BATON_ | grep -v -e PAYLOAD -e RUN_DIR -e SESSION_ | sort > given');
    const told = { ...invocation.environment, BATON_HEARTBEAT_S: '20', BATON_TABLE: 'another' };
    await container.invoke({ ...invocation, environment: told });
    await idle(container);
    expect(fileIn(container, 'given').trim().split('\n')).toEqual([
      'BATON_ATTEMPT=1',
      'BATON_CLAIM=once',
      'BATON_HEARTBEAT_S=20',
      `BATON_NATIVE_ID=${SESSION_ID}`,
      'BATON_TABLE=the-table',
      `BATON_TASK_ID=${TASK_ID}`,
    ]);
  });

  // Containers are restored from one snapshot: what they make up themselves, they may all make up alike.
  it('names its run by what the invocation says, in every container alike', async () => {
    const script = 'env | grep -e ^BATON_NATIVE -e ^BATON_TASK -e ^BATON_ATTEMPT | sort > given';
    const given = [];
    for (let n = 0; n < 2; n++) {
      const container = await aContainer();
      await container.invoke(anInvocation(script));
      await idle(container);
      given.push(fileIn(container, 'given'));
    }
    expect(given[0]).toContain(SESSION_ID);
    expect(given[1]).toBe(given[0]);
  });

  it.each(['KILL', 'SEGV'])('says in its log when its run was killed, and by which signal: %s', async (signal) => {
    const container = await aContainer();
    await container.invoke(anInvocation(`kill -${signal} $$`));
    await idle(container);
    await until('it is told', () => container.output().includes(`task ${TASK_ID} was killed by SIG${signal}\n`));
    expect(container.output()).not.toContain('has ended with');
  });

  it.each([0, 3])('says in its log with what its run has ended: %s', async (code) => {
    const container = await aContainer();
    await container.invoke(anInvocation(`exit ${code}`));
    await until('it is told', () => container.output().includes(`task ${TASK_ID} has ended with ${code}\n`));
  });

  it('says that its runner could not be started, and tries again when it is asked again', async () => {
    const container = await aContainer({ words: ['./runner'] });
    expect(await container.invoke(anInvocation())).toMatchObject({
      status: 500,
      body: { error: expect.stringContaining('ENOENT') },
    });
    expect((await container.ping()).status).toBe('Healthy');
    expect((await container.invoke(anInvocation())).status).toBe(500);
  });
});

describe('a session that is told to stop', () => {
  it('passes it on to its run, and ends as that ends', async () => {
    const container = await aContainer();
    await container.invoke(
      anInvocation('trap "echo saved > saved; exit 143" TERM; touch up; while :; do sleep 0.05; done'),
    );
    await until('the run is up', () => existsSync(join(container.folder, 'up')));
    container.kill('SIGTERM');
    expect(await container.ended).toBe(143);
    expect(fileIn(container, 'saved')).toBe('saved\n');
  });

  it('waits no longer than the stop time-out for a run that does not hear', async () => {
    const container = await aContainer({ environment: { BATON_STOP_TIMEOUT_S: '0.2' } });
    await container.invoke(anInvocation('trap "" TERM; echo $$ > pid; while :; do sleep 0.05; done'));
    await until('the run is up', () => fileIn(container, 'pid') !== '');
    container.kill('SIGTERM');
    expect(await container.ended).toBe(137);
    expect(isAlive(Number(fileIn(container, 'pid')))).toBe(false);
  });

  it('ends at once when it never worked', async () => {
    const container = await aContainer();
    container.kill('SIGTERM');
    expect(await container.ended).toBe(0);
  });

  it('leaves nothing of a run behind that has ended by itself', async () => {
    const container = await aContainer();
    await container.invoke(anInvocation('sleep 300 & echo $! > pid'));
    await idle(container);
    const left = Number(fileIn(container, 'pid'));
    await until('it is gone', () => !isAlive(left));
  });
});

describe('what is no invocation', () => {
  it.each([
    ['no JSON', '{'],
    ['another schema', anInvocation('touch never', { schemaVersion: 2 as 1 })],
    ['a session id that is too short', anInvocation('touch never', { sessionId: 'short' })],
    ['a variable that is not of Baton', { ...anInvocation(), environment: { NODE_OPTIONS: '--require ./evil.js' } }],
    ['a variable that is hidden in a name', { ...anInvocation(), environment: { 'BATON_X=1 PATH': '/evil' } }],
  ])('is refused: %s', async (_, invocation) => {
    const container = await aContainer();
    expect((await container.invoke(invocation)).status).toBe(400);
    expect((await container.ping()).status).toBe('Healthy');
  });

  it('is refused when it is larger than references are', async () => {
    const container = await aContainer();
    const big = anInvocation('x'.repeat(INVOCATION_MAX_BYTES));
    expect((await container.invoke(big)).status).toBe(413);
    expect((await container.invoke(anInvocation('true'))).status).toBe(200);
  });

  it('does not show what was in it', async () => {
    const container = await aContainer();
    const { body } = await container.invoke({ ...anInvocation(), attempt: 'secret-thing' });
    expect(JSON.stringify(body)).toContain('attempt');
    expect(JSON.stringify(body) + container.output()).not.toContain('secret-thing');
  });

  it.each(['GET /invocations', 'POST /ping', 'GET /'])('is not found: %s', async (asked) => {
    const container = await aContainer();
    const [method = '', path = ''] = asked.split(' ');
    expect((await fetch(container.url(path), { method })).status).toBe(404);
  });
});

async function untilPing(container: Container, wanted: string): Promise<void> {
  for (const endsAt = Date.now() + 10_000; Date.now() < endsAt; ) {
    if ((await container.ping()).status === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`never ${wanted}`);
}

function fileIn(container: Container, name: string): string {
  const file = join(container.folder, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
