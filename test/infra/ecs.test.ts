import { describe, expect, it } from '@jest/globals';
import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import { rules } from '../../rules/index.ts';
import type { Rule } from '../../rules/rule.ts';
import { runnerEnvironment } from '../../schemas/environment.ts';
import { statementsIn, synthesised, withEcs } from './scene.ts';

const deployment = synthesised({ ...withEcs, stage: 'test', screening: 'required' });
const role = (idPart: string) => deployment.all('AWS::IAM::Role').find(({ id }) => id.startsWith(idPart));
const statementsOf = (idPart: string) =>
  statementsIn(
    deployment.all('AWS::IAM::Policy').find(({ id }) => id.startsWith(idPart))?.properties['PolicyDocument'],
  );

describe('a run on ECS', () => {
  const { properties } = deployment.one('AWS::ECS::TaskDefinition');
  const [container, ...more] = properties['ContainerDefinitions'] as Record<string, unknown>[];

  it('has 2 vCPU and 4 GB on Fargate with ARM', () => {
    expect(properties).toMatchObject({
      Family: 'baton-test-agent',
      Cpu: '2048',
      Memory: '4096',
      NetworkMode: 'awsvpc',
      RequiresCompatibilities: ['FARGATE'],
      RuntimePlatform: { CpuArchitecture: 'ARM64', OperatingSystemFamily: 'LINUX' },
    });
  });

  it('is one container, whose name the reading of its end goes by', () => {
    expect(more).toEqual([]);
    expect(container).toMatchObject({ Name: AGENT_CONTAINER, Image: withEcs.agentImage, Essential: true });
    expect(container).not.toHaveProperty('Secrets');
  });

  it('reads from its environment what the runner reads, besides the reference of its payload, and how long it has to stop', () => {
    const environment = container?.['Environment'] as { Name: string; Value: string }[];
    expect([...environment.map(({ Name }) => Name), 'BATON_PAYLOAD'].sort()).toEqual(
      [...Object.keys(runnerEnvironment), 'BATON_STOP_TIMEOUT_S'].sort(),
    );
    expect(Object.fromEntries(environment.map(({ Name, Value }) => [Name, Value]))).toEqual({
      BATON_TABLE: deployment.one('AWS::DynamoDB::Table').ref,
      BATON_BUS: deployment.one('AWS::Events::EventBus').arn,
      BATON_PAYLOAD_BUCKET: deployment.one('AWS::S3::Bucket').ref,
      BATON_STOP_TIMEOUT_S: '120',
    });
    expect(container?.['StopTimeout']).toBe(120);
  });

  it('writes its log into a group that forgets', () => {
    const group = deployment.one('AWS::Logs::LogGroup', 'LogGroupName', '/baton/baton-test/agent');
    expect(group.properties['RetentionInDays']).toBe(30);
    expect(container?.['LogConfiguration']).toMatchObject({ Options: { 'awslogs-group': group.ref } });
  });
});

describe('the cluster', () => {
  it('starts nothing by itself, and is watched', () => {
    expect(deployment.one('AWS::ECS::Cluster').properties).toMatchObject({
      ClusterName: 'baton-test-agent',
      ClusterSettings: [{ Name: 'containerInsights', Value: 'enabled' }],
    });
    expect(deployment.all('AWS::ECS::Service')).toEqual([]);
  });
});

describe('the network of a run', () => {
  const group = deployment.one('AWS::EC2::SecurityGroup');

  it('lets HTTPS out and nothing in', () => {
    expect(group.properties['SecurityGroupEgress']).toEqual([
      expect.objectContaining({ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, CidrIp: '0.0.0.0/0' }),
    ]);
    expect(group.properties).not.toHaveProperty('SecurityGroupIngress');
    expect(deployment.all('AWS::EC2::SecurityGroupIngress')).toEqual([]);
    expect(deployment.all('AWS::EC2::SecurityGroupEgress')).toEqual([]);
  });

  it('is the one that was given', () => {
    expect(group.properties['VpcId']).toBe(withEcs.vpc);
    expect(deployment.all('AWS::EC2::VPC')).toEqual([]);
    const starter = deployment.one('AWS::Lambda::Function', 'FunctionName', 'baton-test-start-run-on-ecs');
    const { Variables } = starter.properties['Environment'] as { Variables: Record<string, string> };
    expect(Variables).toMatchObject({
      BATON_ECS_CLUSTER: deployment.one('AWS::ECS::Cluster').arn,
      BATON_ECS_TASK_FAMILY: 'baton-test-agent',
      BATON_ECS_SUBNETS: 'subnet-0123456789abcdef0,subnet-0123456789abcdef1',
    });
  });

  it('is made where none is given: private subnets with a way out', () => {
    const { subnets: _, ...rest } = withEcs;
    const own = synthesised({ ...rest, vpc: 'own' });
    expect(own.all('AWS::EC2::VPC')).toHaveLength(1);
    expect(own.all('AWS::EC2::NatGateway')).toHaveLength(1);
    const starter = own.one('AWS::Lambda::Function', 'FunctionName', 'baton-start-run-on-ecs');
    const { Variables } = starter.properties['Environment'] as { Variables: Record<string, string> };
    const used = (Variables['BATON_ECS_SUBNETS'] ?? '').split(',');
    const hidden = own
      .all('AWS::EC2::Subnet')
      .filter(({ id }) => id.includes('agent'))
      .map(({ ref }) => ref);
    expect(used.sort()).toEqual(hidden.sort());
    expect(hidden).toHaveLength(2);
  });
});

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
  const arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:agent-key-AbCdEf';
  const deployed = synthesised({ ...withEcs, agentSecrets: `OPENAI_API_KEY=${arn}` });

  it('are references in the task definition, fetched by ECS and by nobody else', () => {
    const { ContainerDefinitions } = deployed.one('AWS::ECS::TaskDefinition').properties as {
      ContainerDefinitions: object[];
    };
    expect(ContainerDefinitions[0]).toMatchObject({ Secrets: [{ Name: 'OPENAI_API_KEY', ValueFrom: arn }] });
    const readers = deployed
      .all('AWS::IAM::Policy')
      .filter(({ properties }) =>
        statementsIn(properties['PolicyDocument']).some(({ resources }) => resources.includes(arn)),
      );
    expect(readers.map(({ id }) => id)).toEqual([expect.stringMatching(/^EcsExecutionRole/)]);
  });
});

describe('who starts, asks about and stops runs', () => {
  const users = rules.filter(({ uses }) => uses.includes('ecs'));
  const inCluster = { ArnEquals: { 'ecs:cluster': deployment.one('AWS::ECS::Cluster').arn } };
  const policyOf = (rule: Rule) =>
    statementsIn(deployment.of(rule, 'AWS::IAM::Policy')[0]?.properties['PolicyDocument']);

  it.each(users.map((rule) => [rule.name, rule] as const))('%s may do so in one cluster', (_name, rule) => {
    const ecs = policyOf(rule).filter(({ actions }) => actions.some((action) => action.startsWith('ecs:')));
    expect(ecs).toEqual([
      {
        effect: 'Allow',
        actions: ['ecs:RunTask'],
        resources: ['arn:aws:ecs:us-east-1:000000000000:task-definition/baton-test-agent:*'],
        condition: inCluster,
      },
      {
        effect: 'Allow',
        actions: ['ecs:DescribeTasks', 'ecs:StopTask'],
        resources: ['arn:aws:ecs:us-east-1:000000000000:task/baton-test-agent/*'],
        condition: inCluster,
      },
      { effect: 'Allow', actions: ['ecs:ListTasks'], resources: ['*'], condition: inCluster },
    ]);
  });

  it.each(users.map((rule) => [rule.name, rule] as const))(
    '%s passes exactly the two roles, to ECS tasks',
    (_name, rule) => {
      const passing = policyOf(rule).filter(
        ({ actions, condition }) =>
          actions.includes('iam:PassRole') &&
          condition['StringEquals']?.['iam:PassedToService'] !== 'scheduler.amazonaws.com',
      );
      expect(passing).toEqual([
        {
          effect: 'Allow',
          actions: ['iam:PassRole'],
          resources: [role('EcsTaskRole')?.arn, role('EcsExecutionRole')?.arn],
          condition: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
        },
      ]);
    },
  );

  it('nobody else does', () => {
    for (const rule of rules.filter(({ uses }) => !uses.includes('ecs'))) {
      const actions = policyOf(rule).flatMap((statement) => statement.actions);
      expect(actions.filter((action) => action.startsWith('ecs:'))).toEqual([]);
    }
  });
});
