import { describe, expect, it } from '@jest/globals';
import { rules } from '../../rules/index.ts';
import { synthesised, withAgentcore, withEcs, withEveryBackEnd, withFleet } from './scene.ts';

const OF_ECS = /^AWS::(ECS|ECR|EFS)::/;
const OF_NETWORK = /^AWS::EC2::/;
const OF_FLEETS = /^AWS::(AutoScaling|SSM|IAM::InstanceProfile)|^AWS::EC2::LaunchTemplate/;
const OF_AGENTCORE = /^AWS::BedrockAgentCore::/;

const count = (deployment: ReturnType<typeof synthesised>): Record<string, number> => {
  const types: Record<string, number> = {};
  for (const { type } of deployment.resources) types[type] = (types[type] ?? 0) + 1;
  return Object.fromEntries(Object.entries(types).sort());
};

describe('a deployment without a back end', () => {
  it('consists of this and nothing more', () => {
    expect(count(synthesised())).toMatchInlineSnapshot(`
{
  "AWS::CloudWatch::Alarm": 49,
  "AWS::DynamoDB::Table": 1,
  "AWS::Events::Archive": 1,
  "AWS::Events::EventBus": 1,
  "AWS::Events::EventBusPolicy": 6,
  "AWS::Events::Rule": 16,
  "AWS::IAM::ManagedPolicy": 3,
  "AWS::IAM::Policy": 18,
  "AWS::IAM::Role": 18,
  "AWS::Lambda::EventInvokeConfig": 17,
  "AWS::Lambda::EventSourceMapping": 5,
  "AWS::Lambda::Function": 17,
  "AWS::Lambda::Permission": 12,
  "AWS::Logs::LogGroup": 17,
  "AWS::S3::Bucket": 1,
  "AWS::S3::BucketPolicy": 1,
  "AWS::SQS::Queue": 22,
  "AWS::SQS::QueuePolicy": 22,
  "AWS::Scheduler::ScheduleGroup": 1,
  "AWS::SecretsManager::Secret": 1,
}
`);
  });

  // A4, A13, B37
  it('has nothing of a back end, no role of a run, and hears nothing of AWS', () => {
    const { resources } = synthesised();
    const ofBackEnds = [OF_ECS, OF_AGENTCORE, OF_NETWORK, OF_FLEETS];
    expect(resources.filter(({ type }) => ofBackEnds.some((kind) => kind.test(type)))).toEqual([]);
    const texts = resources.map(({ properties }) => JSON.stringify(properties));
    expect(texts.filter((text) => /ecs-tasks|"aws\.ecs"|"ecs:/.test(text))).toEqual([]);
    expect(texts.filter((text) => /bedrock-agentcore|BATON_AGENTCORE_/.test(text))).toEqual([]);
    const ofFleets = /"aws\.(ssm|ec2|autoscaling)"|"(ssm|ec2|autoscaling):|BATON_FLEET/;
    expect(texts.filter((text) => ofFleets.test(text))).toEqual([]);
  });
});

// A13
describe('a deployment with one back end', () => {
  it('has nothing of the others', () => {
    const types = (settings: Readonly<Record<string, string>>) =>
      synthesised(settings).resources.map(({ type }) => type);
    const others = (settings: Readonly<Record<string, string>>, ...kinds: RegExp[]) =>
      types(settings).filter((type) => kinds.some((kind) => kind.test(type)));
    expect(others(withAgentcore, OF_ECS, OF_NETWORK, OF_FLEETS)).toEqual([]);
    expect(others(withEcs, OF_AGENTCORE, OF_FLEETS)).toEqual([]);
    expect(others(withFleet, OF_AGENTCORE, OF_ECS)).toEqual([]);
    expect(others(withFleet, OF_FLEETS)).not.toEqual([]);
  });
});

describe.each([
  ['without a back end', {}],
  ['with AgentCore', withAgentcore],
  ['with ECS', withEcs],
  ['with EC2', withFleet],
  ['with all', withEveryBackEnd],
  ['with ECS in a network of its own', { ...withEcs, vpc: 'own', subnets: '' }],
])('a deployment %s', (_what, settings) => {
  const deployment = synthesised(settings);

  // A31
  it('has three stacks, none for a back end, no orchestrator, and nothing that runs by the clock', () => {
    expect([...new Set(deployment.resources.map(({ stack }) => stack))]).toEqual([
      'baton-alarms',
      'baton-choreography',
      'baton-state',
    ]);
    expect(deployment.all('AWS::StepFunctions::StateMachine')).toEqual([]);
    expect(deployment.all('AWS::Scheduler::Schedule')).toEqual([]);
    expect(deployment.all('AWS::Events::Rule').filter(({ properties }) => 'ScheduleExpression' in properties)).toEqual(
      [],
    );
    expect(deployment.all('AWS::ECS::Service')).toEqual([]);
    expect(
      deployment.resources.filter(({ type }) => /^(Custom::|AWS::CloudFormation::CustomResource)/.test(type)),
    ).toEqual([]);
  });

  // A31
  it('has no function that is no reaction, and none that waits longer than half a minute', () => {
    const functions = deployment.all('AWS::Lambda::Function').map(({ properties }) => properties);
    expect(functions.length).toBeLessThanOrEqual(rules.length);
    expect(functions.filter(({ Timeout }) => Number(Timeout) > 30)).toEqual([]);
  });
});
