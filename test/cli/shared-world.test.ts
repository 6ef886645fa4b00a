import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { taskView } from '../../schemas/task-view.ts';
import { type CliScene, isAlive, lastJson, openCliScene, type Running, until } from './scene.ts';

let scene: CliScene;
beforeEach(() => {
  scene = openCliScene();
});
afterEach(() => scene.close());

const run = (agent: string, ...more: string[]): Running =>
  scene.start(['run', '--repo', 'repo', '--prompt', 'do it', '--agent', agent, ...more]);

/** Starts a task whose agent says its process id, and waits until it does. */
async function atWork(name: string, then: string, ...more: string[]): Promise<{ running: Running; agent: number }> {
  const pidFile = join(scene.folder, `${name}.pid`);
  const running = run(`echo $$ > '${pidFile}'; ${then}`, ...more);
  await until(
    `${name} is at work: ${running.stdout()}`,
    () => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '',
  );
  return { running, agent: Number(readFileSync(pidFile, 'utf8')) };
}

/** Words of a shell that wait for a gate, and the gate: no test guesses how long a command takes to start. */
function aGate(name: string): { readonly wait: string; open(): void } {
  const file = join(scene.folder, `${name}.gate`);
  return { wait: `until [ -e '${file}' ]; do sleep 0.05; done`, open: () => writeFileSync(file, '') };
}

/** The task of the data directory, seen by a world that takes up what was left. */
async function followedByDev(taskId: string): Promise<{ code: number | null; view: unknown }> {
  const dev = scene.start(['dev', '--port', '0']);
  await dev.says('ready ');
  const { code, stdout } = await scene.run(['watch', taskId, '--json']);
  dev.kill('SIGTERM');
  expect((await dev.ended).code).toBe(0);
  return { code, view: lastJson(stdout) };
}

describe('Ctrl-C while a task runs', () => {
  it('cancels the task, waits for its end, and ends with 3', async () => {
    const { running, agent } = await atWork('one', 'sleep 600', '--json');
    running.kill('SIGINT');
    const { code, stdout } = await running.ended;
    expect(code).toBe(3);
    expect(lastJson(stdout)).toMatchObject({ status: 'CANCELLED', settled: true });
    expect(isAlive(agent)).toBe(false);
  });

  it('the second time leaves the task to the next start, and says so', async () => {
    const { running } = await atWork('one', 'trap "" TERM; sleep 3 & wait; sleep 2');
    running.kill('SIGINT');
    await running.says('STOPPING');
    running.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    const taskId = /left (t\w+) in STOPPING, its cancel is kept; the next/.exec(stderr)?.[1] ?? '';
    expect(await followedByDev(taskId)).toMatchObject({ code: 3, view: { status: 'CANCELLED' } });
  });
});

describe('Ctrl-C twice at once', () => {
  it('leaves the task with its cancel, and says that it is kept', async () => {
    const { running } = await atWork('one', 'trap "" TERM; sleep 3 & wait; sleep 2');
    running.kill('SIGINT');
    await running.says('Cancelling.');
    running.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    const taskId = /left (t\w+) in \w+, its cancel is kept; the next/.exec(stderr)?.[1] ?? '';
    expect(await followedByDev(taskId)).toMatchObject({ code: 3, view: { status: 'CANCELLED' } });
  });
});

describe('SIGTERM while a task runs', () => {
  it('leaves the agent at work, and the next start sees its end', async () => {
    const gate = aGate('one');
    const { running, agent } = await atWork('one', `${gate.wait}; echo x > x.txt`);
    running.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect(code).toBe(143);
    expect(isAlive(agent)).toBe(true);
    gate.open();
    const taskId = /left (t\w+) in \w+; the next/.exec(stderr)?.[1] ?? '';
    const { code: watched, view } = await followedByDev(taskId);
    expect({ watched, view }).toMatchObject({ watched: 0, view: { status: 'COMPLETED', attempt: 1 } });
  });
});

describe('two runs on one data directory', () => {
  it('share a world, which its opener hands over when its own task has ended first', async () => {
    const [mine, yours] = [aGate('first'), aGate('second')];
    const first = await atWork('first', mine.wait);
    const second = await atWork('second', `${yours.wait}; touch second.txt`);
    expect(second.running.stdout()).toContain(`Joined the world of process ${first.running.pid}`);
    mine.open();
    const opener = await first.running.ended;
    expect(opener).toMatchObject({ code: 0, stderr: '' });
    expect(opener.stdout).toContain(`Handed the world over to process ${second.running.pid}.`);
    expect(isAlive(second.agent)).toBe(true);
    yours.open();
    const heir = await second.running.ended;
    expect(heir).toMatchObject({ code: 0, stderr: '' });
    expect(heir.stdout).toContain('Took the world over');
    expect(heir.stdout).toMatch(/COMPLETED +pushed/);
  });

  it('lose nothing when the one that keeps the world is killed', async () => {
    const [orphaned, own] = [aGate('first'), aGate('second')];
    const first = await atWork('first', `${orphaned.wait}; sleep 2; touch first.txt`);
    const second = await atWork('second', `${own.wait}; touch second.txt`, '--json');
    first.running.kill('SIGKILL');
    own.open();
    orphaned.open();
    const { code, stdout } = await second.running.ended;
    expect(code).toBe(0);
    expect(taskView.parse(lastJson(stdout))).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    // The heir keeps the world until the orphaned task has ended, too.
    const branches = scene.git('for-each-ref', '--format=%(refname)', 'refs/heads/baton').split('\n');
    expect(branches).toHaveLength(2);
  });
});

describe('a run whose world got another task meanwhile', () => {
  it('keeps the world until that one is settled', async () => {
    const [own, other] = [aGate('own'), aGate('other')];
    const { running } = await atWork('own', own.wait);
    const agent = `${other.wait}; touch other.txt`;
    const words = ['submit', '--repo', 'repo', '--prompt', 'more', '--agent', agent, '--json'];
    const { taskId } = lastJson((await scene.run(words)).stdout) as { taskId: string };
    own.open();
    await running.says('Keeping the world for 1 more task');
    other.open();
    expect(await running.ended).toMatchObject({ code: 0 });
    expect(scene.git('for-each-ref', '--format=%(refname)', 'refs/heads/baton')).toContain(taskId);
  });
});
