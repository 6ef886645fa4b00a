import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { unfit } from '../../../runtime/engine/local-fleet-worker.ts';
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
