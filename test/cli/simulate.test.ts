import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { faultNames } from '../../runtime/simulated-world.ts';
import { type CliScene, lastJson, openCliScene } from './scene.ts';

let scene: CliScene;
beforeAll(() => {
  scene = openCliScene();
});
afterAll(() => scene.close());

describe('baton simulate', () => {
  it('runs the seeds that it is given, and ends with what it found', async () => {
    const words = ['simulate', '--seed', '7', '--seeds', '3', '--tasks', '2', '--faults', 'none', '--json'];
    const { code, stdout, stderr } = await scene.run(words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lastJson(stdout)).toEqual({ seeds: 3, steps: expect.any(Number), broken: 0 });
  });

  it('finds the same in two processes as in one', async () => {
    const words = ['simulate', '--seed', '7', '--seeds', '4', '--tasks', '2', '--json'];
    const one = await scene.run([...words, '--jobs', '1']);
    const two = await scene.run([...words, '--jobs', '2']);
    expect(lastJson(two.stdout)).toEqual(lastJson(one.stdout));
    expect(two).toMatchObject({ code: one.code, stderr: '' });
  });

  it('lists the faults that it knows', async () => {
    const { code, stdout } = await scene.run(['simulate', '--faults', 'list']);
    expect(code).toBe(0);
    for (const name of faultNames) expect(stdout).toMatch(new RegExp(`^${name}  `, 'm'));
  });

  it.each([
    [['--faults', 'duplicat'], 'no fault is named "duplicat"'],
    [['--seeds', '0'], 'Give a whole number from 1'],
    [['--tasks', 'many'], 'Give a whole number from 1'],
    [['--jobs', '0'], 'Give a whole number from 1'],
  ])('refuses %j', async (words, says) => {
    const { code, stdout, stderr } = await scene.run(['simulate', ...words]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(says);
  });
});
