import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a deployment on loopback stands. Nothing reads more into it than ARNs of the usual shape. */
export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';

/** The pseudo parameters of CloudFormation that have one value everywhere in a deployment. */
const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::AccountId': ACCOUNT,
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::URLSuffix': 'amazonaws.com',
};

export type Properties = Readonly<Record<string, unknown>>;

/** One resource of a synthesised template with every reference replaced by the value that it has on loopback. */
export interface Resource {
  readonly stack: string;
  readonly id: string;
  readonly type: string;
  /** What `Ref` answers: a name, an ARN or a URL, by type. */
  readonly ref: string;
  readonly arn: string;
  readonly properties: Properties;
}

interface Raw {
  readonly Type: string;
  readonly Properties?: Properties;
}

interface Template {
  readonly stack: string;
  readonly Resources: Readonly<Record<string, Raw>>;
  readonly Outputs?: Readonly<
    Record<string, { readonly Value: unknown; readonly Export?: { readonly Name: unknown } }>
  >;
  readonly Parameters?: Readonly<Record<string, { readonly Default?: unknown }>>;
  readonly Mappings?: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
  readonly Conditions?: Readonly<Record<string, unknown>>;
}

/** Reads the templates of a cloud assembly (`cdk.out`). Throws when one holds a reference that cannot be followed. */
export function readTemplates(assembly: string): Resource[] {
  const templates = readdirSync(assembly)
    .filter((name) => name.endsWith('.template.json'))
    .sort()
    .map((name): Template => {
      const template = JSON.parse(readFileSync(join(assembly, name), 'utf8')) as Omit<Template, 'stack'>;
      return { ...template, stack: name.slice(0, -'.template.json'.length) };
    });
  if (templates.length === 0) throw new Error(`${assembly} holds no template`);
  const { resolve, identityOf } = resolver(templates);
  return templates.flatMap((template) =>
    Object.entries(template.Resources).map(([id, { Type: type, Properties = {} }]) => {
      const { ref, attributes } = identityOf(template, id);
      const properties = resolve(template, Properties) as Properties;
      return { stack: template.stack, id, type, ref, arn: attributes[ARN_OF[type] ?? 'Arn'] ?? ref, properties };
    }),
  );
}

/** Intrinsic functions of CloudFormation, as far as synthesised templates use them (template reference, "Intrinsic functions"). */
function resolver(templates: readonly Template[]) {
  const functions: Readonly<Record<string, (template: Template, given: unknown) => unknown>> = {
    Ref: (template, given) => ref(template, String(given)),
    'Fn::GetAtt': (template, given) => {
      const [id = '', ...attribute] = Array.isArray(given) ? given.map(String) : String(given).split('.');
      return attributeOf(template, id, attribute.join('.'));
    },
    'Fn::Join': (template, given) => {
      const [separator, parts] = given as [string, unknown];
      return (resolve(template, parts) as unknown[]).map(String).join(separator);
    },
    'Fn::Sub': (template, given) => sub(template, given),
    'Fn::Select': (template, given) => {
      const [index, list] = given as [number | string, unknown];
      return (resolve(template, list) as unknown[])[Number(index)];
    },
    'Fn::Split': (template, given) => {
      const [separator, text] = given as [string, unknown];
      return String(resolve(template, text)).split(separator);
    },
    'Fn::ImportValue': (template, given) => imported(String(resolve(template, given))),
    'Fn::Base64': (template, given) => Buffer.from(String(resolve(template, given))).toString('base64'),
    'Fn::GetAZs': () => [`${REGION}a`, `${REGION}b`, `${REGION}c`],
    'Fn::FindInMap': (template, given) => {
      const [map, first, second] = (given as unknown[]).map((part) => String(resolve(template, part)));
      return template.Mappings?.[map ?? '']?.[first ?? '']?.[second ?? ''];
    },
    'Fn::If': (template, given) => {
      const [condition, then, otherwise] = given as [string, unknown, unknown];
      return resolve(template, holds(template, { Condition: condition }) ? then : otherwise);
    },
  };
  return { resolve, identityOf };

  function resolve(template: Template, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => resolve(template, one)).filter((one) => one !== NOTHING);
    if (typeof value !== 'object' || value === null) return value;
    const fields = Object.entries(value);
    const [name, given] = fields[0] ?? ['', undefined];
    const known = fields.length === 1 ? functions[name] : undefined;
    if (known) return known(template, given);
    if (fields.length === 1 && name.startsWith('Fn::')) throw new Error(`${template.stack}: ${name} is not known here`);
    return Object.fromEntries(
      fields.map(([key, one]) => [key, resolve(template, one)] as const).filter(([, one]) => one !== NOTHING),
    );
  }

  function ref(template: Template, id: string): unknown {
    if (id === 'AWS::NoValue') return NOTHING;
    if (id === 'AWS::StackName') return template.stack;
    if (id === 'AWS::StackId') return `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack/${template.stack}/loopback`;
    const parameter = template.Parameters?.[id];
    if (parameter) return parameter.Default;
    return PSEUDO[id] ?? identityOf(template, id).ref;
  }

  function attributeOf(template: Template, id: string, attribute: string): unknown {
    const { attributes } = identityOf(template, id);
    const value = attributes[attribute];
    if (value === undefined) throw new Error(`${template.stack}: ${id} has no attribute ${attribute} on loopback`);
    return value;
  }

  function sub(template: Template, given: unknown): string {
    const [text, variables] = (Array.isArray(given) ? given : [given, {}]) as [
      string,
      Readonly<Record<string, unknown>>,
    ];
    return text.replaceAll(/\$\{(!?)([^}]+)\}/g, (_whole, literal: string, name: string) => {
      if (literal) return `\${${name}}`;
      if (name in variables) return String(resolve(template, variables[name]));
      const [id = '', ...attribute] = name.split('.');
      return String(attribute.length > 0 ? attributeOf(template, id, attribute.join('.')) : ref(template, id));
    });
  }

  function imported(name: string): unknown {
    for (const template of templates) {
      for (const { Value, Export } of Object.values(template.Outputs ?? {})) {
        if (Export && resolve(template, Export.Name) === name) return resolve(template, Value);
      }
    }
    throw new Error(`no stack exports ${name}`);
  }

  function holds(template: Template, condition: unknown): boolean {
    if (typeof condition !== 'object' || condition === null) return condition === true || condition === 'true';
    const [[name, given] = ['', undefined]] = Object.entries(condition);
    const parts = Array.isArray(given) ? given : [given];
    if (name === 'Condition') return holds(template, template.Conditions?.[String(given)]);
    if (name === 'Fn::Equals') return resolve(template, parts[0]) === resolve(template, parts[1]);
    if (name === 'Fn::Not') return !holds(template, parts[0]);
    if (name === 'Fn::And') return parts.every((part) => holds(template, part));
    if (name === 'Fn::Or') return parts.some((part) => holds(template, part));
    throw new Error(`${template.stack}: condition ${name} is not known here`);
  }

  function identityOf(template: Template, id: string): Identity {
    const raw = template.Resources[id];
    if (!raw) throw new Error(`${template.stack} has no resource ${id}`);
    const naming = NAMED_BY[raw.Type];
    const given = naming === undefined ? undefined : raw.Properties?.[naming];
    const name = given === undefined ? `${template.stack}-${id}` : String(resolve(template, given));
    const identity = IDENTITIES[raw.Type] ?? unspecific;
    return identity(name, (property) => resolve(template, raw.Properties?.[property]));
  }
}

/** Stands for a property that CloudFormation leaves out. */
const NOTHING = Symbol('AWS::NoValue');

interface Identity {
  /** What `Ref` answers. */
  readonly ref: string;
  /** What `Fn::GetAtt` answers. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Resource type → the attribute that is its ARN, where that is not called so. */
const ARN_OF: Readonly<Record<string, string>> = { 'AWS::BedrockAgentCore::Runtime': 'AgentRuntimeArn' };

/** Resource type → the property that names it. */
const NAMED_BY: Readonly<Record<string, string>> = {
  'AWS::BedrockAgentCore::Runtime': 'AgentRuntimeName',
  'AWS::DynamoDB::Table': 'TableName',
  'AWS::DynamoDB::GlobalTable': 'TableName',
  'AWS::ECS::Cluster': 'ClusterName',
  'AWS::ECS::TaskDefinition': 'Family',
  'AWS::Events::Archive': 'ArchiveName',
  'AWS::Events::EventBus': 'Name',
  'AWS::Events::Rule': 'Name',
  'AWS::IAM::Role': 'RoleName',
  'AWS::Lambda::Function': 'FunctionName',
  'AWS::Logs::LogGroup': 'LogGroupName',
  'AWS::S3::Bucket': 'BucketName',
  'AWS::AutoScaling::AutoScalingGroup': 'AutoScalingGroupName',
  'AWS::SNS::Topic': 'TopicName',
  'AWS::SSM::Document': 'Name',
  'AWS::SQS::Queue': 'QueueName',
  'AWS::Scheduler::ScheduleGroup': 'Name',
  'AWS::SecretsManager::Secret': 'Name',
};

type PropertyOf = (name: string) => unknown;

/** Resource type → what `Ref` and `Fn::GetAtt` answer about it (template reference, "Return values" of each type). */
const IDENTITIES: Readonly<Record<string, (name: string, property: PropertyOf) => Identity>> = {
  'AWS::BedrockAgentCore::Runtime': (name) => {
    const id = `${name}-Loop000000`;
    return {
      ref: id,
      attributes: {
        AgentRuntimeArn: arn('bedrock-agentcore', `runtime/${id}`),
        AgentRuntimeId: id,
        AgentRuntimeVersion: '1',
      },
    };
  },
  'AWS::DynamoDB::Table': (name) => named(name, arn('dynamodb', `table/${name}`)),
  'AWS::DynamoDB::GlobalTable': (name) => named(name, arn('dynamodb', `table/${name}`)),
  'AWS::ECS::Cluster': (name) => named(name, arn('ecs', `cluster/${name}`)),
  'AWS::ECS::TaskDefinition': (family) => {
    const revision = arn('ecs', `task-definition/${family}:1`);
    return { ref: revision, attributes: { TaskDefinitionArn: revision } };
  },
  'AWS::Events::Archive': (name) => named(name, arn('events', `archive/${name}`)),
  'AWS::Events::EventBus': (name) => ({
    ref: name,
    attributes: { Arn: arn('events', `event-bus/${name}`), Name: name },
  }),
  'AWS::Events::Rule': (name, property) => {
    const bus =
      String(property('EventBusName') ?? 'default')
        .split('/')
        .at(-1) ?? 'default';
    return named(name, arn('events', bus === 'default' ? `rule/${name}` : `rule/${bus}/${name}`));
  },
  'AWS::IAM::Role': (name, property) => ({
    ref: name,
    attributes: { Arn: `arn:aws:iam::${ACCOUNT}:role${String(property('Path') ?? '/')}${name}`, RoleId: `AROA${name}` },
  }),
  'AWS::Lambda::Function': (name) => named(name, arn('lambda', `function:${name}`)),
  'AWS::Logs::LogGroup': (name) => named(name, `${arn('logs', `log-group:${name}`)}:*`),
  // S3 takes no capital letters.
  'AWS::S3::Bucket': (given) => {
    const name = given.toLowerCase();
    return {
      ref: name,
      attributes: {
        Arn: `arn:aws:s3:::${name}`,
        DomainName: `${name}.s3.amazonaws.com`,
        RegionalDomainName: `${name}.s3.${REGION}.amazonaws.com`,
      },
    };
  },
  'AWS::SNS::Topic': (name) => ({
    ref: arn('sns', name),
    attributes: { TopicArn: arn('sns', name), TopicName: name },
  }),
  'AWS::SQS::Queue': (name) => ({
    ref: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${name}`,
    attributes: {
      Arn: arn('sqs', name),
      QueueName: name,
      QueueUrl: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${name}`,
    },
  }),
  'AWS::Scheduler::ScheduleGroup': (name) => named(name, arn('scheduler', `schedule-group/${name}`)),
  'AWS::SecretsManager::Secret': (name) => {
    const secret = arn('secretsmanager', `secret:${name}-Loop00`);
    return { ref: secret, attributes: { Id: secret } };
  },
};

const named = (name: string, ofName: string): Identity => ({ ref: name, attributes: { Arn: ofName } });

/** A resource that this world has no part of: its identity has the usual shape, and everybody sees the same. */
const unspecific = (name: string): Identity => ({
  ref: name,
  attributes: new Proxy({}, { get: (_target, attribute) => `${name}.${String(attribute)}` }),
});

function arn(service: string, rest: string): string {
  return `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;
}
