import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { quarantineNotice, rejectionNotice, worldNotices } from '../../cli/world-notices.ts';
import { openLibsqlStore } from '../../runtime/engine/libsql-store.ts';
import { anEvent } from '../builders.ts';
import { BATON, type CliScene, type Ended, openCliScene, until } from './scene.ts';

let scene: CliScene;
// The command line builds itself where it is stale, which takes larger files than the limit below.
beforeEach(() => {
  scene = openCliScene();
});
afterEach(() => scene.close());

/** Largest file that the limited command may write, in blocks of 512 bytes: a few steps of a task, and the store takes no more. */
const FILE_BLOCKS = 300;

/** The command line where files cannot grow beyond the limit: to the store, a disk that fails. */
function runLimited(words: readonly string[]): Promise<Ended> {
  const limited = ['-c', `ulimit -f ${FILE_BLOCKS}; exec "$0" "$@"`, process.execPath, BATON, ...words];
  const child = spawn('/bin/sh', limited, { cwd: scene.folder, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

/** Says something five times a second for a while, which makes the store grow, and then does its work. */
const AGENT = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo $i; sleep 0.2; done; touch done';

describe('`baton run` in a world whose store fails', () => {
  it('ends with 1 and says that the task is kept; the next start on the directory brings it to its end', async () => {
    const failed = await runLimited(['run', '--repo', 'repo', '--prompt', 'do it', '--agent', AGENT]);
    expect(failed.code).toBe(1);
    const [, taskId = ''] = /^(t\w{24}) /m.exec(failed.stdout) ?? [];
    expect(failed.stderr).toMatch(/^baton: Cannot write the record store .*\n {7}Make the data directory writable/m);
    expect(failed.stderr).toContain(`baton: ${taskId} is kept in `);
    expect(existsSync(join(scene.data, 'world.json'))).toBe(false);

    scene.start(['dev', '--port', '0']);
    await until('the next world', () => existsSync(join(scene.data, 'world.json')));
    expect(await scene.run(['watch', taskId])).toMatchObject({ code: 0, stdout: expect.stringContaining('COMPLETED') });
  });
});

describe('`baton dev` whose store fails', () => {
  it('ends with 1 and what to do, and gives the directory free', async () => {
    const dev = runLimited(['dev', '--port', '0']);
    await until('the world', () => existsSync(join(scene.data, 'world.json')));
    let ended = false;
    void dev.then(() => {
      ended = true;
    });
    while (!ended) await scene.run(['submit', '--repo', 'repo', '--prompt', 'x'.repeat(9_000), '--agent', 'sleep 1']);
    const { code, stderr } = await dev;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^baton: Cannot write the record store .*\n {7}Make the data directory writable/m);
    expect(existsSync(join(scene.data, 'world.json'))).toBe(false);
    const next = scene.start(['dev', '--port', '0']);
    await next.says('ready ');
  });
});

describe('a delivery that is given up', () => {
  it('is said by `baton dev`', async () => {
    const store = await openLibsqlStore({ file: join(scene.data, 'baton.db') });
    const detail = { data: { taskId: 7 } };
    const place = { account: '', time: '', region: '', resources: [] };
    const event = {
      ...place,
      version: '0',
      id: 'x1',
      'detail-type': 'TaskCancelRequested',
      source: 'baton.request',
      detail,
    };
    await store.put('EVENT#0', { event, pending: { 'cancel-task': 1 } }, 'absent');
    await store.close();
    const dev = scene.start(['dev', '--port', '0']);
    await dev.says('ready ');
    await until('it to be said', () => dev.stderr().includes('\n'));
    expect(dev.stderr()).toMatch(
      /^baton: gave up TaskCancelRequested x1 for the rule cancel-task after 2 tries: .* \(malformed_event\); .*\n/,
    );
  });
});

describe('a request that was refused', () => {
  const heard = (type: string, data: object, more = {}): string[] => {
    const lines: string[] = [];
    const event = { ...anEvent({ type, data }), ...more };
    rejectionNotice((line) => lines.push(line))(event);
    return lines;
  };
  const reason = { code: 'bad_request', message: 'config.limit: Too\u001b[2J small' };

  it('is told in one line, whatever it asked for', () => {
    expect(heard('RepositoryConfigRefused', { name: '/srv/app', reason })).toEqual([
      'baton: refused the request to configure "/srv/app": config.limit: Too small (bad_request)',
    ]);
    expect(heard('TaskRejected', { taskId: 't1', userId: 'ada', reason })).toHaveLength(1);
  });

  it('is not told again when it is replayed, nor when somebody else says so', () => {
    const data = { name: '/srv/app', reason };
    expect(heard('RepositoryConfigRefused', data, { 'replay-name': 'r' })).toEqual([]);
    expect(heard('RepositoryConfigRefused', data, { source: 'elsewhere' })).toEqual([]);
    expect(heard('TaskCompleted', data)).toEqual([]);
  });
});

describe('a worker that is taken out of its fleet', () => {
  const heard = (more = {}): string[] => {
    const lines: string[] = [];
    const data = {
      ...{ fleet: 'main', worker: 'i-0123456789abcdef0' },
      reason: { code: 'boot_failed', message: 'no\u001b[2J image' },
    };
    quarantineNotice((line) => lines.push(line))({ ...anEvent({ type: 'WorkerQuarantined', data }), ...more });
    return lines;
  };

  it('is told in one line, and not again when that is replayed, nor when somebody else says so', () => {
    expect(heard()).toEqual([
      'baton: worker i-0123456789abcdef0 of the fleet main is taken out, and replaced: no image (boot_failed)',
    ]);
    expect([...heard({ 'replay-name': 'r' }), ...heard({ source: 'elsewhere' })]).toEqual([]);
  });
});

describe('notices of a world', () => {
  const letter = {
    event: {
      version: '0',
      id: 'x1',
      'detail-type': 'T',
      source: 's',
      account: '',
      time: '',
      region: '',
      resources: [],
      detail: { data: { prompt: 'a wish' } },
    },
    rule: 'r',
    tries: 1,
    at: '2026-01-01T00:00:00.000Z',
    error: { code: 'unexpected', message: 'two\nlines' },
  } as const;

  it.each([true, false])('are one line each, and never show a prompt (as JSON: %s)', (json) => {
    const lines: string[] = [];
    const notices = worldNotices((line) => lines.push(line), { json });
    notices.onDeadLetter(letter);
    notices.warn('not looked at, tried again', new Error('no\nluck'));
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).not.toMatch(/\n|a wish/);
    if (json) {
      expect(lines.map((line) => JSON.parse(line))).toEqual([
        {
          type: 'dead-letter',
          at: letter.at,
          rule: 'r',
          tries: 1,
          event: { id: 'x1', type: 'T' },
          error: letter.error,
        },
        { type: 'warning', message: 'not looked at, tried again', error: 'no\nluck' },
      ]);
    } else expect(lines[1]).toBe('baton: not looked at, tried again: no; luck');
  });
});

describe('a notice of what was given up', () => {
  it.each([
    ['TaskAdmitted', 'baton', "the task's own alarm repairs what it can"],
    ['AlarmRang', 'baton.alarm', "the task's own alarm repairs what it can"],
    ['TaskRequested', 'baton.request', 'it is kept: `baton redrive` lists it and delivers it once more'],
    ['RepositoryConfigured', 'baton', 'it is kept: `baton redrive` lists it and delivers it once more'],
  ])('says what repairs %s', (type, source, repair) => {
    const lines: string[] = [];
    const event = { ...anEvent({ type, data: {} }), source };
    const letter = { event, rule: 'r', tries: 1, at: '2026-01-01T00:00:00.000Z', error: { code: 'c', message: 'm' } };
    worldNotices((line) => lines.push(line), { json: false }).onDeadLetter(letter);
    expect(lines[0]).toMatch(new RegExp(`; ${repair}$`));
  });
});
