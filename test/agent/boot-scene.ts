import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach } from '@jest/globals';
import { putAway, sceneFolder } from '../scene-folder.ts';

export const SCRIPT = fileURLToPath(new URL('../../agent/host/boot.sh', import.meta.url));
export const settings = {
  BATON_FLEET: 'main',
  BATON_IMAGE: '000000000000.dkr.ecr.eu-west-1.amazonaws.com/baton/agent@sha256:0123',
  BATON_LOG_GROUP: '/baton/fleet',
  BATON_BUS: 'baton',
  BATON_TABLE: 'baton',
  BATON_PAYLOAD_BUCKET: 'baton-payloads',
};

/** What the programs of an instance answer, in words of the shell, before they do what they always do. */
export type Programs = Partial<Record<'curl' | 'rpm' | 'dnf' | 'systemctl' | 'docker' | 'aws' | 'sleep', string>>;

export const usual: Required<Programs> = {
  sleep: 'true',
  curl: 'case "$*" in *api/token*) echo a-token ;; *instance-id*) echo i-0123456789abcdef0 ;; *placement/region*) echo eu-west-1 ;; esac',
  rpm: 'echo 3.3.3572.0',
  dnf: 'true',
  systemctl: 'true',
  docker: 'true',
  aws: 'case "$*" in *put-events*) echo 0 ;; *get-connection-status*) echo connected ;; esac',
};

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await putAway(folder);
});

export interface Boot {
  readonly code: number | null;
  readonly output: string;
  /** Calls of programs, in order. */
  readonly calls: string[];
  /** What was put on the bus. */
  readonly events: { type: string; bus: string; source: string; data: unknown }[];
  file(path: string): string | undefined;
  modeOf(path: string): number;
}

/** Boots an instance whose programs only write down what they are asked; it waits for nobody. */
export function booted(programs: Programs = {}, changes: Readonly<Record<string, string>> = {}): Boot {
  const folder = sceneFolder();
  folders.push(folder);
  const [bin, root, log] = [join(folder, 'bin'), join(folder, 'root'), join(folder, 'log')];
  for (const one of [bin, root]) mkdirSync(one);
  const given: Readonly<Record<string, string>> = { ...usual, ...programs };
  for (const [name, does] of Object.entries(given)) {
    const file = join(bin, name);
    writeFileSync(
      file,
      `#!/bin/bash\nprintf '%s\\0' "${name} $*" >> '${log}'\nNTH=$(grep -acz '^${name} ' '${log}')\n${does}\n`,
    );
    chmodSync(file, 0o755);
  }
  const env = { PATH: `${bin}:${process.env['PATH']}`, BATON_ROOT: root, ...settings, ...changes };
  const { status, stdout, stderr } = spawnSync('/bin/bash', [SCRIPT], { env, encoding: 'utf8', cwd: folder });
  const calls = existsSync(log) ? readFileSync(log, 'utf8').split('\0').slice(0, -1) : [];
  return {
    code: status,
    output: stdout + stderr,
    calls,
    events: calls.filter((call) => call.startsWith('aws events put-events')).flatMap(entriesIn),
    file: (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined),
    modeOf: (path) => statSync(join(root, path)).mode & 0o777,
  };
}

function entriesIn(call: string): Boot['events'] {
  const [, entries = '[]'] = /--entries (.*) --query FailedEntryCount/s.exec(call) ?? [];
  const parsed: Record<string, string>[] = JSON.parse(entries);
  return parsed.map(({ DetailType = '', EventBusName = '', Source = '', Detail = '' }) => ({
    type: DetailType,
    bus: EventBusName,
    source: Source,
    data: JSON.parse(Detail).data,
  }));
}
