import * as z from 'zod';
import { ACCOUNT, REGION, type Resource, readTemplates } from './template.ts';
import type { AwsCall } from './watched-calls.ts';

/** What roles of a deployment may do, as their policies say. */
export interface GrantedCalls {
  /**
   * Why IAM would refuse a call; undefined if it would not. Whatever a call does not show here (the cluster of a task, the endpoint of a
   * session) is taken to be as the policy has it.
   */
  whyRefused(role: string, call: Pick<AwsCall, 'name' | 'body'>): string | undefined;
  /** Name of the role of a function. */
  roleOf(functionName: string): string;
}

const texts = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());
const statement = z.looseObject({
  Effect: z.enum(['Allow', 'Deny']),
  Action: texts,
  Resource: texts,
  Condition: z.record(z.string(), z.record(z.string(), texts)).default({}),
});
type Statement = z.infer<typeof statement>;
const policyDocument = z.looseObject({ Statement: z.array(statement) });
const attached = z.looseObject({ PolicyDocument: policyDocument, Roles: z.array(z.string()).default([]) });
const withRole = z.looseObject({ Role: z.string().optional() });

/** Reads a cloud assembly. `tags`: those that machines have, which conditions ask for. */
export function grantedCalls(assembly: string, tags: Readonly<Record<string, string>> = {}): GrantedCalls {
  const resources = readTemplates(assembly);
  const of = (...types: string[]): Resource[] => resources.filter(({ type }) => types.includes(type));
  const policies = of('AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy').map(({ properties }) =>
    attached.parse(properties),
  );
  const machineTags = Object.fromEntries(Object.entries(tags).map(([name, tag]) => [`ssm:resourceTag/${name}`, [tag]]));
  return {
    whyRefused(role, call) {
      const held = policies.filter(({ Roles }) => Roles.includes(role)).flatMap((one) => one.PolicyDocument.Statement);
      const refused = partsOf(call, machineTags).find((part) => !isAllowed(part, held));
      return refused && `${role}: ${refused.action} ${refused.resource ?? ''} ${JSON.stringify(refused.context)}`;
    },
    roleOf(functionName) {
      const found = of('AWS::Lambda::Function').find(({ ref }) => ref === functionName);
      return (
        withRole
          .parse(found?.properties ?? {})
          .Role?.split('/')
          .at(-1) ?? ''
      );
    },
  };
}

const arn = (service: string, rest: string): string => `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;

/** What IAM decides on its own: an action on one resource. */
interface Part {
  readonly action: string;
  /** Its ARN, where the call shows it. */
  readonly resource?: string;
  /** Keys of conditions, as far as the call shows them. */
  readonly context: Readonly<Record<string, readonly string[]>>;
}

/** Operations that their services name otherwise than IAM does. */
const ACTIONS: Readonly<Record<string, string>> = {
  's3.GET': 's3:GetObject',
  's3.PUT': 's3:PutObject',
  's3.DELETE': 's3:DeleteObject',
  'scheduler.POST': 'scheduler:CreateSchedule',
  'bedrock-agentcore.invocations': 'bedrock-agentcore:InvokeAgentRuntime',
  'bedrock-agentcore.stopruntimesession': 'bedrock-agentcore:StopRuntimeSession',
};

function partsOf({ name, body }: Pick<AwsCall, 'name' | 'body'>, machineTags: Part['context']): Part[] {
  const action = ACTIONS[name] ?? name.replace('.', ':');
  const input = jsonIn(body);
  switch (name) {
    case 'ssm.SendCommand':
      return [
        { action, resource: arn('ssm', `document/${input['DocumentName']}`), context: {} },
        ...(input['InstanceIds'] as string[]).map((id) => ({
          action,
          resource: arn('ec2', `instance/${id}`),
          context: machineTags,
        })),
      ];
    case 'events.PutEvents':
      return (input['Entries'] as { Source: string; EventBusName: string }[]).map(({ Source, EventBusName }) => ({
        action,
        resource: arn('events', `event-bus/${EventBusName.split('/').at(-1)}`),
        context: { 'events:source': [Source] },
      }));
    case 'autoscaling.SetInstanceProtection':
    case 'autoscaling.CompleteLifecycleAction': {
      const group = new URLSearchParams(body.toString()).get('AutoScalingGroupName');
      return [
        { action, resource: arn('autoscaling', `autoScalingGroup:an-id:autoScalingGroupName/${group}`), context: {} },
      ];
    }
    default:
      return name.startsWith('dynamodb.')
        ? [
            {
              action,
              resource: arn('dynamodb', `table/${input['TableName']}`),
              context: { 'dynamodb:LeadingKeys': keysIn(input) },
            },
          ]
        : [{ action, context: {} }];
  }
}

/** Values of the partition key that a request to DynamoDB names. */
function keysIn(input: Readonly<Record<string, unknown>>): string[] {
  const { Key, Item } = input as Record<'Key' | 'Item', { key?: { S: string } } | undefined>;
  return [Key, Item].flatMap((one) => one?.key?.S ?? []);
}

function jsonIn(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(body.toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function isAllowed(part: Part, held: readonly Statement[]): boolean {
  const fitting = held.filter((one) => fits(part, one));
  return fitting.length > 0 && fitting.every(({ Effect }) => Effect === 'Allow');
}

const fits = ({ action, resource, context }: Part, { Action, Resource, Condition }: Statement): boolean =>
  Action.some((one) => isLike(action, one)) &&
  Resource.some((one) => resource === undefined || isLike(resource, one)) &&
  Object.entries(Condition).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => holds(operator, wanted, context[key])),
  );

function holds(operator: string, wanted: readonly string[], shown: readonly string[] | undefined): boolean {
  if (shown === undefined) return true;
  const compare = operator.endsWith('Like') ? isLike : (one: string, other: string) => one === other;
  const test = (one: string): boolean => wanted.some((other) => compare(one, other));
  return operator.startsWith('ForAllValues:') ? shown.every(test) : shown.some(test);
}

/** `*` is any text, `?` any character. */
function isLike(text: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
