import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { dockerScript, unfit } from '../../../runtime/engine/local-fleet-worker.ts';
import { putAway, sceneFolder } from '../../scene-folder.ts';

let folder: string;
beforeEach(() => {
  folder = sceneFolder();
});
afterEach(() => putAway(folder));

const withPrograms = (...names: string[]): string => {
  for (const name of names) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, name), '');
  }
  return names.map((name) => join(folder, name)).join(':');
};

describe('a machine that shall have workers', () => {
  it('can, with Linux, bash, flock and setsid, wherever on its path these are', () => {
    const path = withPrograms('bash', 'flock', 'setsid');
    expect(unfit({ path, platform: 'linux' })).toBeUndefined();
    expect(unfit({ path, platform: 'darwin' })).toBe('the workers of a fleet need Linux');
  });

  it('is told what is missing', () => {
    const path = withPrograms('bash', 'setsid');
    expect(unfit({ path, platform: 'linux' })).toMatch(
      /need bash, and flock and setsid of util-linux; there is no flock here$/,
    );
    expect(unfit({ path: '', platform: 'linux' })).toMatch(/no bash and no flock and no setsid here$/);
  });
});

describe('what stands for docker on a worker', () => {
  const docker = (...words: string[]) => {
    const script = dockerScript(['/bin/echo', "the program's"]);
    const env = { BATON_HOST_DIR: folder };
    const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', script, 'docker', ...words], {
      env,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  const answered = (stdout: string) => ({ status: 0, stdout, stderr: '' });

  it('answers for a host without containers, and leaves every other question to the program', () => {
    for (const words of ['ps --all --quiet --filter label=a', 'container prune --force'].map((line) =>
      line.split(' '),
    )) {
      expect(docker(...words)).toEqual(answered(''));
      mkdirSync(join(folder, 'containers'));
      expect(docker(...words)).toEqual(answered(''));
      writeFileSync(join(folder, 'containers', 'one.json'), '');
      expect(docker(...words)).toEqual(answered(`the program's ${words.join(' ')}\n`));
      rmSync(join(folder, 'containers'), { recursive: true });
    }
    expect(docker('stop', 'one two')).toEqual(answered("the program's stop one two\n"));
  });
});
