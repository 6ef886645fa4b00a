import { USER_FILES_VARIABLE, USER_SECRETS_VARIABLE, type UserTerms } from '../schemas/task-definition.ts';
import { AGENT_CONTAINER } from './ecs-task.ts';

/** The tag that infrastructure alone writes, on base definitions alone; its value is the stage. */
export const BASE_MARKER = 'baton:base';
/** Tags of a clone: whose it is, and what it was made from. */
export const CLONE_TAGS = { user: 'baton:user', base: 'baton:made-from', terms: 'baton:terms' } as const;
/**
 * Raised whenever `cloneFor` makes another clone of the same base and terms: a clone of an older version is no longer used then. The clone
 * itself would not do as its own version: ECS may describe a base in another order.
 */
export const CLONE_VERSION = 1;
/** Where the files of a user are mounted in the agent container. */
export const USER_FILES = '/mnt/user';
const USER_VOLUME = 'user';

/** Clones live in a family of their own: who describes the base family never gets one. */
export const userFamilyOf = (baseFamily: string): string => `${baseFamily}-user`;

/** A task definition as ECS describes it; the fields that matter here, and whatever else it has. */
export interface Described {
  readonly arn: string;
  readonly family: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly definition: Readonly<Record<string, unknown>>;
}

/**
 * What `DescribeTaskDefinition` answers and `RegisterTaskDefinition` refuses: the difference of the two shapes in the API model of ECS
 * (botocore 1.43).
 */
const DESCRIBED_ONLY: ReadonlySet<string> = new Set([
  'taskDefinitionArn',
  'revision',
  'status',
  'requiresAttributes',
  'compatibilities',
  'registeredAt',
  'registeredBy',
  'deregisteredAt',
  'deleteRequestedAt',
]);

/** Whether infrastructure wrote it. A family that mixes bases and clones has revisions without the marker. */
export const isBase = ({ tags }: Pick<Described, 'tags'>, stage: string): boolean => tags[BASE_MARKER] === stage;

/** Tags that a clone takes over: the marker is of bases alone, and nobody but AWS may write its own. */
const isOfAnyone = (name: string): boolean => name !== BASE_MARKER && !/^aws:/i.test(name);

interface ContainerDefinition {
  readonly name?: string;
  readonly environment?: readonly { readonly name: string; readonly value: string }[];
  readonly secrets?: readonly { readonly name: string; readonly valueFrom: string }[];
  readonly mountPoints?: readonly object[];
}

export interface NewDefinition {
  readonly family: string;
  readonly definition: Readonly<Record<string, unknown>>;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * The definition to register for a user: image, roles, log, and all else from the base; size, files and secrets as the terms say.
 * `undefined` when the base has no agent container: then nobody knows what to give them to.
 */
export function cloneFor(
  base: Described,
  { userId, terms, fingerprint }: { readonly userId: string; readonly terms: UserTerms; readonly fingerprint: string },
): NewDefinition | undefined {
  const { size, fileSystem, secrets = {} } = terms;
  const kept = Object.fromEntries(Object.entries(base.definition).filter(([name]) => !DESCRIBED_ONLY.has(name)));
  const containers = (kept['containerDefinitions'] ?? []) as readonly ContainerDefinition[];
  if (!containers.some(({ name }) => name === AGENT_CONTAINER)) return undefined;
  const volumes = (kept['volumes'] ?? []) as readonly { readonly name?: string }[];
  const tags = Object.fromEntries(Object.entries(base.tags).filter(([name]) => isOfAnyone(name)));
  return {
    family: userFamilyOf(base.family),
    definition: {
      ...kept,
      family: userFamilyOf(base.family),
      ...(size ? { cpu: String(size.cpu), memory: String(size.memory) } : {}),
      containerDefinitions: containers.map((one) => (one.name === AGENT_CONTAINER ? forUser(one) : one)),
      ...(fileSystem
        ? { volumes: [...volumes.filter(({ name }) => name !== USER_VOLUME), userVolume(fileSystem)] }
        : {}),
    },
    tags: {
      ...tags,
      [CLONE_TAGS.user]: tagText(userId),
      [CLONE_TAGS.base]: base.arn,
      [CLONE_TAGS.terms]: fingerprint,
    },
  };

  function forUser(container: ContainerDefinition): ContainerDefinition {
    const own = Object.entries(secrets).map(([name, valueFrom]) => ({ name, valueFrom }));
    const others = (container.secrets ?? []).filter(({ name }) => !(name in secrets));
    const mounts = container.mountPoints ?? [];
    // ECS refuses a name that is both a variable and a secret.
    const plain = (container.environment ?? []).filter(({ name }) => !(name in secrets));
    const told = [
      ...(fileSystem ? [{ name: USER_FILES_VARIABLE, value: USER_FILES }] : []),
      ...(own.length > 0 ? [{ name: USER_SECRETS_VARIABLE, value: Object.keys(secrets).join(',') }] : []),
    ];
    return {
      ...container,
      ...(told.length > 0 ? { environment: [...plain, ...told] } : {}),
      ...(own.length > 0 ? { secrets: [...others, ...own] } : {}),
      ...(fileSystem
        ? { mountPoints: [...mounts, { sourceVolume: USER_VOLUME, containerPath: USER_FILES, readOnly: false }] }
        : {}),
    };
  }
}

/** With an access point the root directory must be left out, and transit must be encrypted (Amazon ECS developer guide, EFS volumes). */
const userVolume = ({ id, accessPoint }: NonNullable<UserTerms['fileSystem']>) => ({
  name: USER_VOLUME,
  efsVolumeConfiguration: {
    fileSystemId: id,
    transitEncryption: 'ENABLED',
    authorizationConfig: { accessPointId: accessPoint, iam: 'ENABLED' },
  },
});

/** Longest value of a tag, in characters, and the characters that ECS takes there. */
const TAG_MAX_CHARS = 256;
/** `aws:` is for AWS alone. */
const tagText = (text: string): string =>
  text
    .replace(/^aws:/i, 'aws_')
    .replace(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, '_')
    .slice(0, TAG_MAX_CHARS);
