import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { SESSION_PORT } from '../../schemas/agentcore-session.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { bundleFile } from '../programs.ts';

const text = readFileSync(new URL('../../agent/Dockerfile', import.meta.url), 'utf8');
const lines = text
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));
const valuesOf = (instruction: string): string[] =>
  lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));

// No container engine is at hand in these tests: the image was read, not built.
describe('the image of the agent', () => {
  it('runs the bundle that the build makes', () => {
    const builds = readFileSync(new URL('../../scripts/build.mjs', import.meta.url), 'utf8');
    const [from = '', to = ''] = (valuesOf('COPY')[0] ?? '').split(' ');
    expect(builds).toContain(`'${/^dist\/(.+)\.js$/.exec(from)?.[1]}':`);
    expect(JSON.parse(valuesOf('ENTRYPOINT')[0] ?? '[]')).toEqual(['/opt/baton/node', '--disable-sigusr1', to]);
    // The bundle is an ES module, and no package.json beside it says so.
    expect(to).toMatch(/\.mjs$/);
  });

  it('is for arm64, and for no other processor', () => {
    expect(text).toMatch(/docker build --platform linux\/arm64 /);
    // A base of one processor, or a program fetched for another, would break what the platform says.
    expect(text).not.toMatch(/amd64|x86_64|x64/);
  });

  // AgentCore cannot override a command, ECS does.
  it('serves on the port of AgentCore by its own command', () => {
    expect(JSON.parse(valuesOf('CMD')[0] ?? '[]')).toEqual(['serve']);
    expect(valuesOf('EXPOSE')).toEqual([String(SESSION_PORT)]);
    expect(valuesOf('ENV')).toEqual([]);
  });

  // A5: one program for all back ends, told apart by the word that it is started with.
  it('waits for a request by its own command alone, and works at once when a start overrides that', async () => {
    const [word = ''] = JSON.parse(valuesOf('CMD')[0] ?? '[]');
    const environment = { PATH: process.env['PATH'] ?? '', BATON_SESSION_HOST: '127.0.0.1', BATON_SESSION_PORT: '0' };
    const started = (command: string) =>
      spawn(process.execPath, [bundleFile('runner-aws'), command], {
        env: environment,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    const server = started(word);
    const [said] = await once(server.stdout, 'data');
    expect(String(said)).toContain('the session listens on port');
    server.kill('SIGTERM');
    const batch = started('run');
    // Nothing is configured here, which the run says and ends.
    expect(await once(batch, 'exit')).toEqual([RUNNER_EXIT.badPayload, null]);
  });

  it.each(['sreve', '/bin/sh', ''])('starts nothing at a word that it does not know: %j', async (word) => {
    const child = spawn(process.execPath, [bundleFile('runner-aws'), word], {
      env: {},
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    expect(await once(child, 'close')).toEqual([RUNNER_EXIT.badPayload, null]);
    expect(said).toBe(`[baton] unknown word ${JSON.stringify(word)}; there are run and serve\n`);
  });

  it('is not root when it runs, and root for nothing after that', () => {
    const user = lines.findIndex((line) => line.startsWith('USER '));
    expect(valuesOf('USER')).toEqual(['node']);
    expect(lines.slice(user).filter((line) => line.startsWith('RUN ') || line.startsWith('COPY '))).toEqual([]);
  });

  it('runs by a program that the agent cannot read, so that it cannot look into its environment', () => {
    expect(valuesOf('RUN')).toContainEqual(expect.stringMatching(/^install -D --mode=0711 .* \/opt\/baton\/node$/));
  });

  it('is linted where the code is public, by a program that is known by its digest', () => {
    const workflow = readFileSync(new URL('../../.github/workflows/ci.yml', import.meta.url), 'utf8');
    expect(workflow).toMatch(/hadolint\S* --failure-threshold warning agent\/Dockerfile$/m);
    expect(workflow).toMatch(/^ +HADOLINT_SHA256: [0-9a-f]{64}$/m);
    expect(workflow).toContain('echo "$HADOLINT_SHA256  hadolint-linux-x86_64" | sha256sum --check');
  });

  it('is excused from a rule of that linter with a reason only', () => {
    const excuses = text
      .split('\n')
      .flatMap((line, index, all) => (/hadolint ignore/.test(line) ? [all[index - 1]] : []));
    expect(excuses.filter((before) => !/^# \w+ .*\.$/.test(before ?? ''))).toEqual([]);
  });

  it('pins its base by version, and brings git', () => {
    expect(valuesOf('FROM')).toEqual([expect.stringMatching(/:\d+-bookworm-slim$/)]);
    expect(valuesOf('RUN').join(' ')).toMatch(/\bgit\b/);
  });
});
