import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { aView } from './a-view.ts';
import { BATON, type CliScene, openCliScene } from './scene.ts';

/** What a pipe takes at once, in bytes: what is more waits for its reader. */
const PIPE_BYTES = 65_536;

let scene: CliScene;
let world: Server;
let url: string;
let refuses: string | undefined;
beforeEach(async () => {
  scene = openCliScene();
  refuses = undefined;
  world = createServer(({ url: path }, response) => {
    const isRefused = refuses !== undefined && path === '/baton/v1/tasks';
    response.statusCode = isRefused ? 400 : 200;
    response.end(JSON.stringify(isRefused ? REFUSAL(refuses ?? '') : path === '/baton/v1/world' ? FACTS : TASKS));
  });
  await new Promise<void>((resolve) => world.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(world.address() as AddressInfo).port}`;
});
afterEach(async () => {
  world.closeAllConnections();
  world.close();
  await scene.close();
});

const FACTS = {
  version: '1.0.0',
  pid: 1,
  url: 'http://127.0.0.1:1',
  dataDir: '/',
  startedAt: '2031-05-01T12:00:00.000Z',
  unsettled: 0,
  tasks: {},
  deadLetters: 0,
};
const TASKS = Array.from({ length: 400 }, () => aView());
const REFUSAL = (message: string) => ({ error: { code: 'bad_input', message, remedy: 'Say less.' } });

/** The command line in a pipeline of the shell: how it ended, and what came out at the other end. */
async function piped(pipe: string): Promise<{ code: string; text: string }> {
  const script = `{ "$0" "$@"; echo $? >code; } ${pipe}`;
  const child = spawn('/bin/sh', ['-c', script, process.execPath, BATON, 'list', '--json', '--endpoint', url], {
    cwd: scene.folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  });
  let text = '';
  for await (const bytes of child.stdout.setEncoding('utf8')) text += bytes;
  return { code: readFileSync(join(scene.folder, 'code'), 'utf8').trim(), text };
}

describe('what is printed into a pipe', () => {
  it('is all there for a reader that comes late', async () => {
    const { code, text } = await piped('| (sleep 1; cat)');
    expect(text.length).toBeGreaterThan(PIPE_BYTES);
    expect(JSON.parse(text)).toHaveLength(TASKS.length);
    expect(code).toBe('0');
  });

  it('is all there on standard error too, where the answer is no', async () => {
    refuses = 'x'.repeat(4 * PIPE_BYTES);
    const { code, text } = await piped('2>&1 >/dev/null | (sleep 1; cat)');
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'bad_input', message: refuses } });
    expect(code).toBe('2');
  });

  it('is dropped without a word where the reader leaves', async () => {
    expect(await piped('2>&1 | head -c 10')).toEqual({ code: '0', text: JSON.stringify(TASKS).slice(0, 10) });
  });

  it('ends where the reader leaves before anything is written', async () => {
    refuses = 'no';
    const child = spawn(process.execPath, [BATON, 'list', '--endpoint', url], {
      cwd: scene.folder,
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 20_000,
    });
    child.stdout.destroy();
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(2);
  });

  it('is dropped without a crash where the reader of standard error leaves', async () => {
    refuses = 'x'.repeat(4 * PIPE_BYTES);
    expect(await piped('2>&1 >/dev/null | head -c 10')).toEqual({ code: '2', text: '{"error":{' });
  });
});
