import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { identityOf, killAll } from '../../agent/supervisor-processes.ts';
import { LOCAL_CONTAINERS_VARIABLE, type LocalContainers } from '../../schemas/local-containers.ts';
import type { CommandDocument } from '../../schemas/run-document.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import type { RunSpec } from '../../schemas/supervised-run.ts';
import { type Container, container } from './local-agentcore-container.ts';
import { runDir } from './local-ecs-run-dir.ts';
import { scriptOf, variablesOf } from './local-fleet-document.ts';
import type { CommandRecord } from './local-fleet-records.ts';

/** The script as SSM's agent leaves it on a machine. */
const SCRIPT = '_script.sh';
/** Output of a command that is kept, in bytes: what GetCommandInvocation shows at most, and as much again. */
const OUTPUT_MAX_BYTES = 64 * 1024;
/** Sent to a supervisor after this time it is SIGKILL: SSM's agent sends nothing else. */
const AT_ONCE_MS = Number.POSITIVE_INFINITY;

/** Programs that the script of a host needs, and that not every machine has. */
const NEEDED = ['bash', 'flock', 'setsid'];

/** Why this machine cannot have workers, as part of a sentence; undefined if it can. macOS has an old bash and neither of the others. */
export function unfit({ path = process.env['PATH'] ?? '', platform = process.platform } = {}): string | undefined {
  if (platform !== 'linux') return 'the workers of a fleet need Linux';
  const missing = NEEDED.filter((name) => !path.split(delimiter).some((dir) => existsSync(join(dir, name))));
  return missing.length === 0
    ? undefined
    : `the workers of a fleet need bash, and flock and setsid of util-linux; there is no ${missing.join(' and no ')} here`;
}

/** The directory that is a worker: its host, and the commands that SSM's agent runs there. */
export interface LocalWorker {
  /** What the boot of an instance leaves: an empty host, and `docker` on its path. */
  boot(containersCommand: readonly string[]): void;
  /** Starts the script of a command. Throws what the file system or `spawn` says. */
  start(
    command: CommandRecord,
    document: CommandDocument,
    containers: LocalContainers,
    stopTimeoutSeconds: number,
  ): void;
  /** Kills the script as SSM's agent does: its process group, without a word. What is in a session of its own lives on. */
  killCommand(commandId: string): void;
  /** How the script ended; undefined while it runs, or is being started. */
  end(commandId: string): Promise<CommandEnd | undefined>;
  /** Somebody has begun it, or nobody will any more: a start has no effect then. */
  isTaken(commandId: string): boolean;
  /** Nobody will start it any more, unless somebody has. */
  abandon(commandId: string, reason: string): void;
  output(commandId: string): string;
  /** Removes what an ended command left. */
  forget(commandId: string): void;
  /** Ends all that runs on it, at once. False if something does not end. */
  powerOff(): Promise<boolean>;
  /** Takes its disk away. */
  remove(): void;
}

/** `exitCode` undefined: it never began, or was killed. */
export interface CommandEnd {
  readonly exitCode: number | undefined;
}

export function localWorker(dir: string, instanceId: string): LocalWorker {
  const host = join(dir, 'host');
  const bin = join(dir, 'bin');
  const commandDir = (commandId: string): string => join(dir, 'commands', commandId);
  const processOf = (commandId: string): Container => container(commandDir(commandId), 0);

  return {
    boot(containersCommand) {
      for (const one of [host, bin, join(dir, 'commands')]) mkdirSync(one, { recursive: true, mode: 0o700 });
      writeFileSync(join(host, 'image'), 'this-machine\n');
      writeFileSync(join(host, 'container.env'), '');
      const docker = join(bin, 'docker');
      writeFileSync(docker, `#!/bin/sh\n${dockerScript(containersCommand)}`);
      chmodSync(docker, 0o700);
    },

    start(command, document, containers, stopTimeoutSeconds) {
      const path = commandDir(command.commandId);
      mkdirSync(path, { recursive: true, mode: 0o700 });
      const script = join(path, SCRIPT);
      writeFileSync(script, `${scriptOf(document, command.parameters).join('\n')}\n`);
      chmodSync(script, 0o700);
      const spec: RunSpec = {
        schemaVersion: 1,
        taskArn: command.commandId,
        command: ['sh', '-c', script],
        environment: {
          ...variablesOf(document, command.parameters),
          PATH: [bin, process.env['PATH']].join(delimiter),
          AWS_SSM_INSTANCE_ID: instanceId,
          BATON_HOST_DIR: host,
          BATON_STOP_TIMEOUT_S: String(stopTimeoutSeconds),
          [LOCAL_CONTAINERS_VARIABLE]: JSON.stringify(containers),
        },
        cwd: path,
        stopTimeoutSeconds: 0,
        logMaxBytes: OUTPUT_MAX_BYTES,
      };
      processOf(command.commandId).launch(spec, containers.supervisorCommand);
    },

    killCommand: (commandId) => processOf(commandId).kill(AT_ONCE_MS),

    async end(commandId) {
      if (!(await processOf(commandId).isGone())) return undefined;
      return { exitCode: runDir(commandDir(commandId)).exit()?.exitCode ?? undefined };
    },

    isTaken: (commandId) => runDir(commandDir(commandId)).marker() !== undefined,

    abandon(commandId, reason) {
      processOf(commandId).abandon(reason);
    },

    output(commandId) {
      const file = join(commandDir(commandId), RUN_FILES.log);
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    },

    forget: (commandId) => rmSync(commandDir(commandId), { recursive: true, force: true }),

    async powerOff() {
      // The worker has its directory for itself, so no session is too old to be of it: the first process of the machine stands for its origin.
      const origin = identityOf(1) ?? { pid: 1, start: '' };
      return (await killAll({ leader: undefined, origin, places: [dir] })) === 0;
    },

    remove: () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/**
 * `docker` on the path of a worker. Most questions are asked of a host without containers, and a shell has their answer in a few
 * milliseconds; all else is for the program that stands for the engine.
 */
export const dockerScript = (containersCommand: readonly string[]): string => `
is_bare() {
  [ -n "$BATON_HOST_DIR" ] || return 1
  for file in "$BATON_HOST_DIR"/containers/*.json; do if [ -e "$file" ]; then return 1; fi; done
}
case "$*" in 'ps --all --quiet --filter label='* | 'container prune --force') if is_bare; then exit 0; fi ;; esac
exec ${containersCommand.map(quoted).join(' ')} "$@"
`;

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
