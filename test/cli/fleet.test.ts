import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type WorldClient, worldClient } from '../../cli/world-client.ts';
import { explanation } from '../../schemas/explanation.ts';
import { taskView } from '../../schemas/task-view.ts';
import { onLinux } from '../agent/host-scene.ts';
import { type CliScene, lastJson, openCliScene, until } from './scene.ts';

let scene: CliScene;
/** Looks again and again without a process each time. */
let client: WorldClient;
beforeAll(() => {
  scene = openCliScene();
});
afterAll(() => scene.close());

const TASK = ['--repo', 'repo', '--prompt', 'do it'];
const ON_FLEET = [...TASK, '--compute', 'ec2'];
const WORKER = 'i-[0-9a-f]{17}';

async function said(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await scene.run(words);
  expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: '' });
  return stdout;
}

const submitted = async (agent: string): Promise<string> =>
  (JSON.parse(await said('submit', ...ON_FLEET, '--agent', agent, '--json')) as { taskId: string }).taskId;
const states = async (): Promise<string[]> => (await client.workers()).map(({ state }) => state);
const works = (wanted: string) => async () => (await states()).join() === `${wanted},${wanted}`;

onLinux('a world with a fleet', () => {
  beforeAll(async () => {
    await scene.start(['dev', '--port', '0']).says('ready ');
    client = worldClient(JSON.parse(readFileSync(join(scene.data, 'world.json'), 'utf8')).url);
  });

  it('has a task that asks for it followed, shown, listed, explained and read like every other', async () => {
    const followed = await said('run', ...ON_FLEET, '--agent', 'echo working; touch a.txt');
    expect(followed).toMatch(/STARTING +The run was handed to its back end/m);
    expect(followed).toMatch(/^ +│ working$/m);
    const taskId = /^(t[0-9a-z]{24}) /m.exec(followed)?.[1] ?? '';
    const shown = await said('show', taskId);
    expect(shown).toMatch(/^ {2}attempt +1 of 3, on ec2$/m);
    expect(shown).toMatch(new RegExp(`^  run +worker ${WORKER}, ended \\(proven\\)$`, 'm'));
    const [, log = ''] = /^ {2}log +(.+)$/m.exec(shown) ?? [];
    expect(readFileSync(log, 'utf8')).toMatch(/^working$/m);
    expect(await said('list')).toMatch(new RegExp(`^${taskId}  COMPLETED .* ec2 +/.*repo +pushed`, 'm'));
    const told = await said('explain', taskId);
    expect(told).toMatch(/^ {2}compute +ec2 \(a worker of the fleet main\)$/m);
    expect(told).toMatch(new RegExp(`^  claimed +.* by worker ${WORKER}$`, 'm'));
    expect(explanation.parse(JSON.parse(await said('explain', taskId, '--json')))).toMatchObject({
      compute: 'ec2',
      unlinked: [],
    });
    expect(await said('logs', taskId)).toMatch(/^working$/m);
    for (const text of [followed, shown, told]) expect(text).not.toMatch(/\bECS\b|Fargate|AgentCore/i);
  });

  it('tells what its workers do, and what a task waits for when none is idle', async () => {
    await until('two to be idle', works('idle'));
    const tasks = [await submitted('sleep 300'), await submitted('sleep 300'), await submitted('true')];
    const [one = '', two = '', third = ''] = tasks;
    await until('both to work', works('dispatched'));
    const table = await said('workers');
    expect(table).toMatch(/^WORKER +FLEET +STATE +FOR +TASK$/m);
    for (const task of [one, two])
      expect(table).toMatch(new RegExp(`^${WORKER}  main +works +\\S+ s +${task}, attempt 1$`, 'm'));
    const shown = await said('show', third);
    expect(shown).toMatch(/^ {2}waits for +a worker of the fleet main \(it has 2\): number 1 of 1 in line/m);
    expect(await said('list')).toMatch(
      new RegExp(`^${third} .* number 1 of 1 in line for a worker of the fleet main$`, 'm'),
    );
    await said('cancel', one);
    await said('cancel', two);
    await until('the third to run', async () => (await client.task(third)).status === 'COMPLETED');
    await until('both to be idle again', works('idle'));
    expect(JSON.parse(await said('workers', '--json'))).toMatchObject([{ state: 'idle' }, { fleet: 'main' }]);
  });

  it('has the tasks of a repository run there that is configured so, and refuses a fleet that it has not', async () => {
    expect(await said('repo', 'set', 'repo', '--compute', 'ec2', '--fleet', 'main')).toMatch(/fleet +main/);
    const task = taskView.parse(lastJson(await said('run', ...TASK, '--agent', 'true', '--json')));
    expect(task).toMatchObject({ status: 'COMPLETED', compute: 'ec2', configuration: scene.repo });
    const { code, stderr } = await scene.run(['repo', 'set', 'repo', '--fleet', 'large']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/has no fleet "large".*it has main/) });
    const refused = await scene.run(['submit', ...TASK, '--agent', 'true']);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('has no fleet "large"') });
  });
});

describe('a machine that can have no workers', () => {
  it('is told so before anything starts', async () => {
    const environment = { PATH: join(scene.folder, 'nothing') };
    const words = ['run', ...ON_FLEET, '--agent', 'true', '--data', 'none'];
    const { code, stderr } = await scene.run(words, { environment });
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/--compute: nothing runs on ec2 here: the workers of a fleet need /),
    });
  });
});
