import * as z from 'zod';
import { instant } from './json.ts';

/** Secrets of one user's clone. */
export const USER_SECRETS_MAX = 16;

/** What tells the runner which of its variables are the user's secrets, with commas between, and where the user's files are. */
export const USER_SECRETS_VARIABLE = 'BATON_USER_SECRETS';
export const USER_FILES_VARIABLE = 'BATON_USER_FILES';

/** Fargate sizes: CPU units → MB of memory that may go with them (Amazon ECS developer guide, task size). */
const SIZES: Readonly<Record<number, readonly [least: number, most: number, step: number]>> = {
  256: [512, 2_048, 1_024],
  512: [1_024, 4_096, 1_024],
  1024: [2_048, 8_192, 1_024],
  2048: [4_096, 16_384, 1_024],
  4096: [8_192, 30_720, 1_024],
  8192: [16_384, 61_440, 4_096],
  16384: [32_768, 122_880, 8_192],
};

/** CPU units and MB of memory of a run. */
export const runSize = z
  .strictObject({ cpu: z.int(), memory: z.int() })
  .refine(({ cpu }) => cpu in SIZES, `Fargate has no such cpu; it has ${Object.keys(SIZES).join(', ')}`)
  .refine(({ cpu, memory }) => !(cpu in SIZES) || isMemoryOf(cpu, memory), {
    error: ({ input }) =>
      `Fargate has no such memory with that cpu; it has ${memoryOf((input as { cpu: number }).cpu)}`,
  });

function isMemoryOf(cpu: number, memory: number): boolean {
  const [least, most, step] = SIZES[cpu] ?? [0, 0, 1];
  return memory === least || (memory > least && memory <= most && memory % step === 0);
}

function memoryOf(cpu: number): string {
  const [least, most, step] = SIZES[cpu] ?? [0, 0, 1];
  const first = Math.ceil(least / step) * step;
  return `${least < first ? `${least} MB, or ` : ''}${first} to ${most} MB in steps of ${step}`;
}

/** Where a user's files are: a file system, and the access point that shows this user's part of it alone. */
export const userFileSystem = z.strictObject({
  id: z.string().regex(/^fs-[0-9a-f]{8,40}$/, 'is no id of an EFS file system (fs-…)'),
  accessPoint: z.string().regex(/^fsap-[0-9a-f]{8,40}$/, 'is no id of an EFS access point (fsap-…)'),
});

/** A secret by reference: a secret of Secrets Manager, or a parameter of Systems Manager, whole ARN. */
const secretReference = z
  .string()
  .max(2_048)
  .regex(
    /^arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:\d{12}:secret:|ssm:[a-z0-9-]+:\d{12}:parameter\/)[^\s"'`$\\]+$/,
    'is no ARN of a secret of Secrets Manager, or of a parameter of Systems Manager',
  );

/** Names by which programs are led: ECS gives a secret to the whole container, and the runner is not to load what its value says. */
const LEADING = /^(PATH|HOME|SHELL|USER|LOGNAME|PWD|TMPDIR|IFS|ENV|BASH_ENV|(NODE|LD|DYLD|GIT|SSL|OPENSSL|GCONV)_.*)$/;

/** A variable that the agent of one user gets. The runner's own, and those by which AWS hands out credentials, are not for anybody to set. */
const secretName = z
  .string()
  .regex(
    /^(?!BATON_|AWS_|ECS_)[A-Z][A-Z0-9_]{0,63}$/,
    'is no variable that may be set (A-Z, 0-9 and "_"; none of BATON_, AWS_, ECS_)',
  )
  .refine((name) => !LEADING.test(name), 'leads programs (such as PATH, NODE_…, LD_…, GIT_…) and may not be set');

/** What the clone for one user has beside the base. */
export const userTerms = z.strictObject({
  size: runSize.optional(),
  fileSystem: userFileSystem.optional(),
  /** Variable → reference. ECS puts the value into the agent container when it starts. */
  secrets: z
    .record(secretName, secretReference, { error: badKey })
    .refine((value) => Object.keys(value).length <= USER_SECRETS_MAX, `has more than ${USER_SECRETS_MAX} secrets`)
    .optional(),
});
export type UserTerms = z.infer<typeof userTerms>;

/** A clone of the base definition for one user: which revision of the base it was made from, and with which terms. */
const clone = z.looseObject({ arn: z.string(), base: z.string(), terms: z.string(), at: instant });

/** What is known of one user's clones: the one in use, one that somebody is registering, and those that age out. Fields of a newer version are kept. */
export const userDefinitionRecord = z.looseObject({
  userId: z.string(),
  configuration: z.string(),
  current: clone.optional(),
  /** Somebody registers it since then; whoever comes meanwhile comes again later. */
  registering: z.looseObject({ base: z.string(), terms: z.string(), at: instant, by: z.string() }).optional(),
  superseded: z.array(z.looseObject({ arn: z.string(), at: instant })),
});
export type UserDefinitionRecord = z.infer<typeof userDefinitionRecord>;

/** What is wrong with a name in a map, instead of that something is. */
export function badKey(issue: z.core.$ZodRawIssue): string | undefined {
  return issue.code === 'invalid_key' ? (issue as unknown as z.core.$ZodIssueInvalidKey).issues[0]?.message : undefined;
}
