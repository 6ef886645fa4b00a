import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import type { WorldOptions } from '../../runtime/embedded-world.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import { onLinux } from '../agent/host-scene.ts';
import { written } from '../written.ts';
import { eventually, linesOf, lives, numberIn, openScene, quickTimings, type Scene } from './scene.ts';

/** The script of a host takes its time: every step of it is a process. */
const timings = { ...quickTimings, STOP_PROOF_S: 90, EXIT_GRACE_S: 30 };

const scenes: Scene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.close();
});

async function aScene(fleet: NonNullable<WorldOptions['fleet']> = {}): Promise<Scene> {
  const scene = await openScene({ timings, fleet });
  scenes.push(scene);
  return scene;
}

const onFleet = (scene: Scene, command: string): Promise<string> => scene.submit(command, { compute: 'ec2' });
const workerOf = ({ run }: TaskView): string => run?.nativeId?.split('/')[0] ?? '';
/** Does one half of its work in each attempt, and waits for ever behind the first half. */
const inHalves = (scene: Scene): string =>
  `if [ -e first.txt ]; then echo b > second.txt; else echo a > first.txt; echo half > ${join(scene.folder, 'half')}; sleep 300; fi`;
const half = (scene: Scene) => eventually(() => written(join(scene.folder, 'half')), 'half of the work');

onLinux('an agent on a worker of the fleet', () => {
  it('completes with its work on a pushed branch, and leaves its log and nothing else', async () => {
    const scene = await aScene();
    const taskId = await scene.submit('cat > hello.txt; echo "said hello"', { prompt: 'hello', compute: 'ec2' });
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({
      ...{ status: 'COMPLETED', attempt: 1, compute: 'ec2', result: { branch: `baton/${taskId}` } },
      run: { ended: { proof: 'proven' }, nativeId: expect.stringMatching(/^i-[0-9a-f]{17}\/t\w{24}\/1$/) },
    });
    expect(scene.inRemote('show', `baton/${taskId}:hello.txt`)).toBe('hello');
    expect(await scene.log(taskId)).toMatch(/^said hello$/m);
    expect(existsSync(join(dirname(await scene.world.logPath(taskId)), 'workspace'))).toBe(false);
  });

  it('waits for a worker when all are busy: five on two run two at a time, each once', async () => {
    const scene = await aScene();
    const [starts, gate] = [join(scene.folder, 'starts'), join(scene.folder, 'gate')];
    const command = `echo start >> ${starts}; while [ ! -e ${gate} ]; do sleep 0.05; done`;
    const tasks = await Promise.all(Array.from({ length: 5 }, () => onFleet(scene, command)));
    await eventually(() => (linesOf(starts).length === 2 ? true : undefined), 'two to run');
    await scene.quiet();
    expect(linesOf(starts)).toHaveLength(2);
    writeFileSync(gate, '');
    const ends = await Promise.all(tasks.map((id) => scene.settled(id)));
    expect(ends.map(({ status, attempt }) => [status, attempt])).toEqual(ends.map(() => ['COMPLETED', 1]));
    expect(linesOf(starts)).toHaveLength(5);
    expect(new Set(ends.map(workerOf)).size).toBe(2);
  });

  it('is stopped by a cancel, with time to save its work, and its end is proven', async () => {
    const scene = await aScene();
    const file = join(scene.folder, 'pid');
    const taskId = await onFleet(scene, `echo begun > begun.txt; echo $$ > ${file}; sleep 300`);
    const pid = await numberIn(file);
    await scene.world.cancel(taskId);
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'CANCELLED', savedWork: { branch: `baton/${taskId}` } });
    expect(task.run?.ended).toMatchObject({ proof: 'proven' });
    expect(lives(pid)).toBe(false);
  });

  it('completes although every event of SSM is lost', async () => {
    const scene = await aScene({ weather: ({ source }) => ({ copies: source === 'aws.ssm' ? 0 : 1 }) });
    const taskId = await onFleet(scene, 'echo x > x');
    expect(await scene.settled(taskId)).toMatchObject({
      status: 'COMPLETED',
      attempt: 1,
      run: { ended: { proof: 'proven' } },
    });
    expect(scene.events.filter(({ source }) => source === 'aws.ssm')).toEqual([]);
  });

  it('completes when every event comes twice, and late', async () => {
    const scene = await aScene({ weather: () => ({ copies: 2, delayMs: 700 }) });
    const taskId = await onFleet(scene, 'echo x > x');
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  });
});

onLinux('a worker that is taken away', () => {
  it.each(['spot', 'host'] as const)('(%s) has its task go on, on another', async (how) => {
    const scene = await aScene({ limits: { spotNoticeMs: 20_000, lossNoticedMs: 1_000 } });
    const taskId = await onFleet(scene, inHalves(scene));
    await half(scene);
    const first = await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
    expect(await scene.world.interrupt(taskId, how)).toBe(true);
    const isOnAnother = ({ attempt, run }: TaskView) => attempt === 2 && run?.nativeId !== undefined;
    const task = await scene.until(taskId, isOnAnother, 'a second try');
    expect(workerOf(task)).not.toBe(workerOf(first));
    // With a host that died its work is gone; then the agent waits again.
    if (how === 'host') await scene.world.cancel(taskId);
    const end = await scene.settled(taskId);
    expect(end.status).toBe(how === 'host' ? 'CANCELLED' : 'COMPLETED');
    if (how === 'spot') expect(scene.inRemote('show', `baton/${taskId}:second.txt`)).toBe('b');
  });
});
