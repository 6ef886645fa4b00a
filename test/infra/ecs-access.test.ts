import { describe, expect, it } from '@jest/globals';
import { BASE_MARKER } from '../../lifecycle/user-definition.ts';
import { rules } from '../../rules/index.ts';
import type { Rule } from '../../rules/rule.ts';
import { statementsIn, synthesised, withEcs, withEveryBackEnd } from './scene.ts';

const deployment = synthesised({ ...withEveryBackEnd, stage: 'test', screening: 'required' });
const SECRETS = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret';
const TOKEN = `${SECRETS}:github-token-AbCdEf`;
/** With keys of the agent, and with secrets and files of users. */
const withSecrets = synthesised({
  ...withEcs,
  githubToken: TOKEN,
  agentSecrets: `OPENAI_API_KEY=${SECRETS}:agent-key-AbCdEf`,
  userSecrets: `${SECRETS}:users/*, arn:aws:ssm:eu-west-1:123456789012:parameter/users/*`,
  userFileSystem: 'fs-0123456789abcdef0:sg-0123456789abcdef0',
});
const role = (idPart: string) => deployment.all('AWS::IAM::Role').find(({ id }) => id.startsWith(idPart));
const statementsOf = (idPart: string) =>
  statementsIn(
    deployment.all('AWS::IAM::Policy').find(({ id }) => id.startsWith(idPart))?.properties['PolicyDocument'],
  );

// A9
describe('the roles of a run', () => {
  it('are two: the runner has neither the image nor the log, ECS has nothing of ours', () => {
    expect(statementsOf('EcsTaskRole').flatMap(({ actions }) => actions)).toEqual([
      'dynamodb:GetItem',
      'dynamodb:UpdateItem',
      'events:PutEvents',
      's3:GetObject',
    ]);
    expect(statementsOf('EcsTaskRole').filter(({ resources }) => resources.includes('*'))).toEqual([]);
    expect(
      statementsOf('EcsExecutionRole')
        .flatMap(({ actions }) => actions)
        .sort(),
    ).toEqual([
      'ecr:BatchCheckLayerAvailability',
      'ecr:BatchGetImage',
      'ecr:GetAuthorizationToken',
      'ecr:GetDownloadUrlForLayer',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
    ]);
  });

  it('pull from the one repository of the image', () => {
    const pulling = statementsOf('EcsExecutionRole').find(({ actions }) => actions.includes('ecr:BatchGetImage'));
    expect(pulling?.resources).toEqual(['arn:aws:ecr:eu-west-1:123456789012:repository/baton/agent']);
    const elsewhere = synthesised({ ...withEcs, agentImage: 'example.com/agent@sha256:0' });
    const actions = elsewhere
      .all('AWS::IAM::Policy')
      .filter(({ id }) => id.startsWith('EcsExecutionRole'))
      .flatMap(({ properties }) => statementsIn(properties['PolicyDocument']).flatMap((one) => one.actions));
    expect(actions.filter((action) => action.startsWith('ecr:'))).toEqual([]);
  });
});

describe('keys of the agent', () => {
  const arn = `${SECRETS}:agent-key-AbCdEf`;

  it('are references in the task definition, fetched by ECS and by nobody else', () => {
    const { ContainerDefinitions } = withSecrets.one('AWS::ECS::TaskDefinition').properties as {
      ContainerDefinitions: object[];
    };
    expect(ContainerDefinitions[0]).toMatchObject({ Secrets: [{ Name: 'OPENAI_API_KEY', ValueFrom: arn }] });
    const readers = withSecrets
      .all('AWS::IAM::Policy')
      .filter(({ properties }) =>
        statementsIn(properties['PolicyDocument']).some(({ resources }) => resources.includes(arn)),
      );
    expect(readers.map(({ id }) => id)).toEqual([expect.stringMatching(/^EcsExecutionRole/)]);
  });
});

describe('secrets of users', () => {
  const secret = `${SECRETS}:users/*`;
  const parameter = 'arn:aws:ssm:eu-west-1:123456789012:parameter/users/*';

  it('are read by ECS before a run starts, those that the deployment names, and by nobody else', () => {
    const reading = withSecrets.all('AWS::IAM::Policy').flatMap(({ id, properties }) =>
      statementsIn(properties['PolicyDocument'])
        .filter(({ resources }) => resources.some((one) => [secret, parameter].includes(one)))
        .map(({ actions, resources }) => ({ id: id.replace(/Default.*/, ''), actions, resources })),
    );
    expect(reading).toEqual([
      { id: 'EcsExecutionRole', actions: ['secretsmanager:GetSecretValue'], resources: [secret] },
      { id: 'EcsExecutionRole', actions: ['ssm:GetParameters'], resources: [parameter] },
    ]);
  });

  // A pattern may fit more than somebody meant, and an ARN may be the wrong one.
  it("and keys of agents are never Baton's own, nor the token of GitHub unless agents were given it by name", () => {
    const denied = (made: typeof deployment) =>
      made
        .all('AWS::IAM::Policy')
        .flatMap(({ id, properties }) =>
          statementsIn(properties['PolicyDocument']).map((statement) => ({ ...statement, id })),
        )
        .filter(({ effect }) => effect === 'Deny')
        .map(({ id, actions, resources, condition }) => [id.replace(/Default.*/, ''), actions, resources, condition]);
    const given = synthesised({ ...withEcs, githubToken: TOKEN, agentSecrets: `GH=${TOKEN}`, userSecrets: secret });
    const keysAlone = synthesised({ ...withEcs, agentSecrets: `OPENAI_API_KEY=${SECRETS}:agent-key-AbCdEf` });
    const of = (...resources: unknown[]) => [['EcsExecutionRole', ['secretsmanager:GetSecretValue'], resources, {}]];
    expect(denied(withSecrets)).toEqual(of(withSecrets.one('AWS::SecretsManager::Secret').ref, TOKEN));
    expect(denied(given)).toEqual(of(given.one('AWS::SecretsManager::Secret').ref));
    expect(denied(keysAlone)).toEqual(of(keysAlone.one('AWS::SecretsManager::Secret').ref));
  });

  it('that nobody named are nobody’s to read', () => {
    expect(statementsOf('EcsExecutionRole').flatMap(({ actions }) => actions)).not.toContain(
      'secretsmanager:GetSecretValue',
    );
  });
});

describe('files of users', () => {
  const group = withSecrets.one('AWS::EC2::SecurityGroup');

  it('are mounted by the runner’s role through access points alone', () => {
    const mounting = withSecrets.all('AWS::IAM::Policy').flatMap(({ id, properties }) =>
      statementsIn(properties['PolicyDocument'])
        .filter(({ actions }) => actions.some((action) => action.startsWith('elasticfilesystem:')))
        .map((statement) => ({ ...statement, id: id.replace(/Default.*/, '') })),
    );
    expect(mounting).toEqual([
      {
        id: 'EcsTaskRole',
        effect: 'Allow',
        actions: ['elasticfilesystem:ClientMount', 'elasticfilesystem:ClientWrite'],
        resources: ['arn:aws:elasticfilesystem:us-east-1:000000000000:file-system/fs-0123456789abcdef0'],
        condition: {
          ArnLike: {
            'elasticfilesystem:AccessPointArn': 'arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/*',
          },
        },
      },
    ]);
  });

  it('are reached at their mount targets and nowhere else, beside HTTPS', () => {
    expect(group.properties['SecurityGroupEgress']).toEqual([
      expect.objectContaining({ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, CidrIp: '0.0.0.0/0' }),
      {
        IpProtocol: 'tcp',
        FromPort: 2049,
        ToPort: 2049,
        DestinationSecurityGroupId: 'sg-0123456789abcdef0',
        Description: 'Files of users.',
      },
    ]);
    expect(withSecrets.all('AWS::EC2::SecurityGroupEgress')).toEqual([]);
    expect(withSecrets.all('AWS::EC2::SecurityGroupIngress')).toEqual([]);
  });

  it('have mount targets that must let the agents in, so their security group is told', () => {
    expect(withSecrets.outputs['AgentSecurityGroupId']).toEqual({ Value: { 'Fn::GetAtt': [group.id, 'GroupId'] } });
    expect(deployment.outputs).not.toHaveProperty('AgentSecurityGroupId');
  });
});

describe('who starts, asks about and stops runs', () => {
  const users = rules.filter(({ uses }) => uses.includes('ecs'));
  const inCluster = { ArnEquals: { 'ecs:cluster': deployment.one('AWS::ECS::Cluster').arn } };
  const policyOf = (rule: Rule) =>
    statementsIn(deployment.of(rule, 'AWS::IAM::Policy')[0]?.properties['PolicyDocument']);

  const family = 'arn:aws:ecs:us-east-1:000000000000:task-definition/baton-test-agent:*';
  const cloneFamily = 'arn:aws:ecs:us-east-1:000000000000:task-definition/baton-test-agent-user';
  const clones = `${cloneFamily}:*`;
  const tasks = 'arn:aws:ecs:us-east-1:000000000000:task/baton-test-agent/*';
  const withoutMarker = { Null: { [`aws:RequestTag/${BASE_MARKER}`]: 'true' } };
  const onEcs = (rule: Rule) =>
    policyOf(rule).filter(({ actions }) => actions.some((action) => action.startsWith('ecs:')));
  const onDefinitions = new Set([
    'ecs:RegisterTaskDefinition',
    'ecs:DescribeTaskDefinition',
    'ecs:DeregisterTaskDefinition',
  ]);
  const isOnDefinitions = ({ actions, resources }: { actions: readonly string[]; resources: readonly string[] }) =>
    actions.some((action) => onDefinitions.has(action)) ||
    (actions.includes('ecs:TagResource') && resources.includes(clones));

  // A10
  it.each(users.map((rule) => [rule.name, rule] as const))('%s may do its part in one cluster', (_name, rule) => {
    const starting = [
      { effect: 'Allow', actions: ['ecs:RunTask'], resources: [family, clones], condition: inCluster },
      {
        effect: 'Allow',
        actions: ['ecs:TagResource'],
        resources: [tasks],
        condition: { StringEquals: { 'ecs:CreateAction': 'RunTask' } },
      },
    ];
    expect(onEcs(rule).filter((statement) => !isOnDefinitions(statement))).toEqual([
      ...(rule.name === 'start-run-on-ecs' ? starting : []),
      { effect: 'Allow', actions: ['ecs:DescribeTasks', 'ecs:StopTask'], resources: [tasks], condition: inCluster },
      { effect: 'Allow', actions: ['ecs:ListTasks'], resources: ['*'], condition: inCluster },
    ]);
  });

  // T4: the base family is written by infrastructure alone, and so is its marker.
  it('the one that looks up definitions registers clones, in their family, and without the marker', () => {
    const registering = rules.filter((rule) => onEcs(rule).some(isOnDefinitions));
    expect(registering.map(({ name, uses }) => [name, uses.includes('definitions')])).toEqual([
      ['start-run-on-ecs', true],
    ]);
    expect(onEcs(registering[0] as Rule).filter(isOnDefinitions)).toEqual([
      // Before it is registered a revision has no number: which of the two ARNs is checked, nobody says.
      {
        effect: 'Allow',
        actions: ['ecs:RegisterTaskDefinition'],
        resources: [cloneFamily, clones],
        condition: withoutMarker,
      },
      {
        effect: 'Allow',
        actions: ['ecs:TagResource'],
        resources: [cloneFamily, clones],
        condition: { StringEquals: { 'ecs:CreateAction': 'RegisterTaskDefinition' }, ...withoutMarker },
      },
      { effect: 'Allow', actions: ['ecs:DescribeTaskDefinition'], resources: ['*'], condition: {} },
      // No role can be kept to one family here: docs/deploy.md says what that means.
      { effect: 'Allow', actions: ['ecs:DeregisterTaskDefinition'], resources: ['*'], condition: {} },
    ]);
  });

  it('no role and no policy of this deployment writes definitions in any other way', () => {
    const all = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'].flatMap((type) =>
      deployment.all(type).flatMap(({ properties }) => statementsIn(properties['PolicyDocument'])),
    );
    expect(all.flatMap(({ actions }) => actions).filter((action) => /^(ecs:)?\*$/.test(action))).toEqual([]);
    const writing = all.filter(({ actions }) =>
      actions.some((action) => /^ecs:(Register|TagResource|UntagResource|Put|Update|Create)/.test(action)),
    );
    for (const { resources, condition } of writing) {
      if (!resources.every((one) => one === tasks)) {
        expect([resources, condition]).toEqual([[cloneFamily, clones], expect.objectContaining(withoutMarker)]);
      }
    }
  });

  // A11
  it('the one that starts passes exactly the two roles, to ECS tasks; those that ask and stop pass none', () => {
    const passing = users.flatMap((rule) =>
      policyOf(rule)
        .filter(
          ({ actions, condition }) =>
            actions.some((action) => /^(iam:)?(PassRole|Pass\*|\*)$/.test(action)) &&
            condition['StringEquals']?.['iam:PassedToService'] !== 'scheduler.amazonaws.com',
        )
        .map((statement) => ({ rule: rule.name, ...statement })),
    );
    expect(passing).toEqual([
      {
        rule: 'start-run-on-ecs',
        effect: 'Allow',
        actions: ['iam:PassRole'],
        resources: [role('EcsTaskRole')?.arn, role('EcsExecutionRole')?.arn],
        condition: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
      },
    ]);
  });

  it('nobody else does', () => {
    for (const rule of rules.filter(({ uses }) => !uses.includes('ecs'))) {
      const actions = policyOf(rule).flatMap((statement) => statement.actions);
      expect(actions.filter((action) => action.startsWith('ecs:'))).toEqual([]);
    }
  });
});
