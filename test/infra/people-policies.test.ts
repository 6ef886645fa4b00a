import { describe, expect, it } from '@jest/globals';
import { rules } from '../../rules/index.ts';
import type { Resource } from '../loopback/template.ts';
import { type Synthesised, statementsIn, synthesised, withEveryBackEnd, withFleet } from './scene.ts';

const deployment = synthesised({ stage: 'test' });
const policyOf = (who: string, made: Synthesised = deployment) =>
  statementsIn(made.all('AWS::IAM::ManagedPolicy').find(({ id }) => id.startsWith(who))?.properties['PolicyDocument']);
const table = deployment.one('AWS::DynamoDB::Table').arn;
const readers = policyOf('ReaderPolicy');
const operators = policyOf('OperatorPolicy');
const redrivers = policyOf('RedriverPolicy');

describe('the policies for people', () => {
  it('are three, and none is attached to anybody by itself', () => {
    const made = deployment.all('AWS::IAM::ManagedPolicy').map(({ properties }) => properties);
    expect(made).toHaveLength(3);
    for (const { Roles, Users, Groups } of made)
      expect([Roles, Users, Groups]).toEqual([undefined, undefined, undefined]);
  });

  it.each([
    ['readers', readers],
    ['operators', [...operators, ...redrivers]],
  ])('give %s no payload, no secret, no write to a record and no event', (_who, statements) => {
    const actions = statements.flatMap((statement) => statement.actions);
    expect(actions.length).toBeGreaterThan(4);
    expect(actions.filter((action) => /^(s3|secretsmanager|iam|ecs):|PutEvents|:\*/.test(action))).toEqual([]);
    expect(actions.filter((action) => /^dynamodb:(Put|Update|Delete|Batch)/.test(action))).toEqual([]);
    expect(statements.filter(({ resources }) => resources.includes('*'))).toEqual([]);
  });

  it('let readers see tasks, in the table and by its index', () => {
    expect(readers.find(({ actions }) => actions.includes('dynamodb:Query'))?.resources).toEqual([
      table,
      `${table}/index/by-place`,
    ]);
  });

  it('let operators replay the archive, and redrive what is dead in this stage', () => {
    const dead = ({ properties }: Resource) => String(properties['QueueName']).endsWith('-dead');
    const deadLetters = deployment
      .all('AWS::SQS::Queue')
      .filter(dead)
      .map(({ arn }) => arn);
    const allowed = (action: string) => operators.find(({ actions }) => actions.includes(action))?.resources;
    expect(allowed('events:StartReplay')).toContain(deployment.one('AWS::Events::Archive').arn);
    // By name, whether there is one or not: EventBridge answers who may not ask that it is forbidden, not that there is none.
    expect(allowed('events:DescribeArchive')).toContainEqual(expect.stringMatching(/:archive\/baton-test-native$/));
    expect([...(allowed('sqs:ReceiveMessage') ?? [])].sort()).toEqual(deadLetters.sort());
    expect(allowed('sqs:StartMessageMoveTask')).toEqual(allowed('sqs:ReceiveMessage'));
    // What `baton redrive` calls: of both kinds of queues it asks for the address first.
    for (const action of ['sqs:DeleteMessage', 'sqs:ChangeMessageVisibility'])
      expect(allowed(action)).toEqual(allowed('sqs:ReceiveMessage'));
    const known = new Set([...(allowed('sqs:ReceiveMessage') ?? []), ...(allowed('sqs:SendMessage') ?? [])]);
    const addresses = operators.filter(({ actions }) => actions.includes('sqs:GetQueueUrl'));
    const missing = rules.filter((rule) => deployment.of(rule, 'AWS::Lambda::Function').length === 0);
    expect(missing.length).toBeGreaterThan(1);
    const elsewhere = addresses.flatMap(({ resources }) => resources).filter((arn) => !known.has(arn));
    expect(elsewhere.map((arn) => arn.split(':').at(-1)).sort()).toEqual(
      missing.map(({ name }) => `baton-test-${name}-dead`).sort(),
    );
    for (const arn of known) expect(addresses.flatMap(({ resources }) => resources)).toContain(arn);
    const alive = deployment.all('AWS::SQS::Queue').filter((queue) => !dead(queue));
    expect(alive.length).toBeGreaterThan(2);
    expect([...(allowed('sqs:SendMessage') ?? [])].sort()).toEqual(alive.map(({ arn }) => arn).sort());
  });

  it('let operators invoke no function that acts on requests: they could ask in any name', () => {
    const listening = rules.filter(({ on }) => on.some(({ source }) => source === 'baton.request'));
    expect(listening.map(({ name }) => name)).toEqual(['accept-task', 'cancel-task', 'configure-repository']);
    const invoked = redrivers.find(({ actions }) => actions.includes('lambda:InvokeFunction'))?.resources;
    const closed = listening.flatMap((rule) => deployment.of(rule, 'AWS::Lambda::Function').map(({ arn }) => arn));
    const others = deployment
      .all('AWS::Lambda::Function')
      .map(({ arn }) => arn)
      .filter((arn) => !closed.includes(arn));
    expect(closed).toHaveLength(3);
    expect(invoked).toEqual(others);
    // What cannot be invoked has a queue to be redriven into.
    for (const { delivery } of listening) expect(delivery).toBe('queue');
  });
});

// What `baton doctor --aws` asks for.
describe('the policy for readers', () => {
  const fleet = synthesised({ ...withFleet, stage: 'test' });
  const granted = (statements: typeof readers, service: string) =>
    statements.filter(({ actions }) => actions.some((action) => action.startsWith(service)));

  it('lets them see whether runs start on fleets, in every deployment', () => {
    const asked = readers.find(({ actions }) => actions.includes('events:DescribeRule'));
    expect(asked?.resources).toEqual([expect.stringMatching(/:rule\/baton-test\/baton-test-start-run-on-ec2$/)]);
    expect(fleet.one('AWS::Events::Rule', 'Name', 'baton-test-start-run-on-ec2').properties).toMatchObject({
      EventBusName: expect.anything(),
    });
    expect(granted(readers, 'ssm:')).toEqual([]);
    expect(granted(readers, 'autoscaling:')).toEqual([]);
  });

  it('lets them see of fleets the one document, and the groups, which IAM cannot narrow', () => {
    const ofFleet = policyOf('ReaderPolicy', fleet);
    expect(granted(ofFleet, 'ssm:')).toMatchObject([
      { actions: ['ssm:DescribeDocument'], resources: [expect.stringMatching(/:document\/baton-test-run$/)] },
    ]);
    expect(ofFleet.filter(({ resources }) => resources.includes('*'))).toMatchObject([
      { actions: ['autoscaling:DescribeAutoScalingGroups'] },
    ]);
    for (const who of ['OperatorPolicy', 'RedriverPolicy']) {
      expect(policyOf(who, fleet).filter(({ resources }) => resources.includes('*'))).toEqual([]);
    }
  });
});

describe('the policies for people of a deployment with everything', () => {
  /** Characters that IAM takes of one ("IAM and AWS STS quotas"). */
  const IAM_MAX = 6_144;
  /** As long as a name of a region gets. */
  const REGION = 'ap-northeast-1';

  it('are no longer than IAM takes, whatever stage and region are called', () => {
    const everything = synthesised({ ...withEveryBackEnd, stage: 's'.repeat(16), screening: 'required' });
    const lengths = everything
      .all('AWS::IAM::ManagedPolicy')
      .map(({ properties }) => JSON.stringify(properties['PolicyDocument']).replaceAll('us-east-1', REGION).length);
    expect(lengths).toHaveLength(3);
    expect(Math.max(...lengths)).toBeLessThan(IAM_MAX);
  });
});
