import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

describe('the machine that tests see', () => {
  it("has no git identity and none of the developer's git settings, in started processes too", () => {
    const folder = mkdtempSync(join(tmpdir(), 'baton-neutral-'));
    spawnSync('git', ['init', '--quiet'], { cwd: folder });
    const commit = spawnSync('git', ['commit', '--allow-empty', '--message', 'x'], { cwd: folder, encoding: 'utf8' });
    const settings = spawnSync('git', ['config', '--list', '--show-origin'], { cwd: folder, encoding: 'utf8' });
    rmSync(folder, { recursive: true });

    expect(commit.status).not.toBe(0);
    const origins = settings.stdout
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[0]);
    expect(
      origins.filter((origin) => !origin?.endsWith('test/house/gitconfig') && origin !== 'file:.git/config'),
    ).toEqual([]);
  });

  it('has no variables for Baton or the AWS SDK', () => {
    expect(
      Object.keys(process.env).filter((name) =>
        /^(BATON_(?!TEST_)|AWS_(?!SDK_JS_NODE_VERSION_SUPPORT_WARNING))/.test(name),
      ),
    ).toEqual([]);
  });
});
