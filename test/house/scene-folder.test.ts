import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { eventually, lives } from '../flows/scene.ts';
import { putAway, runningIn, sceneFolder } from '../scene-folder.ts';

describe('the folder of a scene', () => {
  it('is put away although a process of its own session still writes into it', async () => {
    const folder = sceneFolder();
    const script = 'n=0; while :; do n=$((n+1)); mkdir -p a/$n; echo x > a/$n/x; done';
    const writer = spawn('/bin/sh', ['-c', script], { cwd: folder, detached: true, stdio: 'ignore' });
    await eventually(() => existsSync(join(folder, 'a/9')) || undefined, 'the first files');
    // Beside it, a command that it has started may run.
    expect(runningIn(folder)).toContainEqual(expect.stringMatching(`^${writer.pid} /bin/sh -c n=0`));
    await putAway(folder);
    expect(existsSync(folder)).toBe(false);
    expect(lives(writer.pid ?? 0)).toBe(false);
  });

  it('is removed like any other where nothing runs, and a second time without complaint', async () => {
    const folder = sceneFolder();
    await putAway(folder);
    await putAway(folder);
    expect(existsSync(folder)).toBe(false);
  });
});
