import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CliScene, openCliScene, type Running, until } from './scene.ts';

/** Workers are Linux machines. */
const hasFleet = process.platform === 'linux';

let scene: CliScene;
let world: Running;
let environment: Record<string, string>;

// The endpoint of a world stands for an account: the command line knows no difference but the address.
beforeAll(async () => {
  scene = openCliScene();
  world = scene.start(['dev', '--port', '0', '--data', 'data']);
  await world.says(/http:\/\/127\.0\.0\.1:\d+/);
  environment = {
    AWS_ENDPOINT_URL: /http:\/\/127\.0\.0\.1:\d+/.exec(world.stdout())?.[0] ?? '',
    AWS_REGION: 'local',
    AWS_ACCESS_KEY_ID: 'any',
    AWS_SECRET_ACCESS_KEY: 'any',
  };
});
afterAll(async () => {
  world.kill('SIGTERM');
  await world.ended;
  await scene.close();
});

const json = async (...words: string[]) => {
  const { code, stdout, stderr } = await scene.run([...words, '--aws', '--json'], { environment });
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout);
};

const isIdle = ({ state }: { state: string }): boolean => state === 'idle';

describe('a deployment on AWS', () => {
  it('is found by doctor, which then needs nothing else of this machine than Node', async () => {
    if (hasFleet) await until('a worker to be there', async () => (await json('workers')).some(isIdle));
    const { stdout } = await scene.run(['doctor', '--aws', '--json'], { environment });
    expect(JSON.parse(stdout)).toMatchObject([
      { name: 'node', ok: true },
      { name: 'event bus', ok: true },
      { name: 'table', ok: true },
      { name: 'run document', ok: true, found: 'the document baton-run is there' },
      { name: 'fleets', ok: true, found: expect.stringMatching(/^main is the group baton-local-fleet-main, with /) },
      { name: 'workers', ok: hasFleet },
    ]);
  });

  it('takes a task, shows it, lists it and cancels it', async () => {
    const repo = pathToFileURL(scene.repo).href;
    const words = ['submit', '--repo', repo, '--prompt', 'wait', '--agent', 'sleep 300', '--key', 'one'];
    const { taskId } = await json(...words);
    expect(await json(...words)).toEqual({ taskId });
    expect(await json('show', taskId)).toMatchObject({ taskId, repository: repo });
    expect(await json('list')).toMatchObject([{ taskId }]);
    expect(await json('cancel', taskId, '--reason', 'seen enough')).toMatchObject({ taskId });
    const { code, stdout } = await scene.run(['watch', taskId, '--aws', '--json'], { environment });
    expect(code).toBe(3);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      status: 'CANCELLED',
      reason: { message: 'seen enough' },
    });
  });

  it('lists the workers of its fleets', async () => {
    const workers = hasFleet ? Array.from({ length: 2 }, () => expect.objectContaining({ fleet: 'main' })) : [];
    expect(await json('workers')).toEqual(workers);
  });

  it('says where its logs are', async () => {
    const [task] = await json('list');
    const { code, stderr } = await scene.run(['logs', task.taskId, '--aws'], { environment });
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^baton: .*\n +Read them with: aws logs tail/),
    });
  });

  it('of another stage is not this one; the stage alone means AWS', async () => {
    const { code, stdout } = await scene.run(['list', '--stage', 'other', '--json'], { environment });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const { code: looked, stdout: found } = await scene.run(['doctor', '--stage', 'other'], { environment });
    expect(looked).toBe(1);
    expect(found).toMatch(/^missing table: there is no table baton-other$/m);
  });
});
