import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { taskView } from '../../schemas/task-view.ts';
import { type CliScene, lastJson, openCliScene } from './scene.ts';

let scene: CliScene;
beforeEach(() => {
  scene = openCliScene();
});
afterEach(() => scene.close());

const task = (...more: string[]): string[] => ['run', '--repo', 'repo', '--prompt', 'say hello', ...more];

describe('baton run', () => {
  it('runs a task to its end, shows the way, and leaves the branch in the repository', async () => {
    const { code, stdout } = await scene.run(task('--agent', 'echo at work; cat > hello.txt'));
    expect({ code, stdout }).toMatchObject({ code: 0 });
    for (const status of ['SUBMITTED', 'ADMITTED', 'HYDRATED', 'STARTING', 'COMPLETED'])
      expect(stdout).toContain(status);
    expect(stdout.match(/Screening is off/g)).toHaveLength(1);
    expect(stdout).not.toContain('\u001b');
    const branch = /pushed (baton\/t\w+) \(1 file, \+1 −0\)/.exec(stdout)?.[1] ?? '';
    expect(scene.git('show', `${branch}:hello.txt`)).toBe('say hello');
    expect(readFileSync(join(scene.data, '.gitignore'), 'utf8')).toBe('*\n');
    expect(existsSync(join(scene.data, 'world.json'))).toBe(false);
  });

  it('prints with --json only JSON, progress as lines and last the task', async () => {
    const { code, stdout, stderr } = await scene.run(task('--agent', 'true', '--json'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    const view = taskView.parse(lines.at(-1));
    expect(view).toMatchObject({ status: 'COMPLETED', settled: true, result: { branch: null } });
    expect(lines[0]).toEqual({ type: 'task', taskId: view.taskId });
    const steps = lines.filter((line) => (line as { type?: string }).type === 'step');
    expect(steps.map((step) => (step as { to: string }).to)).toEqual(view.history.map(({ to }) => to));
  });

  it('ends with 1 and the reason, the remedy and the end of the log when the agent fails', async () => {
    const { code, stdout } = await scene.run(task('--agent', 'echo cannot go on >&2; exit 7'));
    expect(code).toBe(1);
    expect(stdout).toContain('agent_failed: ');
    expect(stdout).toContain('Look at the log of the run.');
    expect(stdout).toMatch(/│ .*cannot go on/);
    const log = /log: (.*)/.exec(stdout)?.[1] ?? '';
    expect(readFileSync(log, 'utf8')).toContain('cannot go on');
  });

  it('ends with 4 when the time-out passes', async () => {
    const { code, stdout } = await scene.run(task('--agent', 'sleep 60', '--timeout', '2s', '--json'));
    expect(code).toBe(4);
    expect(lastJson(stdout)).toMatchObject({ status: 'TIMED_OUT' });
  });

  it('tells the end at once where a session is still to be stopped, and why it waits on', async () => {
    const { code, stdout } = await scene.run(task('--compute', 'agentcore', '--agent', 'true'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/ COMPLETED .*\n(.*\n)*Waiting until its session is gone\.\n\nCOMPLETED after /);
    expect(stdout.match(/Waiting until/g)).toHaveLength(1);
  });

  it('says after an end in vain that nothing was saved, and where the work is', async () => {
    const agent = 'echo x > x.txt; sleep 60';
    const { code, stdout } = await scene.run(task('--compute', 'agentcore', '--agent', agent, '--timeout', '6s'));
    expect(code).toBe(4);
    const [, workspace = ''] = /^ {2}saved work: none; what is left of it: (.*)$/m.exec(stdout) ?? [];
    expect(readFileSync(join(workspace, 'x.txt'), 'utf8')).toBe('x\n');
  });

  it('takes paths with blanks, a prompt from a file and another working directory', async () => {
    const place = join(scene.folder, 'a place');
    mkdirSync(join(place, 'deep er'), { recursive: true });
    writeFileSync(join(place, 'the task.md'), 'first line\nsecond line\n');
    const words = [
      'run',
      '--repo',
      '../../repo',
      '--prompt',
      '@../the task.md',
      '--data',
      '../my data',
      '--agent',
      'cat > out.txt',
    ];
    const { code, stdout } = await scene.run([...words, '--json'], { cwd: join(place, 'deep er') });
    const view = taskView.parse(lastJson(stdout));
    expect({ code, repository: view.repository }).toEqual({ code: 0, repository: scene.repo });
    expect(scene.git('show', `${view.result?.branch}:out.txt`)).toBe('first line\nsecond line');
    expect(existsSync(join(place, 'my data', 'baton.db'))).toBe(true);
  });

  it('starts from the branch that --base names', async () => {
    scene.git('branch', 'other');
    scene.git('commit', '--quiet', '--allow-empty', '--message=second');
    const { stdout } = await scene.run(task('--base', 'other', '--agent', 'echo x > x.txt', '--json'));
    const { result } = taskView.parse(lastJson(stdout));
    expect(result?.baseCommit).toBe(scene.git('rev-parse', 'other'));
  });

  it('says nothing and goes on when nobody reads it any more', async () => {
    const { BATON } = await import('./scene.ts');
    const { execFileSync } = await import('node:child_process');
    const line = `${process.execPath} ${BATON} ${task('--agent', 'sleep 1; touch done.txt')
      .map((word) => `'${word}'`)
      .join(' ')} | head -n 1`;
    const said = execFileSync('/bin/sh', ['-c', `${line} 2>&1`], { cwd: scene.folder, encoding: 'utf8' });
    expect(said.trimEnd().split('\n')).toHaveLength(1);
    expect(scene.git('for-each-ref', '--format=%(refname)', 'refs/heads/baton')).toMatch(/^refs\/heads\/baton\/t/);
  });
});
