import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import type { App } from 'aws-cdk-lib';
import { batonApp } from '../../infra/baton-app.ts';
import { rules as allRules } from '../../rules/index.ts';
import type { Rule } from '../../rules/rule.ts';
import { type Resource, readTemplates } from '../loopback/template.ts';

const scratch = mkdtempSync(join(tmpdir(), 'baton-infra-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Settings with which AgentCore is deployed: an image is all that it needs. */
export const withAgentcore = { agentImage: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/baton/agent:1' } as const;

/** Settings with which ECS is deployed. */
export const withEcs = {
  computes: 'ecs',
  ...withAgentcore,
  vpc: 'vpc-0123456789abcdef0',
  subnets: ' subnet-0123456789abcdef0, subnet-0123456789abcdef1,, ',
} as const;

/** Settings with which fleets of EC2 are: one machine, where nobody says otherwise. */
export const withFleet = { ...withEcs, computes: 'ec2' } as const;

/** Settings with which every back end is. */
export const withEveryBackEnd = { ...withEcs, computes: 'agentcore, ecs, ec2' } as const;

const principalOf = (name: string): string => `arn:aws:iam::123456789012:role/${name}`;

/** Settings that name everybody who may be named. */
export const withPeople = {
  producers: `${principalOf('front-desk')},${principalOf('night-desk')}`,
  requesters: `ada=${principalOf('ada')}`,
  operators: principalOf('operator'),
} as const;

export interface Synthesised {
  readonly outdir: string;
  readonly resources: readonly Resource[];
  /** Of all stacks, by name, as the templates have them: exports too. */
  readonly outputs: Readonly<Record<string, unknown>>;
  all(type: string): readonly Resource[];
  /** The one resource of this type, with this property where one is given. */
  one(type: string, property?: string, value?: unknown): Resource;
  /** The resources that the construct of a rule has made. */
  of(rule: Rule, type: string): readonly Resource[];
  /** What becomes of a resource when it is taken out of the template. */
  deletionPolicyOf(resource: Resource): string | undefined;
}

interface Options {
  readonly rules?: readonly Rule[];
}

let serial = 0;

/** Synthesises a deployment with bundles that do nothing, and reads it with every reference resolved. */
export function synthesised(context: Readonly<Record<string, string>> = {}, options: Options = {}): Synthesised {
  const { rules = allRules } = options;
  const outdir = rules === allRules ? assemblyOf(context) : made(context, rules, join(scratch, `out-${++serial}`));
  const resources = readTemplates(outdir);
  const all = (type: string) => resources.filter((resource) => resource.type === type);
  return {
    outdir,
    resources,
    outputs: outputsIn(outdir),
    all,
    one(type, property, value) {
      const found = all(type).filter(({ properties }) => property === undefined || properties[property] === value);
      if (found.length !== 1) throw new Error(`${found.length} × ${type} ${property ?? ''} ${String(value ?? '')}`);
      return found[0] as Resource;
    },
    of: ({ name }, type) => all(type).filter(({ id }) => ruleOf(id, rules)?.name === name),
    deletionPolicyOf({ stack, id }) {
      const template = JSON.parse(readFileSync(join(outdir, `${stack}.template.json`), 'utf8')) as {
        Resources: Record<string, { DeletionPolicy?: string }>;
      };
      return template.Resources[id]?.DeletionPolicy;
    },
  };
}

/** The cloud assembly of these settings, made once for all files of a run: synthesis is most of what tests of the infrastructure take. */
function assemblyOf(context: Readonly<Record<string, string>>): string {
  const settings = JSON.stringify(Object.entries(context).sort());
  const outdir = join(tmpdir(), `baton-assembly-${createHash('sha256').update(settings).digest('hex').slice(0, 24)}`);
  if (existsSync(outdir)) return outdir;
  const draft = made(context, allRules, join(scratch, `out-${++serial}`));
  try {
    renameSync(draft, outdir);
  } catch (error) {
    // Another file was faster.
    if (!existsSync(outdir)) throw error;
  }
  return outdir;
}

function made(context: Readonly<Record<string, string>>, rules: readonly Rule[], outdir: string): string {
  synthesise(() => batonApp({ context, outdir, bundles: bundlesFor(rules), rules, checked: false }));
  return outdir;
}

function outputsIn(outdir: string): Readonly<Record<string, unknown>> {
  const templates = readdirSync(outdir).filter((name) => name.endsWith('.template.json'));
  return Object.assign(
    {},
    ...templates.map((name) => JSON.parse(readFileSync(join(outdir, name), 'utf8')).Outputs ?? {}),
  );
}

/** The rule whose construct a logical id belongs to: it begins with the rule's name in letters and digits. */
export function ruleOf(logicalId: string, rules: readonly Rule[] = allRules): Rule | undefined {
  const fitting = rules.filter(({ name }) => logicalId.startsWith(name.replaceAll('-', '')));
  return fitting.sort((a, b) => b.name.length - a.name.length)[0];
}

/** Synthesises an app. The CDK's own checks take seconds, and only its environment says whether they run. */
export function synthesise(make: () => App, { checked = false } = {}): App {
  const before = { validation: process.env['CDK_VALIDATION'], deprecations: process.env['JSII_DEPRECATED'] };
  process.env['CDK_VALIDATION'] = String(checked);
  process.env['JSII_DEPRECATED'] = 'quiet';
  // The CDK notes the stack at every construct, much of what synthesis costs here.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const app = make();
    app.synth();
    return app;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    restore('CDK_VALIDATION', before.validation);
    restore('JSII_DEPRECATED', before.deprecations);
  }
}

/** The deployment with the checks of cdk-nag and of the CDK, after whatever a test does to it. Throws what they find. */
export function checkedApp(context: Readonly<Record<string, string>> = {}, change: (app: App) => void = () => {}): App {
  const make = () => {
    const outdir = join(scratch, `out-${++serial}`);
    const app = batonApp({ context, outdir, bundles: bundlesFor(allRules) });
    change(app);
    return app;
  };
  return synthesise(make, { checked: true });
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

function bundlesFor(rules: readonly Rule[]): string {
  const bundles = join(scratch, 'bundles');
  for (const { name } of rules) {
    mkdirSync(join(bundles, name), { recursive: true });
    writeFileSync(join(bundles, name, 'index.mjs'), `export const handler = () => '${name}';\n`);
  }
  return bundles;
}

export interface Statement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly condition: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly effect: string;
}

/** Statements of a policy document, with lists where IAM lets one stand for itself. */
export function statementsIn(document: unknown): Statement[] {
  const { Statement } = document as { Statement: readonly Record<string, unknown>[] };
  return Statement.map((one) => ({
    effect: String(one['Effect']),
    actions: [one['Action']].flat().map(String),
    resources: [one['Resource']].flat().map(String),
    condition: (one['Condition'] ?? {}) as Statement['condition'],
  }));
}
