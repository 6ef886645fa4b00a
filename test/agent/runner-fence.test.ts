import { afterEach, describe, expect, it } from '@jest/globals';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { FENCED } from './api-stub.ts';
import { BRANCH, openScene, type Scene, until } from './scene.ts';

let scene: Scene;
afterEach(() => scene.close());

/** What the runner told, in the order in which it did. */
const typesOf = (of: Scene): unknown[] => of.api.of('events').map((call) => call.body['type']);

// F12, F17
describe('a fenced run', () => {
  it('at the claim does nothing at all', async () => {
    scene = await openScene();
    scene.api.answer('claim', FENCED);
    const { code, output } = await scene.run();
    expect(code).toBe(RUNNER_EXIT.fenced);
    expect(output).not.toContain('cloning');
    expect(scene.api.calls.map((call) => call.verb)).toEqual(['payload', 'claim']);
    expect(scene.reportFile()).toBeUndefined();
  });

  it('at the confirmation pushes nothing and reports nothing', async () => {
    scene = await openScene();
    scene.api.answer('confirm', FENCED);
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(scene.head(BRANCH)).toBeUndefined();
    expect(scene.api.of('report')).toHaveLength(0);
    expect(scene.reportFile()).toBeUndefined();
    expect(typesOf(scene).filter((type) => type === 'RunFenced')).toHaveLength(1);
  });

  it('at the confirmation after its agent failed saves nothing and reports nothing', async () => {
    scene = await openScene({ agentCommand: 'echo half > half; exit 1' });
    scene.api.answer('confirm', FENCED);
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(scene.head(BRANCH)).toBeUndefined();
    expect(scene.reportFile()).toBeUndefined();
  });

  it('at the report leaves with the reserved code and tells no RunReported', async () => {
    scene = await openScene();
    scene.api.answer('report', FENCED);
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(typesOf(scene)).not.toContain('RunReported');
    expect(typesOf(scene).at(-1)).toBe('RunFenced');
  });

  it('at a heartbeat stops its agent', async () => {
    scene = await openScene({ agentCommand: 'echo x > x; exec sleep 60' });
    const launched = scene.start({ BATON_HEARTBEAT_S: '0.2' });
    await until('it beats', () => scene.api.of('heartbeat').length > 1);
    scene.api.answer('heartbeat', FENCED);
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(scene.head(BRANCH)).toBeUndefined();
  });

  it("at its agent's first word stops the agent", async () => {
    scene = await openScene({ agentCommand: 'echo x > x; echo hello; exec sleep 60' });
    scene.api.answer('first-word', FENCED);
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(scene.head(BRANCH)).toBeUndefined();
    expect(scene.api.of('report')).toEqual([]);
  });
});

describe('a run whose token or payload is refused', () => {
  it('ends as a bad payload without cloning', async () => {
    scene = await openScene();
    scene.api.answer('claim', {
      status: 403,
      body: { error: { code: 'bad_token', message: 'wrong token', remedy: '' } },
    });
    const { code, output } = await scene.run();
    expect(code).toBe(RUNNER_EXIT.badPayload);
    expect(output).not.toContain('cloning');
  });

  it('ends as a bad payload when it is not understood, naming fields and no values', async () => {
    scene = await openScene();
    scene.api.answer('payload', { status: 200, body: { schemaVersion: 1, prompt: 'a secret wish' } });
    const { code, output } = await scene.run();
    expect(code).toBe(RUNNER_EXIT.badPayload);
    expect(output).toContain('repository');
    expect(output).not.toContain('a secret wish');
  });

  it('ends as a bad payload when its environment is incomplete', async () => {
    scene = await openScene();
    const { code, output } = await scene.run({ BATON_PAYLOAD: '' });
    expect(code).toBe(RUNNER_EXIT.badPayload);
    expect(output).toContain('BATON_PAYLOAD');
  });
});
