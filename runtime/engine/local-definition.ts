import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import { USER_FILES_VARIABLE } from '../../schemas/task-definition.ts';

/** Values of secrets by their ARN, in the data directory: an object of texts. Whoever may read it has them all, so mode 600. */
const SECRETS_FILE = 'secrets.json';
/** Below it a directory for each access point, in the place of the file system that ECS would mount. */
const USER_FILES_DIR = 'user-files';
/** Ids of access points as EFS makes them: nothing that leads elsewhere. */
const ACCESS_POINT = /^fsap-[0-9a-f]{8,40}$/;

/** The parts of a container definition that count on this machine. */
interface ContainerDefinition {
  readonly name?: string;
  readonly image?: string;
  readonly environment?: readonly { readonly name: string; readonly value?: string }[];
  readonly secrets?: readonly { readonly name: string; readonly valueFrom: string }[];
  readonly mountPoints?: readonly { readonly sourceVolume?: string; readonly containerPath?: string }[];
}

interface Volume {
  readonly name?: string;
  readonly efsVolumeConfiguration?: { readonly authorizationConfig?: { readonly accessPointId?: string } };
}

type Definition = Readonly<Record<string, unknown>>;

/** What a container gets from its definition. Secrets go from process to process only, never into a file or a record. */
export interface Given {
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
}

/** Why a container cannot be given what its definition says, in the words of Fargate. */
export class NotGiven extends Error {}

/** Images, sidecars and roles are left to AWS; a container of this name is what this machine runs. */
export const agentContainerOf = ({ containerDefinitions = [] }: Definition): ContainerDefinition | undefined =>
  (containerDefinitions as readonly ContainerDefinition[]).find(({ name }) => name === AGENT_CONTAINER);

/**
 * Looks up what the agent container of a definition is to be given, as of now: a secret that was changed counts with the next start.
 * Throws NotGiven for a secret that is not there, and for files that cannot be shown.
 */
export function givenBy(definition: Definition, dataDir: string): Given {
  const { environment = [], secrets = [], mountPoints = [] } = agentContainerOf(definition) ?? {};
  const variables = Object.fromEntries(environment.map(({ name, value = '' }) => [name, value]));
  const mount = mountPoints.find(({ containerPath }) => containerPath === variables[USER_FILES_VARIABLE]);
  const volume = ((definition['volumes'] ?? []) as readonly Volume[]).find(({ name }) => name === mount?.sourceVolume);
  return {
    environment: mount ? { ...variables, [USER_FILES_VARIABLE]: userFiles(volume, dataDir) } : variables,
    secrets: secrets.length === 0 ? {} : valuesOf(secrets, readSecrets(dataDir)),
  };
}

/** The same directory for every run with this access point. */
function userFiles(volume: Volume | undefined, dataDir: string): string {
  const accessPoint = volume?.efsVolumeConfiguration?.authorizationConfig?.accessPointId;
  const failed = (why: string) =>
    new NotGiven(
      `ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: ${accessPoint ?? 'no access point'}: ${why}`,
    );
  if (accessPoint === undefined || !ACCESS_POINT.test(accessPoint)) throw failed('not found');
  const directory = join(dataDir, USER_FILES_DIR, accessPoint);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw failed(codeOf(error));
  }
  return directory;
}

function valuesOf(
  secrets: readonly { readonly name: string; readonly valueFrom: string }[],
  values: Readonly<Record<string, unknown>> | string,
): Record<string, string> {
  return Object.fromEntries(
    secrets.map(({ name, valueFrom }) => {
      const value = typeof values === 'string' ? undefined : Object.hasOwn(values, valueFrom) && values[valueFrom];
      if (typeof value === 'string' && !value.includes('\0')) return [name, value];
      const why = typeof values === 'string' ? values : `${SECRETS_FILE} of the data directory has no text for it`;
      throw new NotGiven(
        `ResourceInitializationError: unable to pull secrets or registry auth: failed to fetch secret ${valueFrom}: ResourceNotFoundException: ${why}`,
      );
    }),
  );
}

/** The values, or why they cannot be read: never what the file holds. */
function readSecrets(dataDir: string): Readonly<Record<string, unknown>> | string {
  let text: string;
  try {
    text = readFileSync(join(dataDir, SECRETS_FILE), 'utf8');
  } catch (error) {
    return `${SECRETS_FILE} of the data directory cannot be read: ${codeOf(error)}`;
  }
  try {
    const values: unknown = JSON.parse(text);
    if (typeof values === 'object' && values !== null && !Array.isArray(values)) return { ...values };
  } catch {
    // What a parser says quotes the text.
  }
  return `${SECRETS_FILE} of the data directory is no JSON object`;
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'cannot be made';
