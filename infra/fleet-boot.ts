import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Fn } from 'aws-cdk-lib';
import { agentSecretsText } from '../schemas/agent-secrets.ts';
import type { Variables } from './function-environment.ts';
import type { Ec2Settings } from './settings.ts';

/** Most bytes of user data, before it is written as base64 (EC2 user guide, instance user data). */
export const USER_DATA_MAX_BYTES = 16_384;

const INTERPRETER = '#!/bin/bash\n';

/** A script of the host, as it is. */
export const hostScript = (name: 'boot' | 'run'): string =>
  readFileSync(fileURLToPath(new URL(`../agent/host/${name}.sh`, import.meta.url)), 'utf8');

interface Booted {
  readonly fleet: string;
  readonly settings: Pick<Ec2Settings, 'agentImage' | 'secrets'>;
  readonly logGroup: string;
  /** What the runner reads; of its deployment only names. */
  readonly variables: Variables;
}

/**
 * What a fresh machine of the fleet runs: its settings, then `agent/host/boot.sh`, which checks each of them. References only: whoever may
 * describe the launch template reads them, and so does every process of the machine.
 */
export function userData({ fleet, settings, logGroup, variables }: Booted): string {
  const { BATON_TABLE = '', BATON_BUS = '', BATON_PAYLOAD_BUCKET = '' } = variables;
  const exported = {
    BATON_FLEET: fleet,
    BATON_IMAGE: settings.agentImage,
    BATON_LOG_GROUP: logGroup,
    BATON_BUS,
    BATON_TABLE,
    BATON_PAYLOAD_BUCKET,
    ...(settings.secrets.length > 0 ? { BATON_AGENT_SECRETS: agentSecretsText(settings.secrets) } : {}),
  };
  const lines = Object.entries(exported).map(([name, value]) => `export ${name}='${value}'\n`);
  return Fn.base64([INTERPRETER, ...lines, hostScript('boot').replace(INTERPRETER, '')].join(''));
}
