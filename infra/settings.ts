import * as z from 'zod';
import { AGENT_SECRETS_MAX_CHARS, type AgentSecret, agentSecret, agentSecretsText } from '../schemas/agent-secrets.ts';
import { type Compute, compute } from '../schemas/compute.ts';
import { STAGE_DEFAULT, stage } from '../schemas/stage.ts';
import { FLEET_DEFAULT } from '../schemas/worker.ts';
import { ecrRegionOf, isEcrImage } from './agent-image.ts';
import { FLEETS_DEFAULT, FLEETS_MAX, type FleetSettings, fleet, isHostImage } from './fleet-settings.ts';

/** Days that the archive keeps events when nobody says otherwise: a month of work can be replayed. */
const ARCHIVE_RETENTION_DEFAULT_D = 30;
/** Longest retention of an archive in days. Rows of settled tasks are kept as long, and what is older nobody replays. */
const ARCHIVE_RETENTION_MAX_D = 3_650;
/** Rows of settled tasks are kept so many days at least, whatever the archive keeps: people ask about tasks of last quarter. */
const RECORD_RETENTION_MIN_D = 90;
/** Tasks of one user that run at the same time. Each Fargate task costs money while it runs, so the default is small. */
const TASKS_AT_ONCE_DEFAULT = 4;
/** Slot holders that one key may have (`docs/records.md`). */
const TASKS_AT_ONCE_MAX = 500;

/**
 * Principals with a name of their own: each has a statement in the policy of the bus, which EventBridge takes up to 10,240 characters, and
 * which names the role of every function as well.
 */
const REQUESTERS_MAX = 5;
/** Characters of such a name: with what goes before it a statement's id has at most 64. */
const REQUESTER_NAME_MAX = 40;

/** `a, b,,c, ` is three names. A list that names nothing counts as not given. */
const list = z.string().transform((value) =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
);
const text = z.string().trim().min(1, 'is empty');

const principal = z
  .string()
  .regex(
    /^arn:aws[a-z-]*:iam::\d{12}:(role|user)\/.+$/,
    'is no ARN of an IAM role or user (of an assumed role, give the role itself)',
  );
const requester = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9_-]{1,${REQUESTER_NAME_MAX}}=arn:`),
    `is not <name>=<ARN>, the name of at most ${REQUESTER_NAME_MAX} letters, digits, "_" and "-"`,
  )
  .transform((value) => ({ name: value.slice(0, value.indexOf('=')), arn: value.slice(value.indexOf('=') + 1) }))
  .refine(({ arn }) => principal.safeParse(arn).success, 'names no ARN of an IAM role or user');

const completeSecret = text.regex(
  /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/,
  'is no complete ARN of a secret',
);

/** What the execution role may read for users: a secret or parameter, or all whose ARN begins so. */
const userSecrets = z
  .string()
  .regex(
    /^arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:\d{12}:secret:([^\s*?$]+-[A-Za-z0-9]{6}|[^\s*?$]+\*)|ssm:[a-z0-9-]+:\d{12}:parameter\/[^\s*?$]+\*?)$/,
    'is neither the complete ARN of a secret or parameter nor the beginning of one with "*" behind it',
  );

const userFileSystem = text
  .regex(
    /^fs-[0-9a-f]{8,40}:sg-[0-9a-f]{8,17}$/,
    'is not <id of an EFS file system>:<id of the security group of its mount targets>',
  )
  .transform((value) => ({
    id: value.slice(0, value.indexOf(':')),
    securityGroup: value.slice(value.indexOf(':') + 1),
  }));

/** A draft can change from one text to the next, so only a version can be named. */
const guardrail = text
  .regex(
    /^([a-z0-9]+|arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:guardrail\/[a-z0-9]+):[1-9]\d{0,7}$/,
    'is not <id or ARN of a guardrail>:<number of its version>',
  )
  .transform((value) => ({
    id: value.slice(0, value.lastIndexOf(':')),
    version: value.slice(value.lastIndexOf(':') + 1),
  }));

function whole(max: number) {
  const range = `is not from 1 to ${max}`;
  return z.coerce.number('is no number').int('is no whole number').min(1, range).max(max, range);
}

const backEnd = z.enum(compute.options, {
  error: ({ input }) => `has ${input}, which cannot be deployed; there are: ${compute.options.join(', ')}`,
});

/** Every setting of a deployment: the context values of `cdk deploy -c name=value`. */
const context = z.object({
  stage: stage.default(STAGE_DEFAULT),
  /** Back ends to deploy, the default one first. Left out it is AgentCore where there is an image, and else none. */
  computes: list.pipe(z.array(backEnd)).optional(),
  /** Principals that are trusted to ask for tasks in the name of any user. */
  producers: list.pipe(z.array(principal)).default([]),
  /** Principals that may ask for tasks in one name only, as `name=ARN`. */
  requesters: list
    .pipe(
      z
        .array(requester)
        .max(REQUESTERS_MAX, `names more than ${REQUESTERS_MAX}, which the policy of a bus has no room for`),
    )
    .default([]),
  /** Principals that may cancel any task. */
  operators: list.pipe(z.array(principal)).default([]),
  archiveRetentionDays: whole(ARCHIVE_RETENTION_MAX_D).default(ARCHIVE_RETENTION_DEFAULT_D),
  tasksAtOnce: whole(TASKS_AT_ONCE_MAX).default(TASKS_AT_ONCE_DEFAULT),
  agentCommand: text.optional(),
  agentCommandAllowed: z.enum(['true', 'false'], 'is neither true nor false').optional(),
  /** Where alarms go: an SNS topic that exists, or an address for a new one. */
  alarmTopic: text.regex(/^arn:aws[a-z-]*:sns:/, 'is no ARN of an SNS topic').optional(),
  alarmEmail: z.email('is no e-mail address').optional(),
  /** The image with the runner, for every back end. */
  agentImage: text.optional(),
  /** Secrets for the agent's own keys, for every back end. */
  agentSecrets: list.pipe(z.array(agentSecret)).optional(),
  /** ECS and EC2: `own` or the id of a VPC; its subnets. */
  vpc: text.regex(/^(own|vpc-[0-9a-f]{8,17})$/, 'is neither "own" nor the id of a VPC').optional(),
  subnets: list.pipe(z.array(z.string().regex(/^subnet-[0-9a-f]{8,17}$/, 'is no id of a subnet'))).optional(),
  /** EC2: machines that stand ready, as `<name>=<machines>[:<instance type>[:spot]]`. */
  fleets: list.pipe(z.array(fleet).max(FLEETS_MAX, `names more than ${FLEETS_MAX}`)).optional(),
  /** ECS, for users whose runs are isolated: what may be a secret of theirs, and where their files are. */
  userSecrets: list.pipe(z.array(userSecrets)).optional(),
  userFileSystem: userFileSystem.optional(),
  /** Whether every text of a task must pass a guardrail before compute starts; one that exists, or else a new one. */
  screening: z.enum(['off', 'required'], 'is neither off nor required').default('off'),
  guardrail: guardrail.optional(),
  /** The secret with the token that reads the issues and pull requests which tasks name. */
  githubToken: completeSecret.optional(),
});

type Context = z.infer<typeof context>;

export type SettingName = keyof typeof context.shape;
export const settingNames = Object.keys(context.shape) as readonly SettingName[];

/** Where agents run: a network of the deployment's own, or one that exists. */
export type NetworkSettings =
  | { readonly kind: 'own' }
  | { readonly kind: 'given'; readonly vpcId: string; readonly subnetIds: readonly string[] };

export interface EcsSettings {
  readonly agentImage: string;
  readonly network: NetworkSettings;
  /** Variables whose values ECS fetches when a run starts; the template and every event hold the reference alone. */
  readonly secrets: readonly AgentSecret[];
  /** ARNs, some with `*` at the end, of what definitions of users may refer to. */
  readonly userSecrets: readonly string[];
  /** The file system whose access points definitions of users may mount. */
  readonly userFileSystem?: { readonly id: string; readonly securityGroup: string };
}

export interface AgentcoreSettings {
  /** In ECR, with a tag or a digest: AgentCore takes no other. */
  readonly agentImage: string;
  /** Variables whose values the runner fetches when it works for an attempt; the runtime is told the references alone. */
  readonly secrets: readonly AgentSecret[];
}

export interface Ec2Settings {
  readonly agentImage: string;
  /** The same as that of ECS, where both are deployed. */
  readonly network: NetworkSettings;
  /** Variables whose values the runner fetches when it works for an attempt; machines are told the references alone. */
  readonly secrets: readonly AgentSecret[];
  readonly fleets: readonly FleetSettings[];
}

export type Settings = Omit<Context, BackEndSetting | 'computes'> & {
  /** Back ends of this deployment, the default one first. */
  readonly computes: readonly Compute[];
  /** Days that rows outlive their task: never less than the archive keeps, so that a replay meets no forgotten task. */
  readonly recordRetentionDays: number;
  /** Present exactly when `computes` has agentcore. */
  readonly agentcore?: AgentcoreSettings;
  /** Present exactly when `computes` has ecs. */
  readonly ecs?: EcsSettings;
  /** Present exactly when `computes` has ec2. */
  readonly ec2?: Ec2Settings;
};

/** Checks all context values at once. Throws one error that names every setting that is missing, wrong, unknown or of no use. */
export function settingsFrom(given: Readonly<Record<string, unknown>>): Settings {
  const values = Object.fromEntries(settingNames.map((name) => [name, present(given[name])]));
  const parsed = context.safeParse(values);
  const stray = Object.keys(given).filter(isStray);
  const complaints = [
    ...stray.map((name) => `${name} is no setting`),
    ...(parsed.error?.issues ?? []).map(({ path, message }) => `${String(path[0])} ${message}${whichOf(path, values)}`),
    ...contradictions(validPart(values), context.shape.computes.safeParse(values['computes']).success),
  ];
  if (!parsed.success || complaints.length > 0) {
    const known = stray.length > 0 ? ` Settings are: ${settingNames.join(', ')}.` : '';
    throw new Error(`These settings cannot be deployed: ${complaints.join('; ')}.${known} See docs/deploy.md.`);
  }
  const {
    computes: _,
    agentImage,
    vpc,
    subnets,
    agentSecrets: secrets = [],
    userSecrets = [],
    userFileSystem,
    fleets: named = [],
    ...settings
  } = parsed.data;
  const computes = computesOf(parsed.data);
  const fleets = named.length > 0 ? named : FLEETS_DEFAULT;
  const recordRetentionDays = Math.max(settings.archiveRetentionDays, RECORD_RETENTION_MIN_D);
  const whole: Settings = { ...settings, computes, recordRetentionDays };
  if (agentImage === undefined) return whole;
  const agentcore = computes.includes('agentcore') ? { agentcore: { agentImage, secrets } } : {};
  if (vpc === undefined) return { ...whole, ...agentcore };
  const network: NetworkSettings =
    vpc === 'own' ? { kind: 'own' } : { kind: 'given', vpcId: vpc, subnetIds: subnets ?? [] };
  const files = userFileSystem ? { userFileSystem } : {};
  return {
    ...{ ...whole, ...agentcore },
    ...(computes.includes('ecs') ? { ecs: { agentImage, network, secrets, userSecrets, ...files } } : {}),
    ...(computes.includes('ec2') ? { ec2: { agentImage, network, secrets, fleets } } : {}),
  };
}

/** Which entry of a list is meant: by its place, and by the name before "=". What is behind it may be a secret that somebody put there. */
function whichOf(
  [setting, place]: readonly PropertyKey[],
  values: Readonly<Record<string, string | undefined>>,
): string {
  if (typeof place !== 'number') return '';
  const entry = list.parse(values[String(setting)] ?? '')[place] ?? '';
  const name = /^([A-Z][A-Z0-9_]*)=[^=]/.exec(entry)?.[1];
  return ` (entry ${place + 1}${name === undefined ? '' : `, ${name}`})`;
}

/** AgentCore is the back end of who names none: it needs an image and nothing else. */
const computesOf = ({ computes, agentImage }: Partial<Context>): readonly Compute[] =>
  computes ?? (agentImage === undefined ? [] : ['agentcore']);

/** The settings that are right by themselves, and of back ends those that are, so that one bad value does not hide a contradiction among the others. */
const validPart = (values: Readonly<Record<string, string | undefined>>): Partial<Context> =>
  Object.fromEntries(
    settingNames.flatMap((name) => {
      const parsed = context.shape[name].safeParse(values[name]);
      if (parsed.success) return [[name, parsed.data]];
      return name === 'computes'
        ? [[name, list.parse(values[name]).filter((one) => backEnd.safeParse(one).success)]]
        : [];
    }),
  );

/** Setting → the back ends that take it; of no use to a deployment that has none of them. */
const TAKEN_BY = {
  agentImage: ['agentcore', 'ecs', 'ec2'],
  vpc: ['ecs', 'ec2'],
  subnets: ['ecs', 'ec2'],
  agentSecrets: ['agentcore', 'ecs', 'ec2'],
  userSecrets: ['ecs'],
  userFileSystem: ['ecs'],
  fleets: ['ec2'],
} as const satisfies { readonly [Name in SettingName]?: readonly Compute[] };

type BackEndSetting = keyof typeof TAKEN_BY;

/** Back end → what it needs; all of it or nothing. */
const NEEDS = {
  agentcore: ['agentImage'],
  ecs: ['agentImage', 'vpc', 'subnets'],
  ec2: ['agentImage', 'vpc', 'subnets'],
} as const satisfies { readonly [Name in Compute]: readonly BackEndSetting[] };

/** What does not fit together. Where a back end is misspelt nobody knows what is of no use. */
function contradictions(values: Partial<Context>, areBackEndsKnown: boolean): string[] {
  const { requesters = [], alarmTopic, alarmEmail, screening, guardrail, ...all } = values;
  const computes = computesOf(values);
  const given = (Object.keys(TAKEN_BY) as BackEndSetting[]).filter((name) => {
    const value = all[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  });
  const own = all.vpc === 'own';
  return [
    ...new Set(computes.flatMap((name) => lacking(name, given, own))),
    ...(areBackEndsKnown ? useless(given, computes) : []),
    ...(own && given.includes('subnets') ? ['subnets are not for a VPC of our own'] : []),
    ...(computes.includes('agentcore') && all.agentImage !== undefined && !isEcrImage(all.agentImage)
      ? [
          `agentImage is no <account>.dkr.ecr.<region>.amazonaws.com/<repository> with a tag or a digest, and agentcore takes no other: ${all.agentImage}`,
        ]
      : []),
    ...(computes.includes('ec2') && all.agentImage !== undefined && !isHostImage(all.agentImage)
      ? [`agentImage is no name that Docker takes, which ec2 needs: ${all.agentImage}`]
      : []),
    ...(alarmTopic !== undefined && alarmEmail !== undefined ? ['alarmTopic and alarmEmail exclude each other'] : []),
    ...(guardrail !== undefined && screening !== 'required' ? ['guardrail is for screening=required'] : []),
    ...twice('computes', computes),
    ...twice('requesters', namesIn(requesters), { note: ' ("-" and "_" do not count)', as: inIds }),
    ...twice('agentSecrets', namesIn(all.agentSecrets ?? [])),
    ...twice('fleets', namesIn(all.fleets ?? [])),
    ...(given.includes('fleets') && !namesIn(all.fleets ?? []).includes(FLEET_DEFAULT)
      ? [`fleets has no "${FLEET_DEFAULT}", on which tasks run whose repository names no fleet`]
      : []),
    ...tooLong(all.agentSecrets ?? [], computes),
    ...(computes.includes('agentcore') ? elsewhere(all) : []),
  ];
}

/** Back ends that hand out no secrets: the runner is told all of them in one variable. */
const IN_ONE_VARIABLE: readonly Compute[] = ['agentcore', 'ec2'];

function tooLong(secrets: readonly AgentSecret[], computes: readonly Compute[]): string[] {
  const { length } = agentSecretsText(secrets);
  const narrow = computes.filter((name) => IN_ONE_VARIABLE.includes(name));
  if (length <= AGENT_SECRETS_MAX_CHARS || narrow.length === 0) return [];
  return [`agentSecrets has ${length} characters, and ${inWords(narrow)} takes ${AGENT_SECRETS_MAX_CHARS}`];
}

/** The runner asks for secrets where it runs, which is where its image is: all in the region of the deployment. */
function elsewhere({ agentImage = '', agentSecrets = [] }: Partial<Context>): string[] {
  const region = ecrRegionOf(agentImage);
  const strays = agentSecrets
    .map(({ name, arn }) => ({ name, of: arn.split(':')[3] }))
    .filter(({ of }) => of !== region);
  if (region === undefined || strays.length === 0) return [];
  const told = strays.map(({ name, of }) => `${name} in ${of}`).join(', ');
  return [`agentSecrets has ${told}, agentImage is in ${region}: agentcore takes both from its own region`];
}

const namesIn = (named: readonly { readonly name: string }[]): string[] => named.map(({ name }) => name);

/** A name as it stands in the ids of CloudFormation, which have letters and digits alone. */
const inIds = (name: string): string => name.replaceAll(/[-_]/g, '');

/** What a back end needs and nobody gave. Without a VPC nobody knows yet whether it will be one of our own, which needs no subnets. */
function lacking(backEndName: Compute, given: readonly BackEndSetting[], own: boolean): string[] {
  const needs: readonly BackEndSetting[] = NEEDS[backEndName];
  const missing = needs.filter((name) => !given.includes(name) && !(own && name === 'subnets'));
  if (missing.length === 0) return [];
  const sure = missing.filter((name) => name !== 'subnets' || !missing.includes('vpc'));
  const perhaps = sure.length < missing.length ? ' (and subnets, unless vpc is own)' : '';
  return [`computes has ${backEndName}, which needs ${sure.join(' and ')}${perhaps}`];
}

/** What was given for back ends that are not deployed. */
function useless(given: readonly BackEndSetting[], computes: readonly Compute[]): string[] {
  const idle = given.filter((name) => !TAKEN_BY[name].some((backEndName) => computes.includes(backEndName)));
  const forWhom = new Set(idle.map((name) => inWords(TAKEN_BY[name])));
  return [...forWhom].map((names) => {
    const unused = idle.filter((name) => inWords(TAKEN_BY[name]) === names);
    return `${unused.join(', ')} is for ${names}, which computes does not have`;
  });
}

/** `a, b and c` */
const inWords = (names: readonly string[]): string =>
  [names.slice(0, -1).join(', '), ...names.slice(-1)].filter((part) => part !== '').join(' and ');

/** Names that are there twice, as they were given; two are the same where `as` makes them so. */
function twice(
  setting: SettingName,
  names: readonly string[],
  { note = '', as = (name) => name }: { note?: string; as?: (name: string) => string } = {},
): string[] {
  const double = names.filter((one) => names.filter((other) => as(other) === as(one)).length > 1);
  return double.length === 0 ? [] : [`${setting} has one name twice${note}: ${[...new Set(double)].join(', ')}`];
}

/** Context values come as text; an empty one is how a script says "none". */
const present = (value: unknown): string | undefined =>
  value === undefined || value === null || value === '' ? undefined : String(value);

/** The CDK keeps flags and look-ups of its own in the same place; their names have a colon or an at sign. */
const isStray = (name: string): boolean => !/[:@/]/.test(name) && !(settingNames as readonly string[]).includes(name);
