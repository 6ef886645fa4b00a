import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CliScene, lastJson, openCliScene } from './scene.ts';

let scene: CliScene;

beforeAll(async () => {
  scene = openCliScene();
  const { code } = await scene.run(['run', '--repo', scene.repo, '--prompt', 'a note', '--agent', 'cat > note.txt']);
  expect(code).toBe(0);
});
afterAll(() => scene.close());

describe('baton rebuild, after a task has run,', () => {
  it('finds that record and facts agree, and writes what the facts say into an empty directory', async () => {
    const { code, stdout, stderr } = await scene.run(['rebuild', '--into', 'shadow']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^\d+ facts of 1 tasks: 1 the same, 0 further by steps that say nothing, 0 different\n$/);
    expect(readdirSync(join(scene.folder, 'shadow'))).toContain('baton.db');
    const again = await scene.run(['rebuild', '--into', 'shadow2', '--json']);
    expect(lastJson(again.stdout)).toMatchObject({ tasks: 1, same: 1, different: 0, differences: [] });
  });

  it('refuses a directory that holds something', async () => {
    const { code, stderr } = await scene.run(['rebuild', '--into', 'shadow']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/shadow is not empty/);
  });

  it('refuses a directory without a world, and makes nothing then', async () => {
    const { code, stderr } = await scene.run(['rebuild', '--data', 'nowhere', '--into', 'shadow3']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/nowhere holds no world/);
    expect(['nowhere', 'shadow3'].map((name) => existsSync(join(scene.folder, name)))).toEqual([false, false]);
  });

  it('says why it cannot do so on AWS', async () => {
    const { code, stderr } = await scene.run(['rebuild', '--aws', '--into', 'shadow3']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/EventBridge gives the events of an archive to rules only/);
  });
});
