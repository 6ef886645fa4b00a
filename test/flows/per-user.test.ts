import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RepositoryConfig } from '../../schemas/repository-config.ts';
import { configure } from './configure.ts';
import { onEveryWorld } from './every-world.ts';
import { eventually, type FlowScene } from './scene.ts';

const arnOf = (name: string): string => `arn:aws:secretsmanager:us-east-1:000000000000:secret:${name}-AbCdEf`;
/** What Secrets Manager holds. */
const VALUES = { ada: 'canary-of-ada-4711', bob: 'canary-of-bob-0815' };

/** Each with files of their own, and a secret under the same name. */
const termsOf = (name: 'ada' | 'bob', accessPoint: string) => ({
  fileSystem: { id: 'fs-0123abcd', accessPoint },
  secrets: { NPM_TOKEN: arnOf(name) },
});
const ADA = termsOf('ada', 'fsap-aaaaaaaa');
const BOB = termsOf('bob', 'fsap-bbbbbbbb');
const isolated = (users: RepositoryConfig['users'], more: RepositoryConfig = {}): RepositoryConfig => ({
  isolation: 'per-user',
  users,
  ...more,
});

/** Says its secret aloud, leaves a sign of it in its work, and a line in the user's files. */
const AGENT = [
  'echo "my token is $NPM_TOKEN"',
  'printf %s "$NPM_TOKEN" | git hash-object --stdin > sign.txt',
  'pwd >> "$BATON_USER_FILES/notes"',
  'wc -l < "$BATON_USER_FILES/notes" | tr -d " " > lines.txt',
].join('; ');
const signOf = (value: string): string =>
  execFileSync('git', ['hash-object', '--stdin'], { input: value, encoding: 'utf8' }).trim();

function holds(scene: FlowScene, values: Readonly<Record<string, string>>): void {
  writeFileSync(join(scene.folder, 'data', 'secrets.json'), JSON.stringify(values), { mode: 0o600 });
}
const submitFor = (scene: FlowScene, userId: string, agent = AGENT): Promise<string> => scene.submit(agent, { userId });
const seenBy = (scene: FlowScene, taskId: string) => ({
  sign: scene.inRemote('show', `baton/${taskId}:sign.txt`),
  lines: scene.inRemote('show', `baton/${taskId}:lines.txt`),
});

/** Every file below the folder that has the text in it. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile() && readFileSync(file).includes(text));
}

// Each story says what the repository and its users are before it asks for anything, so all share a world; only the one about a shared
// repository has one of its own, started in another environment.
onEveryWorld((openAnyScene, { itEmbedded }) => {
  let scene: FlowScene;
  beforeAll(async () => {
    scene = await openAnyScene();
  });
  afterAll(() => scene.close());

  describe('users who are isolated in one repository', () => {
    it('each see their own secrets and files, and these files again in their next task', async () => {
      holds(scene, { [arnOf('ada')]: VALUES.ada, [arnOf('bob')]: VALUES.bob });
      await configure(scene, isolated({ ada: ADA, bob: BOB }));
      const [first, other] = [await submitFor(scene, 'ada'), await submitFor(scene, 'bob')];
      for (const taskId of [first, other]) expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED' });
      const second = await submitFor(scene, 'ada');
      expect(await scene.settled(second)).toMatchObject({ status: 'COMPLETED' });
      expect(seenBy(scene, first)).toEqual({ sign: signOf(VALUES.ada), lines: '1' });
      expect(seenBy(scene, other)).toEqual({ sign: signOf(VALUES.bob), lines: '1' });
      expect(seenBy(scene, second)).toEqual({ sign: signOf(VALUES.ada), lines: '2' });

      // What the agent said stands masked in its log, and nowhere else at all.
      expect(await scene.log(first)).toContain('my token is ***');
      expect(scene.deadLetters).toEqual([]);
      const told = JSON.stringify([scene.events, scene.world.logged(), await scene.world.view(first)]);
      expect(told).not.toContain('canary');
      const kept = filesWith(join(scene.folder, 'data'), 'canary-of');
      expect(kept).toEqual([join(scene.folder, 'data', 'secrets.json')]);
    });

    itEmbedded(
      'leave the tasks of a shared repository without any of it, whatever the world was started with',
      async () => {
        const started = {
          BATON_USER_FILES: '/mnt/user',
          BATON_USER_SECRETS: 'NPM_TOKEN',
          NPM_TOKEN: 'of-the-operator',
        };
        Object.assign(process.env, started);
        const own = await openAnyScene();
        try {
          holds(own, { [arnOf('ada')]: VALUES.ada });
          const taskId = await submitFor(own, 'ada', 'env | grep -c -e ^NPM_TOKEN= -e ^BATON_USER > count.txt; true');
          expect(await own.settled(taskId)).toMatchObject({ status: 'COMPLETED' });
          expect(own.inRemote('show', `baton/${taskId}:count.txt`)).toBe('0');
        } finally {
          for (const name of Object.keys(started)) delete process.env[name];
          await own.close();
        }
      },
    );
  });

  describe('a user whose entry is taken away while their task waits', () => {
    itEmbedded('gets nothing any more: the task fails, and says what to do', async () => {
      holds(scene, { [arnOf('ada')]: VALUES.ada, [arnOf('bob')]: VALUES.bob });
      await configure(scene, isolated({ ada: ADA, bob: BOB }, { limit: 1 }));
      const gate = join(scene.folder, 'gate');
      const first = await submitFor(scene, 'ada', `while [ ! -e ${gate} ]; do sleep 0.05; done`);
      await scene.until(first, ({ status }) => status === 'RUNNING', 'to run');
      const waits = await submitFor(scene, 'bob');
      await scene.until(waits, ({ status }) => status === 'QUEUED', 'to wait');
      await configure(scene, isolated({ ada: ADA }, { limit: 1 }));
      writeFileSync(gate, '');
      const task = await scene.settled(waits);
      expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'definition_refused' } });
      expect(task.reason?.message).toMatch(/says nothing of "bob" any more\. Name them under "users"/);
      expect(await scene.settled(first)).toMatchObject({ status: 'COMPLETED' });
    });
  });

  describe('a user who was never named', () => {
    itEmbedded('is rejected when they ask, and nothing starts', async () => {
      await configure(scene, isolated({ ada: ADA }));
      const nothingKept = async () => ((await scene.world.payloadCount()) === 0 ? true : undefined);
      await eventually(nothingKept, 'what was kept of other tasks to be deleted');
      await expect(submitFor(scene, 'eve')).rejects.toMatchObject({
        code: 'rejected',
        message: expect.stringContaining('isolates users, and says nothing of "eve"; name them under "users"'),
      });
      expect(await scene.world.payloadCount()).toBe(0);
    });
  });

  describe('a user whose secret is not there', () => {
    itEmbedded('has a start that failed, with its name and why; once it is there, the next task gets it', async () => {
      holds(scene, { [arnOf('bob')]: VALUES.bob });
      await configure(scene, isolated({ ada: ADA, bob: BOB }, { attempts: 1 }));
      const task = await scene.settled(await submitFor(scene, 'ada'));
      expect(task).toMatchObject({ status: 'FAILED', reason: { code: 'secret_unavailable' } });
      expect(task.reason?.message).toContain(arnOf('ada'));
      holds(scene, { [arnOf('ada')]: VALUES.ada });
      const next = await submitFor(scene, 'ada');
      expect(await scene.settled(next)).toMatchObject({ status: 'COMPLETED' });
      expect(seenBy(scene, next).sign).toBe(signOf(VALUES.ada));
    });
  });
});
