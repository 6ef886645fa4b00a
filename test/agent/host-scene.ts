import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe } from '@jest/globals';
import { dockerScript } from '../../runtime/engine/local-fleet-worker.ts';
import { LOCAL_CONTAINERS_VARIABLE, type LocalContainers } from '../../schemas/local-containers.ts';
import { programs } from '../programs.ts';
import { eventually } from '../runtime/engine/local-ecs-fixture.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { written } from '../written.ts';

/** Hosts of a fleet are Linux machines: elsewhere there is neither `flock` nor `setsid`, and bash is an old one. */
export const onLinux = process.platform === 'linux' ? describe : describe.skip;

export const SCRIPT = fileURLToPath(new URL('../../agent/host/run.sh', import.meta.url));

/** A command as SSM's agent runs it: in a process group of its own. */
export interface RunningCommand {
  readonly pid: number;
  /** Exit code, once it has ended. */
  readonly ended: Promise<number | string>;
  output(): string;
}

/** A host of the fleet: a directory, on whose path `docker` is what stands for it. */
export interface Host {
  readonly folder: string;
  /** The state of the host, as the script keeps it. */
  readonly dir: string;
  command(parameters: Parameters, instanceId?: string): RunningCommand;
  /** A file below the folder of the scene. */
  read(...path: string[]): string | undefined;
  /** Names of what is in a folder of the host. */
  names(...path: string[]): string[];
  /** The lines that `docker` was called with. */
  calls(): string[];
  /** The lines that `aws` was called with. */
  awsCalls(): string[];
  /** Makes `aws` fail, or never answer. */
  breakAws(how: 'fails' | 'hangs'): void;
  /** Makes `docker` fail for words that match. */
  breakDocker(pattern: string): void;
  /** Makes `docker` take its time for words that match. */
  slowDocker(pattern: string, seconds: number): void;
  close(): Promise<void>;
}

export type Parameters = Readonly<Record<string, string | undefined>>;

export interface HostOptions {
  readonly stopTimeoutS?: number;
  readonly marginS?: number;
  /** Where its metadata service is: makes it an instance of EC2, with a region and a role. */
  readonly metadata?: string;
  readonly credentialsEveryS?: number;
  /** Program and arguments of what runs in its containers, in place of the script that `agentDoes` writes. */
  readonly runner?: readonly string[];
  /** Seconds that a container takes to come up once it has its name. */
  readonly comesUpS?: number;
  /** Variables of its containers besides those of the deployment. */
  readonly environment?: Readonly<Record<string, string>>;
}

export function aHost(options: HostOptions = {}): Host {
  const folder = sceneFolder();
  const dir = join(folder, 'host');
  const bin = join(folder, 'bin');
  for (const one of [dir, bin, join(folder, 'runs')]) mkdirSync(one);
  writeFileSync(join(dir, 'image'), 'agent:1\n');
  writeFileSync(join(dir, 'container.env'), '# of the deployment\nBATON_TABLE=baton\n');
  const docker = join(bin, 'docker');
  writeFileSync(docker, faultyDocker(folder, programs.containers));
  chmodSync(docker, 0o755);
  const aws = join(bin, 'aws');
  writeFileSync(
    aws,
    `#!/bin/sh\n[ -e /proc/$$/fd/9 ] && set -- "$@" and keeps the lock\necho "$*" >> '${folder}/aws.log'\ncd '${folder}'\n[ -e hangs ] && exec sleep 60\n[ ! -e fails ]\n`,
  );
  chmodSync(aws, 0o755);
  if (options.metadata !== undefined) writeFileSync(join(dir, 'region'), 'eu-west-1\n');
  const settings = (runDirName: string): LocalContainers => ({
    runnerCommand: [...(options.runner ?? ['/bin/sh', '-c', '. "$BATON_SCRIPT"', 'runner'])],
    supervisorCommand:
      options.comesUpS === undefined
        ? programs.supervisor
        : ['/bin/sh', '-c', `sleep ${options.comesUpS}; exec "$@"`, 'supervisor', ...programs.supervisor],
    runsDir: join(folder, 'runs'),
    runDirName,
    environment: { BATON_SCRIPT: join(folder, 'agent.sh'), ...options.environment },
    logMaxBytes: 1_000_000,
  });
  const read: Host['read'] = (...path) => written(join(folder, ...path));
  return {
    folder,
    dir,
    read,
    command(parameters, instanceId = 'i-0123456789abcdef0') {
      const variables = Object.entries(parameters).map(([name, value]) => [`SSM_${name}`, value]);
      const child = spawn('/bin/bash', [SCRIPT], {
        cwd: '/',
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: `${bin}:${process.env['PATH']}`,
          BATON_HOST_DIR: dir,
          BATON_STOP_TIMEOUT_S: String(options.stopTimeoutS ?? 5),
          BATON_END_MARGIN_S: String(options.marginS ?? 10),
          AWS_SSM_INSTANCE_ID: instanceId,
          BATON_TAGS_S: '1',
          BATON_METADATA_URL: options.metadata ?? 'http://127.0.0.1:9',
          ...(options.credentialsEveryS === undefined
            ? {}
            : { BATON_CREDENTIALS_EVERY_S: String(options.credentialsEveryS) }),
          [LOCAL_CONTAINERS_VARIABLE]: JSON.stringify(settings('run')),
          ...Object.fromEntries(variables),
        },
      });
      return runningCommand(child);
    },
    names: (...path) => (existsSync(join(folder, ...path)) ? readdirSync(join(folder, ...path)).sort() : []),
    calls: () => (read('docker.log') ?? '').split('\n').slice(0, -1),
    awsCalls: () => (read('aws.log') ?? '').split('\n').slice(0, -1),
    breakAws: (how) => writeFileSync(join(folder, how), ''),
    breakDocker: (pattern) => writeFileSync(join(folder, 'broken'), pattern),
    slowDocker: (pattern, seconds) => {
      writeFileSync(join(folder, 'slow'), pattern);
      writeFileSync(join(folder, 'seconds'), String(seconds));
    },
    close: () => putAway(folder),
  };
}

/** Says what it is asked, fails where the scene wants it to, and otherwise does what the stand-in does. */
const faultyDocker = (folder: string, containers: readonly string[]): string => `#!/bin/sh
echo "$*" >> '${folder}/docker.log'
if [ -e '${folder}/slow' ] && echo "$*" | grep -qE "$(cat '${folder}/slow')"; then sleep "$(cat '${folder}/seconds')"; fi
if [ -e '${folder}/broken' ] && echo "$*" | grep -qE "$(cat '${folder}/broken')"; then exit 1; fi
${dockerScript(containers)}`;

function runningCommand(child: ChildProcess): RunningCommand {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes) => (text += bytes));
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  return { pid: child.pid ?? 0, ended, output: () => text };
}

/** What the runner of the next containers does, in words of the shell. */
export const agentDoes = (host: Host, script: string): void => writeFileSync(join(host.folder, 'agent.sh'), script);

let tasks = 0;
/** Parameters of a command for an attempt that no other scene has. */
export function aCommand(changes: Parameters = {}): Record<string, string | undefined> {
  tasks += 1;
  const taskId = `t${String(process.pid).padStart(12, '0')}${String(tasks).padStart(12, '0')}`;
  return { action: 'run', taskId, attempt: '1', payload: `${taskId}.${'A'.repeat(43)}`, ...changes };
}

/** Goes on until it is killed, and says who it is. */
export const GOES_ON = 'echo $$ > "$BATON_SCRIPT.pid"; while :; do sleep 0.05; done';
export const pidIn = (host: Host): Promise<number> =>
  eventually(() => Number(host.read('agent.sh.pid')) || undefined, 'the run');
