import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { FENCED } from './api-stub.ts';
import { BRANCH, openScene, type Scene, until } from './scene.ts';

let scene: Scene;
afterEach(() => scene.close());

const BEATING = { BATON_HEARTBEAT_S: '0.1' };
const REFUSED = { status: 403, body: { error: { code: 'token_refused', message: 'not yours', remedy: '' } } };
const UNAVAILABLE = { status: 503, body: { error: { code: 'world_starting', message: 'not yet', remedy: '' } } };

// F27: whoever is silent for a reason is not dead.
describe('a run that shows signs of life', () => {
  it('beats while the repository lets it wait', async () => {
    const repository = await aRepositoryThatNeverAnswers();
    scene = await openScene({ repository: repository.url });
    const launched = scene.start(BEATING);
    await until('it beats twice', () => scene.api.of('heartbeat').length > 1);
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    repository.close();
  });

  it('beats while its agent says nothing', async () => {
    scene = await openScene({ agentCommand: 'exec sleep 60' });
    const launched = scene.start(BEATING);
    await until('the agent runs', () => launched.output().includes('running the agent'));
    const before = scene.api.of('heartbeat').length;
    await until('it beats twice more', () => scene.api.of('heartbeat').length > before + 1);
    launched.kill('SIGTERM');
    await launched.ended;
  });

  it('beats while it waits for the leave to push', async () => {
    scene = await openScene();
    scene.api.answer('confirm', UNAVAILABLE, 4);
    expect(await scene.run(BEATING)).toMatchObject({ code: RUNNER_EXIT.ok });
    const verbs = scene.api.calls.map(({ verb }) => verb);
    expect(verbs.slice(verbs.indexOf('confirm'), verbs.lastIndexOf('confirm'))).toContain('heartbeat');
  });

  it('says in its log, once, that its beats go astray, and when they arrive again', async () => {
    scene = await openScene({ agentCommand: 'exec sleep 60' });
    scene.api.answer('heartbeat', REFUSED, 3);
    const launched = scene.start(BEATING);
    await until('they arrive again', () => launched.output().includes('signs of life are taken again'));
    expect(launched.output().match(/signs of life are not taken/g)).toHaveLength(1);
    expect(launched.output()).toContain('token_refused: not yours');
    const before = scene.api.of('heartbeat').length;
    await until('it beats twice more', () => scene.api.of('heartbeat').length > before + 1);
    expect(launched.output().match(/signs of life are taken again/g)).toHaveLength(1);
    launched.kill('SIGTERM');
    await launched.ended;
  });

  it('says so, too, when nobody answers them', async () => {
    scene = await openScene({ agentCommand: 'exec sleep 60' });
    scene.api.answer('heartbeat', UNAVAILABLE);
    const launched = scene.start(BEATING);
    await until('it says so', () => launched.output().includes('signs of life are not taken'));
    expect(launched.output()).toContain('Baton does not answer');
    launched.kill('SIGTERM');
    await launched.ended;
  });

  it("says that its agent's first word was not taken", async () => {
    scene = await openScene({ agentCommand: 'echo hello; exec sleep 60' });
    scene.api.answer('first-word', REFUSED);
    const launched = scene.start();
    await until('it says so', () =>
      launched.output().includes("agent's first word was not taken: token_refused: not yours"),
    );
    launched.kill('SIGTERM');
    await launched.ended;
  });

  it('starts no agent when a beat was refused while it cloned', async () => {
    const repository = await aRepositoryThatNeverAnswers();
    scene = await openScene({ repository: repository.url });
    scene.inRemote('update-server-info');
    scene.api.answer('heartbeat', FENCED);
    const launched = scene.start(BEATING);
    await until('it was refused', () => scene.api.of('heartbeat').length > 0);
    repository.answerFrom(scene.remote);
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(launched.output()).not.toContain('running the agent');
    repository.close();
  });
});

describe('a claim that counts for who makes it', () => {
  const ONCE = { BATON_CLAIM: 'once' };

  it('lets the run work when it is its own', async () => {
    scene = await openScene();
    expect(await scene.run(ONCE)).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(scene.head(BRANCH)).toBeDefined();
  });

  it('has the run leave when one of the same name made it before', async () => {
    scene = await openScene();
    scene.api.answer('claim', { status: 200, body: { outcome: 'already' } });
    expect(await scene.run(ONCE)).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(scene.api.calls.map(({ verb }) => verb)).toEqual(['payload', 'claim']);
  });

  it('is not asked for on back ends whose identities never come back', async () => {
    scene = await openScene();
    scene.api.answer('claim', { status: 200, body: { outcome: 'already' } });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.ok });
  });
});

/** A server that is silent, until it is told to answer with the files of a folder. */
async function aRepositoryThatNeverAnswers() {
  const waiting: (() => void)[] = [];
  let folder: string | undefined;
  const server = createServer((request, response) => {
    const answer = (): void => {
      const file = join(folder ?? '', new URL(request.url ?? '', 'http://git').pathname.replace('/a/repository', ''));
      const isThere = existsSync(file) && statSync(file).isFile();
      response.writeHead(isThere ? 200 : 404).end(isThere ? readFileSync(file) : '');
    };
    if (folder === undefined) waiting.push(answer);
    else answer();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/a/repository`,
    answerFrom(root: string) {
      folder = root;
      for (const answer of waiting.splice(0)) answer();
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
