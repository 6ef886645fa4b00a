import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import { awsTimings } from '../../lifecycle/timings.ts';
import { BASE_MARKER } from '../../lifecycle/user-definition.ts';
import { runnerEnvironment } from '../../schemas/environment.ts';
import { statementsIn, synthesised, withEcs } from './scene.ts';

const deployment = synthesised({ ...withEcs, stage: 'test', screening: 'required' });

describe('a run on ECS', () => {
  const { properties } = deployment.one('AWS::ECS::TaskDefinition');
  const [container, ...more] = properties['ContainerDefinitions'] as Record<string, unknown>[];

  // A8
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

  // A8
  it('writes its log into a group that forgets', () => {
    const group = deployment.one('AWS::Logs::LogGroup', 'LogGroupName', '/baton/baton-test/agent');
    expect(group.properties['RetentionInDays']).toBe(30);
    expect(container?.['LogConfiguration']).toMatchObject({ Options: { 'awslogs-group': group.ref } });
  });
});

// T4, T7
describe('the marker of a base', () => {
  const marked = deployment.resources.filter(({ properties }) => JSON.stringify(properties).includes(BASE_MARKER));
  const isPolicy = ({ type }: { readonly type: string }) => type === 'AWS::IAM::Policy';

  it('is on the base, with the stage, and on nothing else', () => {
    const [base, ...more] = marked.filter((resource) => !isPolicy(resource));
    expect([base?.type, more]).toEqual(['AWS::ECS::TaskDefinition', []]);
    expect(base?.properties['Tags']).toContainEqual({ Key: BASE_MARKER, Value: 'test' });
  });

  // A new function that meets the base of a version without the marker would fail all tasks.
  it('is there before the function that asks for it is updated', () => {
    const starter = deployment.one('AWS::Lambda::Function', 'FunctionName', 'baton-test-start-run-on-ecs');
    const { Resources } = JSON.parse(
      readFileSync(join(deployment.outdir, `${starter.stack}.template.json`), 'utf8'),
    ) as { Resources: Record<string, { DependsOn?: readonly string[] }> };
    expect(Resources[starter.id]?.DependsOn).toContain(deployment.one('AWS::ECS::TaskDefinition').id);
  });

  it('is named in no policy but where it is forbidden', () => {
    const naming = marked.filter(isPolicy).flatMap(({ properties }) => statementsIn(properties['PolicyDocument']));
    const conditions = naming.map(({ condition }) => condition).filter((one) => 'Null' in one);
    expect(conditions.length).toBeGreaterThan(0);
    for (const { Null } of conditions) expect(Null).toEqual({ [`aws:RequestTag/${BASE_MARKER}`]: 'true' });
    expect(JSON.stringify(naming).split(BASE_MARKER).length - 1).toBe(conditions.length);
  });
});

// An alarm rings only when tasks wait for longer than they do for each other.
describe('starts that are put off', () => {
  it('ring after an hour in which there always was one', () => {
    const { properties } = deployment.one(
      'AWS::CloudWatch::Alarm',
      'AlarmName',
      'baton-test-start-run-on-ecs-StartDelayed',
    );
    expect(properties).toMatchObject({
      Namespace: 'Baton/test',
      MetricName: 'StartDelayed',
      Dimensions: [{ Name: 'rule', Value: 'start-run-on-ecs' }],
      Period: 900,
      EvaluationPeriods: 4,
      Threshold: 1,
      TreatMissingData: 'notBreaching',
      AlarmDescription: expect.stringContaining('docs/runbook.md'),
    });
    expect(Number(properties['Period'])).toBeGreaterThan(awsTimings.BACKOFF_MAX_S);
  });
});

// T2, T5
describe('the revision of a task definition', () => {
  it('is pinned nowhere: no parameter, no export, no variable, no policy names one', () => {
    const { id, properties } = deployment.one('AWS::ECS::TaskDefinition');
    expect(properties['Family']).toBe('baton-test-agent');
    expect(deployment.all('AWS::SSM::Parameter')).toEqual([]);
    const texts = deployment.resources.map(({ properties }) => JSON.stringify(properties));
    expect(texts.filter((text) => /baton-test-agent(-user)?:\d/.test(text))).toEqual([]);
    expect(JSON.stringify(deployment.outputs)).not.toMatch(new RegExp(`${id}|task-definition`));
    // What the functions are told is the family, which they describe at each use.
    expect(texts.filter((text) => text.includes('"BATON_ECS_TASK_FAMILY":"baton-test-agent"')).length).toBeGreaterThan(
      0,
    );
  });
});

// A13
describe('a deployment with ECS', () => {
  it('hears what ECS tells', () => {
    const patterns = deployment.all('AWS::Events::Rule').map(({ properties }) => properties['EventPattern']);
    expect(patterns).toContainEqual(
      expect.objectContaining({ source: ['aws.ecs'], 'detail-type': ['ECS Task State Change'] }),
    );
  });
});

describe('the cluster', () => {
  // A8
  it('starts nothing by itself, and is watched', () => {
    expect(deployment.one('AWS::ECS::Cluster').properties).toMatchObject({
      ClusterName: 'baton-test-agent',
      ClusterSettings: [{ Name: 'containerInsights', Value: 'enabled' }],
    });
    expect(deployment.all('AWS::ECS::Service')).toEqual([]);
  });

  it('has capacity on demand and Spot', () => {
    expect(deployment.one('AWS::ECS::ClusterCapacityProviderAssociations').properties).toMatchObject({
      Cluster: deployment.one('AWS::ECS::Cluster').ref,
      CapacityProviders: ['FARGATE', 'FARGATE_SPOT'],
    });
  });
});

describe('the network of a run', () => {
  const group = deployment.one('AWS::EC2::SecurityGroup');

  // A8
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
