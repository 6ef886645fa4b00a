import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { DeployedFleet } from './deployed-fleets.ts';

/** The key that machines of fleets sign with: that of the role in their profile. */
export const MACHINE_KEY = 'ASIAMACHINEOFAFLEET';

/** What a machine asks AWS for besides what its runner does; one line per call, in order: machine, service, call, what about. */
export const MACHINE_CALLS = 'machine-calls';

/** A boot takes less than this, in milliseconds, on a machine that is busy with other tests. */
const BOOT_MAX_MS = 60_000;

const execute = promisify(execFile);

export interface FleetMachine {
  /** What the boot of a worker of this machine made (`runtime/engine/local-fleet-worker.ts`). */
  readonly dir: string;
  readonly instanceId: string;
  readonly fleet: Pick<DeployedFleet, 'userData' | 'role'>;
  readonly region: string;
  /** Address of the services. */
  readonly url: string;
  /** File for its calls. */
  readonly callsFile: string;
}

/**
 * Runs the user data of a fleet's launch template on a worker of this machine, as cloud-init does on a fresh one. Beside it are a metadata
 * service that demands a token, the role's credentials in it, and a command line of AWS for what the scripts of a host ask. Answers what
 * the script printed, where it failed.
 */
export async function bootMachine(machine: FleetMachine, { fails = false } = {}): Promise<string | undefined> {
  const { dir, fleet } = machine;
  const [bin, boot, root] = [join(dir, 'bin'), join(dir, 'boot'), join(dir, 'var/lib')];
  for (const one of [boot, root]) mkdirSync(one, { recursive: true });
  // The script of runs is told where its host is; that of the boot goes by the root of the file system.
  if (!existsSync(join(root, 'baton'))) symlinkSync(join(dir, 'host'), join(root, 'baton'));
  writeFileSync(join(dir, 'role.json'), roleCredentials());
  const programs: readonly (readonly [string, string, string])[] = [
    [bin, 'curl', metadataService(machine)],
    [bin, 'aws', commandLine(machine)],
    [boot, 'rpm', 'echo 3.3.3572.0'],
    [boot, 'dnf', ''],
    [boot, 'systemctl', ''],
    [boot, 'docker', fails ? 'exit 1' : ''],
    // Nothing here gets better by waiting.
    [boot, 'sleep', ''],
  ];
  for (const [folder, name, does] of programs) program(join(folder, name), does);
  const script = join(boot, 'user-data');
  writeFileSync(script, fleet.userData);
  chmodSync(script, 0o700);
  const env = { PATH: [boot, bin, process.env['PATH']].join(delimiter), BATON_ROOT: dir };
  return execute(script, { env, cwd: dir, timeout: BOOT_MAX_MS }).then(
    () => undefined,
    ({ message, stdout = '' }: Error & { stdout?: string }) => `${message}\n${stdout}`,
  );
}

function program(file: string, does: string): void {
  writeFileSync(file, `#!/bin/sh\n${does}\n`);
  chmodSync(file, 0o700);
}

/** As an instance tells them (EC2 user guide, retrieve security credentials from instance metadata). */
const roleCredentials = (): string =>
  JSON.stringify({
    Code: 'Success',
    Type: 'AWS-HMAC',
    AccessKeyId: MACHINE_KEY,
    SecretAccessKey: 'loopback',
    Token: 'loopback',
    Expiration: '2099-01-01T00:00:00Z',
  });

/** Stands for `curl`: who asks without a token is told nothing. */
const metadataService = ({ dir, instanceId, region, fleet: { role } }: FleetMachine): string => `
for url; do :; done
case "$* " in
  *"--request PUT "*api/token*) echo "token-of-${instanceId}"; exit ;;
  *"X-aws-ec2-metadata-token: token-of-${instanceId} "*) ;;
  *) exit 22 ;;
esac
case "\${url#http://169.254.169.254/latest/meta-data/}" in
  instance-id) echo "${instanceId}" ;;
  placement/region) echo "${region}" ;;
  iam/security-credentials/) echo "${role}" ;;
  "iam/security-credentials/${role}") cat "${dir}/role.json" ;;
  *) exit 22 ;;
esac`;

/** Stands for `aws`: events reach the bus, tags are written down. */
const commandLine = ({ instanceId, callsFile, url }: FleetMachine): string => `
echo "${instanceId} $*" >> "${callsFile}"
case "$1 $2" in
  "ec2 create-tags") ;;
  "ssm get-connection-status") echo connected ;;
  "events put-events") exec "${process.execPath}" -e '${PUT_EVENTS}' "${url}" "$4" "$6" ;;
  *) exit 252 ;;
esac`;

/** Prints what \`--query FailedEntryCount\` of the command line does. Holds no single quote. */
const PUT_EVENTS = `
const [url, region, entries] = process.argv.slice(1);
const scope = ["${MACHINE_KEY}", "20000101", region, "events", "aws4_request"].join("/");
fetch(url, {
  method: "POST",
  headers: {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "AWSEvents.PutEvents",
    authorization: "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host, Signature=none",
  },
  body: JSON.stringify({ Entries: JSON.parse(entries) }),
}).then(async (answer) => {
  if (!answer.ok) throw new Error(await answer.text());
  console.log((await answer.json()).FailedEntryCount);
});`;
