import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { PROGRESS_INTERVAL_MS } from '../../agent/limits.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { BRANCH, git, isAlive, openScene, RUN_TOKEN, type Scene, TASK_ID, until } from './scene.ts';

let scene: Scene;
afterEach(() => scene.close());

const withScene = async (payload: Partial<RunPayload> = {}): Promise<Scene> => {
  scene = await openScene(payload);
  return scene;
};

describe('an agent that changes something', () => {
  it('ends with a pushed branch, a stored report and exit code 0', async () => {
    await withScene();
    const { code } = await scene.run();
    expect(code).toBe(RUNNER_EXIT.ok);
    const head = scene.head(BRANCH);
    expect(scene.report()).toMatchObject({
      outcome: 'succeeded',
      agentExitCode: 0,
      result: {
        branch: BRANCH,
        commit: head,
        baseCommit: scene.head('main'),
        filesChanged: 1,
        insertions: 1,
        deletions: 0,
      },
    });
    expect(scene.inRemote('show', `${BRANCH}:greeting.txt`)).toBe('hello\n');
    expect(scene.reportFile()).toEqual(scene.report());
  });

  it('calls the control plane in the order of the choreography', async () => {
    await withScene();
    await scene.run();
    const steps = scene.api.calls.filter((call) => call.verb !== 'events').map((call) => call.verb);
    expect(steps).toEqual(['payload', 'claim', 'confirm', 'report']);
    const events = scene.api.of('events').map((call) => call.body);
    expect(events.map((event) => event['seq'])).toEqual(events.map((_, index) => index));
    expect(events.at(0)).toMatchObject({ type: 'RunClaimed', data: { taskId: TASK_ID, attempt: 1 } });
    expect(events.at(-1)).toMatchObject({ type: 'RunReported' });
    expect(scene.api.calls.findIndex((call) => call.verb === 'report')).toBeLessThan(
      scene.api.calls.findIndex((call) => call.body['type'] === 'RunReported'),
    );
  });

  it('commits as Baton with the first line of the prompt and the task id', async () => {
    await withScene();
    await scene.run();
    const message = scene.inRemote('log', '-1', '--format=%an <%ae>%n%B', BRANCH);
    expect(message).toBe(`Baton <baton@localhost>\nWrite a greeting\n\nBaton-Task: ${TASK_ID}\nBaton-Attempt: 1\n\n`);
  });

  it('commits as the configured author where there is one', async () => {
    await withScene();
    await scene.run({ GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.org' });
    expect(scene.inRemote('log', '-1', '--format=%an <%ae>', BRANCH)).toBe('Ada <ada@example.org>\n');
  });

  it('keeps odd names, executable bits, deletions and large files, and leaves ignored files out', async () => {
    const agentCommand = [
      "echo a > 'two words.txt'",
      "echo b > '-dash'",
      'echo c > ünïcode.txt',
      'printf "#!/bin/sh\\n" > tool.sh && chmod +x tool.sh',
      'rm README.md',
      'head -c 20000000 /dev/zero > large.bin',
      'echo "*.secret" > .gitignore && echo x > a.secret',
    ].join(' && ');
    await withScene({ agentCommand });
    const { code, output } = await scene.run();
    expect({ code, output }).toMatchObject({ code: 0 });
    const tree = scene.inRemote(
      '-c',
      'core.quotePath=false',
      'ls-tree',
      '-r',
      '--format=%(objectmode) %(path)',
      BRANCH,
    );
    expect(tree.trim().split('\n').sort()).toEqual(
      [
        '100644 -dash',
        '100644 .gitignore',
        '100644 large.bin',
        '100644 two words.txt',
        '100644 ünïcode.txt',
        '100755 tool.sh',
      ].sort(),
    );
    expect(scene.inRemote('cat-file', '-s', `${BRANCH}:large.bin`)).toBe('20000000\n');
  });

  it("keeps the agent's own commits, on whatever branch it made them", async () => {
    await withScene({
      agentCommand:
        'git checkout -q -b elsewhere && echo 1 > one && git add one && git commit -q -m "my own" && echo 2 > two',
    });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.inRemote('log', '--format=%s', `main..${BRANCH}`)).toBe('Write a greeting\nmy own\n');
    expect(scene.head('elsewhere')).toBeUndefined();
    expect(scene.report().result.filesChanged).toBe(2);
  });

  it('starts from the base branch that was asked for', async () => {
    await withScene({ baseBranch: 'feature/one' });
    const base = scene.commitToRemote('feature/one', 'feature.txt', 'x');
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.report().result.baseCommit).toBe(base);
    expect(scene.inRemote('ls-tree', '--name-only', BRANCH)).toContain('feature.txt');
  });

  it('removes the workspace and the prompt once all is pushed and stored', async () => {
    await withScene();
    await scene.run();
    expect(existsSync(join(scene.runDir, 'workspace'))).toBe(false);
    expect(existsSync(join(scene.runDir, 'prompt.txt'))).toBe(false);
  });
});

describe('an agent that changes nothing', () => {
  it('succeeds without a branch, a push or leave to push', async () => {
    await withScene({ agentCommand: 'true' });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.report()).toMatchObject({
      outcome: 'succeeded',
      result: { branch: null, commit: null, filesChanged: 0 },
    });
    expect(scene.head(BRANCH)).toBeUndefined();
    expect(scene.api.of('confirm')).toHaveLength(0);
  });
});

describe('an agent that fails', () => {
  it('is reported with its exit code and last words', async () => {
    await withScene({ agentCommand: 'echo something broke >&2; exit 3' });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.agentFailed });
    expect(scene.report()).toMatchObject({ outcome: 'failed', agentExitCode: 3, reason: { code: 'agent_failed' } });
    expect(scene.report().reason?.message).toContain('exit code 3');
    expect(scene.report().reason?.message).toContain('something broke');
    expect(scene.report().savedWork).toBeUndefined();
  });

  it('has its unfinished work saved on the branch', async () => {
    await withScene({ agentCommand: 'echo half > half.txt; exit 1' });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.agentFailed });
    expect(scene.report().savedWork).toEqual({ branch: BRANCH, commit: scene.head(BRANCH) });
    expect(scene.report().result.branch).toBeNull();
    expect(scene.inRemote('log', '-1', '--format=%s', BRANCH)).toBe('Unfinished: Write a greeting\n');
  });

  it('is agent_not_found when the shell does not find it', async () => {
    await withScene({ agentCommand: 'no-such-agent-anywhere --now' });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.agentFailed });
    expect(scene.report()).toMatchObject({ agentExitCode: 127, reason: { code: 'agent_not_found' } });
  });

  it('is reported with the signal that ended it', async () => {
    await withScene({ agentCommand: 'kill -SEGV $$' });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.agentFailed });
    expect(scene.report()).toMatchObject({ agentExitCode: null, reason: { code: 'agent_failed' } });
    expect(scene.report().reason?.message).toContain('SIGSEGV');
  });

  it('fails the push and never touches a repository above, when it removes its own .git', async () => {
    await withScene({ agentCommand: 'rm -rf .git; git add -A; echo x > x' });
    git(scene.folder, 'init', '--quiet');
    git(scene.folder, 'commit', '--quiet', '--allow-empty', '--message', 'above');
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.repositoryFailed });
    expect(scene.report().reason?.code).toBe('push_failed');
    expect(git(scene.folder, 'log', '--all', '--format=%s')).toBe('above\n');
    expect(git(scene.folder, 'ls-files')).toBe('');
  });
});

describe('a prompt', () => {
  const odd = `He said "it's $(touch hacked) \`id\` \\n %s"\n\n\ttabs, ünïcode 🥁, -- and\n# a hash\n$HOME; rm -rf .\n`;
  const keep = 'cat > stdin.txt && cp "$BATON_PROMPT_FILE" file.txt';

  it('arrives intact on standard input and in the file', async () => {
    await withScene({ prompt: odd, agentCommand: keep });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.inRemote('show', `${BRANCH}:stdin.txt`)).toBe(odd);
    expect(scene.inRemote('show', `${BRANCH}:file.txt`)).toBe(odd);
    expect(scene.inRemote('ls-tree', '--name-only', BRANCH)).toBe('README.md\nfile.txt\nstdin.txt\n');
  });

  it('of 64 KiB arrives intact', async () => {
    const prompt = 'long prompt. '.repeat(6_000).slice(0, 65_536);
    await withScene({ prompt, agentCommand: keep });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.inRemote('show', `${BRANCH}:stdin.txt`)).toBe(prompt);
  });

  it('that is never read does no harm', async () => {
    await withScene({ prompt: 'x'.repeat(1_000_000), agentCommand: 'exec 0<&-; echo done > done.txt' });
    expect(await scene.run()).toMatchObject({ code: 0 });
  });
});

describe("the agent's environment", () => {
  it('holds what an agent needs, and neither control variables, token nor cloud credentials', async () => {
    await withScene({ agentCommand: 'env > env.txt; cat .git/config > config.txt' });
    const { output } = await scene.run({
      AWS_SECRET_ACCESS_KEY: 'hush',
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials',
      ECS_CONTAINER_METADATA_URI_V4: 'http://169.254.170.2/v4',
      GITHUB_TOKEN: 'hush',
      ANTHROPIC_API_KEY: 'its-own',
      SSH_AUTH_SOCK: '/tmp/agent.sock',
    });
    const environment = scene.inRemote('show', `${BRANCH}:env.txt`);
    const names = environment.split('\n').map((line) => line.split('=')[0]);
    expect(names.filter((name) => /^(BATON|AWS|ECS|GITHUB)_/.test(name ?? '')).sort()).toEqual([
      'BATON_PROMPT_FILE',
      'BATON_RETRY_AFTER_FILE',
    ]);
    expect(names).toEqual(expect.arrayContaining(['PATH', 'HOME', 'ANTHROPIC_API_KEY', 'SSH_AUTH_SOCK']));
    for (const text of [environment, scene.inRemote('show', `${BRANCH}:config.txt`), output]) {
      expect(text).not.toContain(RUN_TOKEN);
      expect(text).not.toContain('hush');
    }
  });

  it('does not let hooks that it planted see more than the agent did', async () => {
    await withScene({
      agentCommand:
        'printf "#!/bin/sh\\ntouch %s/hooked\\n" "$PWD/.." > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit && cp .git/hooks/pre-commit .git/hooks/pre-push && git config core.fsmonitor .git/hooks/pre-commit && echo x > x',
    });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(existsSync(join(scene.runDir, 'hooked'))).toBe(false);
  });
});

describe("the agent's output", () => {
  it('becomes the log and progress events', async () => {
    await withScene({
      agentCommand: 'echo first; sleep 1.3; printf "\\033[32msecond\\033[0m\\n" >&2; sleep 1.3; echo third',
    });
    const { output } = await scene.run();
    expect(output).toMatch(/first\n[\s\S]*second[\s\S]*third\n/);
    const texts = scene.api.of('events').map((call) => call.body['data']);
    expect(texts).toEqual(
      expect.arrayContaining([expect.objectContaining({ text: 'first' }), expect.objectContaining({ text: 'second' })]),
    );
  });

  it('is bounded when huge: the head and the end stay, progress is coalesced', async () => {
    await withScene({
      agentCommand: 'yes "a line of output that goes on and on" | head -c 60000000; echo the very end',
    });
    const begunMs = performance.now();
    const { code, output } = await scene.run();
    const intervals = (performance.now() - begunMs) / PROGRESS_INTERVAL_MS;
    expect(code).toBe(0);
    expect(output.length).toBeLessThan(9_000_000);
    expect(output).toContain('log truncated');
    expect(output).toContain('bytes left out');
    expect(output).toContain('the very end\n');
    // However long that took: a few of the runner's own, and one for each interval.
    expect(scene.api.of('events').length).toBeLessThan(10 + intervals);
  });

  it('without any line end neither fills the memory nor a progress event', async () => {
    await withScene({ agentCommand: 'head -c 3000000 /dev/zero | tr "\\0" "x"' });
    expect(await scene.run()).toMatchObject({ code: 0 });
    for (const call of scene.api.of('events')) expect(JSON.stringify(call.body).length).toBeLessThan(1_200);
  });
});

describe('a process that the agent leaves behind', () => {
  it.each([
    ['in its group', 'sleep 300 & echo $! > pid.txt'],
    ...(process.platform === 'linux'
      ? [['in a session of its own', 'setsid sh -c "echo \\$\\$ > pid.txt; exec sleep 300" & sleep 0.5']]
      : []),
  ])('%s is gone after the run', async (_, agentCommand) => {
    await withScene({ agentCommand });
    expect(await scene.run()).toMatchObject({ code: 0 });
    const pid = Number(scene.inRemote('show', `${BRANCH}:pid.txt`));
    expect(pid).toBeGreaterThan(1);
    await until('it is gone', () => !isAlive(pid));
  });

  it('is guarded against the death of the runner before there is one', async () => {
    if (process.platform !== 'linux') return;
    await withScene({
      agentCommand: `printf 'BATON_PROMPT_FILE=%s' "$BATON_PROMPT_FILE" > mark; grep -lzxFf mark /proc/[0-9]*/cmdline > guards; true`,
    });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.inRemote('show', `${BRANCH}:guards`)).toMatch(/^\/proc\/\d+\/cmdline\n$/);
  });

  it('dies with a runner that was killed', async () => {
    await withScene({ agentCommand: 'sleep 300 & echo $! > pid.txt; wait' });
    const launched = scene.start();
    const pidFile = join(scene.runDir, 'workspace', 'pid.txt');
    await until('the agent runs', () => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n'));
    launched.kill('SIGKILL');
    await launched.ended;
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await until('it is gone', () => !isAlive(pid));
  });
});
