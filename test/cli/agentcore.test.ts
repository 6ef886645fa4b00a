import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { explanation } from '../../schemas/explanation.ts';
import { taskView } from '../../schemas/task-view.ts';
import { type CliScene, lastJson, openCliScene, until } from './scene.ts';

let scene: CliScene;
beforeAll(async () => {
  scene = openCliScene();
  await scene.start(['dev', '--port', '0']).says('ready ');
});
afterAll(() => scene.close());

const TASK = ['--repo', 'repo', '--prompt', 'do it'];

async function said(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await scene.run(words);
  expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: '' });
  return stdout;
}

/** The log of the last attempt, once it has these words: a report may be there before the last words are. */
async function lastLog(taskId: string, words: RegExp): Promise<string> {
  let log = '';
  await until(`the log has ${words}`, async () => {
    log = await said('logs', taskId);
    return words.test(log);
  });
  return log;
}

describe('a task that is asked to run on AgentCore', () => {
  it('is followed, shown, listed, explained and read like every other', async () => {
    const words = [...TASK, '--compute', 'agentcore', '--agent', 'echo working; touch a.txt'];
    const followed = await said('run', ...words);
    expect(followed).toMatch(/RUNNING +The agent works\. {2}← RunClaimed$/m);
    expect(followed).toMatch(/^ +│ working$/m);
    const taskId = /^(t[0-9a-z]{24}) /m.exec(followed)?.[1] ?? '';
    await until('it is settled', () => scene.git('branch', '--list', `baton/${taskId}`) !== '');

    const shown = await said('show', taskId);
    expect(shown).toMatch(/^ {2}attempt +1 of 3, on agentcore$/m);
    expect(shown).toMatch(new RegExp(`^  run +baton-local-${taskId}-1`, 'm'));
    expect(await said('list')).toMatch(new RegExp(`^${taskId}  COMPLETED .* agentcore +/.*repo +pushed`, 'm'));
    const told = await said('explain', taskId);
    expect(told).toMatch(/^ {2}compute +agentcore \(isolation shared, capacity on-demand\)$/m);
    expect(told).toContain('the runner claimed the attempt');
    expect(explanation.parse(JSON.parse(await said('explain', taskId, '--json')))).toMatchObject({
      compute: 'agentcore',
      unlinked: [],
    });
    for (const text of [followed, shown, told]) expect(text).not.toMatch(/\bECS\b|Fargate/i);
  });

  it('has one log per attempt', async () => {
    const agent = 'if [ -e first.txt ]; then echo two; else touch first.txt; echo one; exit 3; fi';
    const words = [...TASK, '--compute', 'agentcore', '--retry-agent-failure', '--agent', agent];
    const { taskId, status, attempt } = taskView.parse(lastJson(await said('run', ...words, '--json')));
    expect({ status, attempt }).toEqual({ status: 'COMPLETED', attempt: 2 });
    const [first, second] = [await said('logs', taskId, '--attempt', '1'), await lastLog(taskId, /^two$/m)];
    // Its session is stopped once its report is heard, which may be before the container's own last word.
    expect(first).toMatch(/^\[baton\] attempt 1 of task \w+ begins$/m);
    expect(first).toMatch(/^one$/m);
    expect(first).not.toMatch(/^two$/m);
    expect(second).not.toMatch(/^one$/m);
  });

  it('tells at work that its signs of life are looked at, and when', async () => {
    // Time and again: who begins to watch hears what is said from then on.
    const words = [...TASK, '--compute', 'agentcore', '--agent', 'while sleep 0.5; do echo up; done', '--json'];
    const { taskId } = JSON.parse(await said('submit', ...words)) as { taskId: string };
    const watching = scene.start(['watch', taskId]);
    await watching.says('│ up');
    const told = await said('explain', taskId);
    expect(told).toMatch(/^ {2}next +the agent ends, .*; until then it gives signs of life, .* next at \d{4}-/m);
    expect(told).toMatch(/^ {2}due +\S+ \(\S.*\): its signs of life are looked at$/m);
    await said('cancel', taskId);
    expect(await watching.ended).toMatchObject({ code: 3 });
  });
});

describe('a repository that is configured for AgentCore', () => {
  it('has tasks that name no back end run there', async () => {
    expect(await said('repo', 'set', 'repo', '--compute', 'agentcore')).toContain('agentcore');
    const task = taskView.parse(lastJson(await said('run', ...TASK, '--agent', 'true', '--json')));
    expect(task).toMatchObject({ status: 'COMPLETED', compute: 'agentcore', configuration: scene.repo });
    const other = taskView.parse(lastJson(await said('run', ...TASK, '--compute', 'ecs', '--agent', 'true', '--json')));
    expect(other).toMatchObject({ status: 'COMPLETED', compute: 'ecs' });
  });
});
