import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { programOn } from '../../cli/main.ts';
import { openTerminal } from '../../cli/terminal.ts';
import { taskCompleted } from '../../events/task-completed.ts';
import { anEvent } from '../builders.ts';
import { type CliScene, lastJson, openCliScene, type Running } from './scene.ts';

let scene: CliScene;
let world: Running;
let environment: Record<string, string>;

beforeAll(async () => {
  scene = openCliScene();
  world = scene.start(['dev', '--port', '0', '--data', 'data']);
  await world.says(/ready http:\/\/127\.0\.0\.1:\d+/);
  // The endpoint of a world stands for an account.
  environment = {
    AWS_ENDPOINT_URL: /http:\/\/127\.0\.0\.1:\d+/.exec(world.stdout())?.[0] ?? '',
    AWS_REGION: 'local',
    AWS_ACCESS_KEY_ID: 'any',
    AWS_SECRET_ACCESS_KEY: 'any',
  };
  const { taskId } = await json('submit', '--repo', scene.repo, '--prompt', 'a note', '--agent', 'cat > note.txt');
  await scene.run(['watch', taskId, '--data', 'data']);
});
afterAll(async () => {
  world.kill('SIGTERM');
  await world.ended;
  await scene.close();
});

const run = (...words: string[]) => scene.run([...words, '--data', 'data']);
async function json(...words: string[]) {
  const { code, stdout, stderr } = await run(...words, '--json');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return lastJson(stdout) as { taskId: string };
}

describe('baton replay', () => {
  it('delivers what was published once more, waits for the end, and changes no task', async () => {
    const before = await json('list');
    const told = await json('replay', '--from', '1h ago', '--name', 'everything');
    expect(told).toMatchObject({
      name: 'everything',
      state: 'COMPLETED',
      events: expect.any(Number),
      startedAt: expect.any(String),
      endedAt: expect.any(String),
    });
    expect((told as unknown as { events: number }).events).toBeGreaterThan(8);
    const [task] = (await json('list')) as unknown as object[];
    const [known] = before as unknown as object[];
    // What came again is counted beside the task, and that is all.
    expect({ ...task, duplicates: 0, ignored: [] }).toEqual({ ...known, duplicates: 0, ignored: [] });
  });

  it('delivers to the rules that are named, and tells of one that will not listen', async () => {
    const { code, stdout, stderr } = await run(
      'replay',
      '--from',
      '1h ago',
      '--rule',
      'settle-task',
      'start-run-on-ecs',
    );
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^replay-\d+ COMPLETED: \d+ events from \S+ to \S+ in \S+ s\n$/),
    });
    expect(stderr).toMatch(/^baton: start-run-on-ecs reaches outside, so it ignores what is replayed\n$/);
  });

  it('says how many deliveries failed, ends with 1, and makes no dead letter of them', async () => {
    const time = new Date(Date.now() - 150 * 60_000).toISOString();
    const [day = '', clock = ''] = time.split('T');
    mkdirSync(join(scene.folder, 'data', 'archive', day), { recursive: true });
    // As an older version may have said it: the rules of this one do not understand it.
    const strange = { ...anEvent(taskCompleted.of({} as never)), time, detail: { metadata: {}, data: 'strange' } };
    const file = join(scene.folder, 'data', 'archive', day, `${clock.slice(0, 5).replace(':', '-')}.ndjson`);
    writeFileSync(file, `${JSON.stringify(strange)}\n`);
    for (const name of ['strange-1', 'strange-2']) {
      const { code, stdout } = await run('replay', '--from', '3h ago', '--to', '2h ago', '--name', name);
      expect(stdout).toMatch(
        /COMPLETED: 1 events .*\n {2}\d+ deliver(y|ies) failed; .*\n {2}The last delivery .* to the rule "/,
      );
      expect(code).toBe(1);
    }
    expect(await json('redrive')).toEqual([]);
  });

  it('does the same on AWS, by both archives of the deployment', async () => {
    const words = ['replay', '--aws', '--from', '1h ago', '--name', 'from-aws', '--json'];
    const { code, stdout, stderr } = await scene.run(words, { environment });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lastJson(stdout)).toMatchObject({
      name: 'from-aws',
      state: 'COMPLETED',
      lastReplayedAt: expect.any(String),
    });
    const replays = (await (await fetch(`${environment['AWS_ENDPOINT_URL']}/baton/v1/replays`)).json()) as {
      name: string;
      state: string;
      events: number;
    }[];
    const ours = replays.filter(({ name }) => name.startsWith('from-aws'));
    expect(ours.map(({ name, state }) => [name, state]).sort()).toEqual([
      ['from-aws', 'COMPLETED'],
      ['from-aws-native', 'COMPLETED'],
    ]);
    expect(ours.every(({ events }) => events > 2)).toBe(true);
  });

  it('to one rule on AWS uses the archive that the rule hears, and no other', async () => {
    const words = ['replay', '--aws', '--from', '1h ago', '--name', 'one-rule', '--rule', 'settle-task', '--json'];
    const { code } = await scene.run(words, { environment });
    expect(code).toBe(0);
    const other = await fetch(`${environment['AWS_ENDPOINT_URL']}/baton/v1/replays/one-rule-native`);
    expect(other.status).toBe(404);
    const one = await fetch(`${environment['AWS_ENDPOINT_URL']}/baton/v1/replays/one-rule`);
    expect(await one.json()).toMatchObject({ rules: ['settle-task'] });
  });

  it('refuses a name that was used, here and on AWS', async () => {
    const words = ['replay', '--from', '1h ago', '--name', 'everything'];
    for (const refused of [await run(...words), await scene.run([...words, '--aws'], { environment })]) {
      expect(refused).toMatchObject({ code: 2, stdout: '' });
      expect(refused.stderr).toMatch(/There was a replay "everything" before/);
    }
  });
});

describe('baton replay, before it looks for a world,', () => {
  const terminal = openTerminal({ out: { write: () => true }, err: { write: () => true }, environment: {} });

  it.each<[string, readonly string[], RegExp]>([
    ['nothing about the beginning', [], /required option '--from <time>' not specified/],
    ['a time that is none', ['--from', 'yesterday'], /--from: "yesterday" is no time/],
    ['an end before the beginning', ['--from', '1h ago', '--to', '2h ago'], /is not before/],
    ['a rule that does not exist', ['--from', '1h ago', '--rule', 'settle'], /there is no rule settle/],
    ['a name that cannot be', ['--from', '1h ago', '--name', 'my replay'], /--name: "my replay"/],
  ])('refuses %s', async (_what, words, message) => {
    const program = programOn(terminal, { json: true });
    await expect(program.parseAsync(['replay', ...words], { from: 'user' })).rejects.toThrow(message);
  });
});
