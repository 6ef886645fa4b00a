import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { RunSpec } from '../../schemas/supervised-run.ts';
import { exitRecord, runMarker, supervisorRecord } from '../../schemas/supervised-run.ts';
import { programs } from '../programs.ts';
import { eventually, lives } from '../runtime/engine/local-ecs-fixture.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';

const runDirs: string[] = [];
afterEach(async () => {
  for (const runDir of runDirs.splice(0)) await putAway(runDir);
});

function aRunDir(script: string, changes: Partial<RunSpec> = {}): string {
  const runDir = sceneFolder();
  runDirs.push(runDir);
  const spec: RunSpec = {
    schemaVersion: 1,
    taskArn: 'arn:aws:ecs:local:000000000000:task/baton/1',
    command: ['/bin/sh', '-c', script],
    environment: { BATON_RUN_DIR: runDir },
    cwd: runDir,
    stopTimeoutSeconds: 0.3,
    logMaxBytes: 1_000,
    ...changes,
  };
  writeFileSync(join(runDir, 'run.json'), JSON.stringify(spec));
  return runDir;
}

function supervise(runDir: string): ChildProcess {
  const [program = '', ...parameters] = programs.supervisor;
  return spawn(program, [...parameters, runDir], { detached: true, stdio: 'ignore' });
}

const json = (runDir: string, file: string): unknown => JSON.parse(readFileSync(join(runDir, file), 'utf8'));
const log = (runDir: string) => readFileSync(join(runDir, 'agent.log'), 'utf8');
const started = (runDir: string) => eventually(() => existsSync(join(runDir, 'supervisor.json')), 'the start');

describe('a supervised run', () => {
  it('leaves what Baton needs to know beside its log', async () => {
    const runDir = aRunDir('echo out; echo err >&2; exit 9');
    expect(await once(supervise(runDir), 'exit')).toEqual([0, null]);
    expect(exitRecord.parse(json(runDir, 'exit.json'))).toMatchObject({ exitCode: 9, signal: null });
    expect(supervisorRecord.parse(json(runDir, 'supervisor.json')).childPid).toBeGreaterThan(1);
    expect(runMarker.parse(json(runDir, 'spawned')).owner?.pid).toBe(
      supervisorRecord.parse(json(runDir, 'supervisor.json')).pid,
    );
    expect(log(runDir)).toContain('out\n');
    expect(log(runDir)).toContain('err\n');
  });

  it('starts its runner once, however many supervisors come', async () => {
    const runDir = aRunDir('echo started; sleep 0.2');
    const supervisors = Array.from({ length: 5 }, () => supervise(runDir));
    await Promise.all(supervisors.map((process) => once(process, 'exit')));
    await once(supervise(runDir), 'exit');
    expect(log(runDir)).toBe('started\n');
  });

  it('is not started when Baton gave it up first', async () => {
    const runDir = aRunDir('echo started');
    writeFileSync(join(runDir, 'spawned'), JSON.stringify({ abandoned: 'cancelled' }));
    expect(await once(supervise(runDir), 'exit')).toEqual([0, null]);
    expect(existsSync(join(runDir, 'exit.json'))).toBe(false);
    expect(existsSync(join(runDir, 'agent.log'))).toBe(false);
  });

  it.each([
    ['there is no such program', { command: ['no-such-program'] }],
    ['its directory is gone', { cwd: '/no/such/directory' }],
    ['its command is no command', { command: ['/bin/sh', 'zero\0byte'] }],
  ])('says why it never started when %s', async (_, changes) => {
    const runDir = aRunDir('', changes);
    await once(supervise(runDir), 'exit');
    expect(exitRecord.parse(json(runDir, 'exit.json'))).toMatchObject({
      exitCode: null,
      error: expect.stringMatching(/ENOENT|null bytes/),
    });
    expect(existsSync(join(runDir, 'supervisor.json'))).toBe(false);
  });

  it('gets SIGTERM when its supervisor does, and SIGKILL with all its children after the time-out', async () => {
    const runDir = aRunDir('trap "echo asked" TERM; sleep 300 & echo $!; while :; do sleep 0.02; done');
    const process = supervise(runDir);
    await eventually(() => existsSync(join(runDir, 'agent.log')) && log(runDir).includes('\n'), 'the runner');
    process.kill('SIGTERM');
    await once(process, 'exit');
    expect(exitRecord.parse(json(runDir, 'exit.json'))).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    expect(log(runDir)).toContain('asked');
    expect(lives(Number(log(runDir).split('\n')[0]))).toBe(false);
  });

  it.each([
    ['works in its directory', 'env -i setsid sleep 300 > /dev/null 2>&1 &'],
    ['was started from it', 'cp "$(command -v sleep)" own; cd /; env -i setsid "$OLDPWD/own" 300 > /dev/null 2>&1 &'],
  ])(
    'ends when nothing of it is left: no process without environment in a session of its own that %s',
    async (_, script) => {
      if (process.platform !== 'linux') return;
      const runDir = aRunDir(`${script} echo $!; sleep 0.3`);
      await once(supervise(runDir), 'exit');
      expect(exitRecord.parse(json(runDir, 'exit.json'))).toMatchObject({ exitCode: 0 });
      expect(lives(Number(log(runDir)))).toBe(false);
    },
  );

  it('does not end with a terminal or an interrupt meant for Baton', async () => {
    const runDir = aRunDir('sleep 0.5; exit 4');
    const process = supervise(runDir);
    await started(runDir);
    process.kill('SIGINT');
    process.kill('SIGHUP');
    await once(process, 'exit');
    expect(exitRecord.parse(json(runDir, 'exit.json'))).toMatchObject({ exitCode: 4 });
  });
});
