import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { taskSummary, taskView } from '../../schemas/task-view.ts';
import { type CliScene, lastJson, openCliScene, type Running, until } from './scene.ts';

let scene: CliScene;
let dev: Running;
let url = '';

beforeAll(async () => {
  scene = openCliScene();
  dev = scene.start(['dev', '--port', '0']);
  await dev.says(/^ready http:\/\/127\.0\.0\.1:\d+\n/);
  url = dev.stdout().trim().split(' ')[1] ?? '';
});
afterAll(async () => {
  await scene.close();
});

async function submit(agent: string, ...more: string[]): Promise<string> {
  const words = ['submit', '--repo', 'repo', '--prompt', 'do it', '--agent', agent, '--json', ...more];
  const { code, stdout, stderr } = await scene.run(words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return z.strictObject({ taskId: z.string() }).parse(JSON.parse(stdout)).taskId;
}

describe('a task in the world of `baton dev`', () => {
  it('is submitted, watched to its end, shown, listed, and its log read', async () => {
    const taskId = await submit('echo first line; sleep 1; echo second line; touch a.txt');
    const following = scene.start(['logs', '-f', taskId]);
    const watched = await scene.run(['watch', taskId]);
    expect(watched).toMatchObject({ code: 0, stderr: '' });
    for (const status of ['SUBMITTED', 'RUNNING', 'COMPLETED']) expect(watched.stdout).toContain(status);

    const shown = await scene.run(['show', taskId.slice(0, 9)]);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(new RegExp(`^${taskId}  COMPLETED after `));
    expect(shown.stdout).toContain(`pushed baton/${taskId} (1 file, +0 −0)`);
    const json = taskView.parse(JSON.parse((await scene.run(['show', taskId, '--json'])).stdout));
    expect(json).toMatchObject({ taskId, status: 'COMPLETED', settled: true, due: {} });

    const listed = z.array(taskSummary).parse(JSON.parse((await scene.run(['list', '--json'])).stdout));
    expect(listed).toMatchObject([{ taskId, status: 'COMPLETED' }]);
    expect(listed[0]).not.toHaveProperty('history');
    expect((await scene.run(['list'])).stdout).toMatch(new RegExp(`${taskId}  COMPLETED .*pushed`));

    const log = await scene.run(['logs', taskId]);
    expect(log).toMatchObject({ code: 0, stderr: '' });
    expect(log.stdout).toContain('first line\nsecond line\n');
    expect(await following.ended).toEqual(log);
  });

  it('is one task however often it is submitted with one key', async () => {
    const first = await submit('true', '--key', 'one');
    expect(await submit('true', '--key', 'one')).toBe(first);
    const other = await scene.run(['submit', '--repo', 'repo', '--prompt', 'other', '--agent', 'true', '--key', 'one']);
    expect(other).toMatchObject({ code: 0, stdout: `${first}\n` });
    expect(other.stderr).toContain('the key "one" already stands for another request');
  });

  it('is cancelled once; watching it ends with 3, and a cancel that comes too late with 1', async () => {
    const taskId = await submit('sleep 600');
    const watching = scene.start(['watch', taskId, '--json']);
    await watching.says('"to":"RUNNING"');
    const cancelled = await scene.run(['cancel', taskId.slice(0, 9), '--reason', 'not needed']);
    expect(cancelled).toMatchObject({ code: 0, stderr: '' });
    const { code, stdout } = await watching.ended;
    expect(code).toBe(3);
    expect(lastJson(stdout)).toMatchObject({ status: 'CANCELLED', reason: { code: 'cancelled' } });
    expect((await scene.run(['cancel', taskId])).code).toBe(0);
    const shown = await scene.run(['show', taskId]);
    expect(shown.stdout).toMatch(/^ {2}saved work {2}none; what is left of it: \S+\/workspace$/m);
    expect((await scene.run(['watch', taskId])).stdout).toMatch(/^ {2}saved work: none$/m);

    const done = await submit('true');
    await scene.run(['watch', done]);
    const late = await scene.run(['cancel', done]);
    expect(late.code).toBe(1);
    expect(late.stderr).toContain(`Task ${done} is COMPLETED`);
  });

  it('appears among all tasks that are watched', async () => {
    const watching = scene.start(['watch', '--endpoint', url]);
    await watching.says('Watching the world');
    const taskId = await submit('true');
    await watching.says(new RegExp(`${taskId.slice(0, 8)}.* COMPLETED`));
    watching.kill('SIGINT');
    expect((await watching.ended).code).toBe(0);
  });

  it('is run by `baton run`, which joins the world', async () => {
    const { code, stdout } = await scene.run(['run', '--repo', 'repo', '--prompt', 'do it', '--agent', 'true']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Joined the world of process ${dev.pid} at ${url}.`);
  });
});

describe('a request that is refused', () => {
  it('is told on standard error, in one line and without its prompt', async () => {
    const request = { repository: 'https://git.example/a.git', prompt: 'a secret', compute: 'moon' };
    const put = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'AWSEvents.PutEvents',
        authorization:
          'AWS4-HMAC-SHA256 Credential=any/20310501/local/events/aws4_request, SignedHeaders=host, Signature=0',
      },
      body: JSON.stringify({
        Entries: [
          {
            EventBusName: 'baton',
            Source: 'baton.request',
            DetailType: 'TaskRequested',
            Detail: JSON.stringify({ data: request }),
          },
        ],
      }),
    });
    expect(await put.json()).toMatchObject({ FailedEntryCount: 0 });
    await until('it is told', () => dev.stderr().includes('refused'));
    expect(dev.stderr()).toMatch(/^baton: refused the request for task t[0-9a-z]{24}: .+ \(\w+\)$/m);
    expect(dev.stderr()).not.toContain('secret');
  });
});

describe('what there is not', () => {
  it('is told for a task', async () => {
    for (const words of [
      ['show', 'tnothere1'],
      ['logs', 'tnothere1'],
      ['cancel', 'tnothere1'],
      ['watch', 'tnothere1'],
    ]) {
      const { code, stdout, stderr } = await scene.run(words);
      expect({ words, code, stdout }).toEqual({ words, code: 2, stdout: '' });
      expect(stderr).toMatch(/^baton: There is no task "tnothere1" here.*\n {7}\S.*baton list.*\n$/);
    }
  });

  it('is told for a world', async () => {
    const nowhere = join(scene.folder, 'nowhere');
    const { code, stderr } = await scene.run(['list', '--data', nowhere]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `baton: No world runs on ${nowhere}\n       Start one with \`baton dev\` (or \`baton run\`), or name it with --endpoint or --data.\n`,
    );
    expect(existsSync(nowhere)).toBe(false);
    const closed = await scene.run(['list', '--endpoint', 'http://127.0.0.1:60999']);
    expect(closed.code).toBe(2);
    expect(closed.stderr).toContain('No world answers at http://127.0.0.1:60999 (ECONNREFUSED)');
  });
});

describe('a second `baton dev`', () => {
  it('is refused on the same data directory, with who has it', async () => {
    const { code, stdout, stderr } = await scene.run(['dev', '--port', '0']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`is in use by process ${dev.pid} at ${url}`);
  });

  it('is refused on a port that is taken', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    const { code, stdout, stderr } = await scene.run(['dev', '--port', String(port), '--data', 'other']);
    server.close();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^baton: .*${port}.*\\n {7}.*--port.*\\n$`));
  });
});

describe('a port that HTTP clients refuse', () => {
  it('is refused at once, not when the first runner cannot reach the world', async () => {
    const { code, stdout, stderr } = await scene.run(['dev', '--port', '6000', '--data', 'blocked']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('(bad port)');
    expect(stderr).toContain('--port');
  });
});

describe('Ctrl-C to `baton dev` with a task at work and one in line', () => {
  it('leaves the agent at work, and says so', async () => {
    const other = scene.start(['dev', '--port', '0', '--data', 'busy', '--quiet']);
    await other.says('ready ');
    expect((await scene.run(['repo', 'set', 'repo', '--limit', '1', '--data', 'busy'])).code).toBe(0);
    const words = ['submit', '--repo', 'repo', '--prompt', 'do it', '--data', 'busy', '--agent', 'sleep 8'];
    const taskId = (await scene.run(words)).stdout.trim();
    const watching = scene.start(['watch', taskId, '--data', 'busy']);
    await watching.says('RUNNING');
    await scene.run(words);
    other.kill('SIGINT');
    const { code, stderr } = await other.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^baton: left 2 tasks, 1 run goes on; the next `baton run` or .* on \S+busy takes them up\.$/m,
    );
    watching.kill('SIGKILL');
  });
});

describe('SIGTERM to `baton dev`', () => {
  it('stops it cleanly', async () => {
    const other = scene.start(['dev', '--port', '0', '--data', 'another']);
    await other.says('ready ');
    const known = join(scene.folder, 'another', 'world.json');
    expect(existsSync(known)).toBe(true);
    other.kill('SIGTERM');
    expect(await other.ended).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        /^baton: Screening is off: .*\nbaton: tasks run on ecs; .*agentcore( or ec2|\nbaton: none run on ec2: .*)\n$/,
      ),
    });
    expect(existsSync(known)).toBe(false);
  });
});
