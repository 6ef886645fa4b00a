import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { rules } from '../../rules/index.ts';
import type { Rule } from '../../rules/rule.ts';
import { SESSION_LIFETIME_S } from '../../schemas/agentcore-session.ts';
import { runnerEnvironment } from '../../schemas/environment.ts';
import { TIMEOUT_MAX_S } from '../../schemas/task-request.ts';
import type { Resource } from '../loopback/template.ts';
import { type Statement, statementsIn, synthesised, withAgentcore } from './scene.ts';

const deployment = synthesised({ ...withAgentcore, stage: 'test-1', alarmTopic: 'arn:aws:sns:us-east-1:0:on-call' });
const runtime = deployment.one('AWS::BedrockAgentCore::Runtime');
const runtimeArn = variablesOf('start-run-on-agentcore')['BATON_AGENTCORE_RUNTIME_ARN'];
const logGroup = deployment.all('AWS::Logs::LogGroup').find(isOfAgentcore);

describe('the runtime of AgentCore', () => {
  it('is this and nothing more', () => {
    const { EnvironmentVariables: _, ...properties } = runtime.properties;
    // In full: the check of properties, which knows nothing of PlatformVersion, is acknowledged.
    expect(properties).toEqual({
      AgentRuntimeName: 'baton_test_1_agent',
      Description: expect.any(String),
      AgentRuntimeArtifact: { ContainerConfiguration: { ContainerUri: withAgentcore.agentImage } },
      PlatformVersion: 'V2',
      ProtocolConfiguration: 'HTTP',
      NetworkConfiguration: { NetworkMode: 'PUBLIC' },
      LifecycleConfiguration: { IdleRuntimeSessionTimeout: 900, MaxLifetime: 28_800 },
      RoleArn: deployment.all('AWS::IAM::Role').find(isOfAgentcore)?.arn,
      Tags: { 'baton:stage': 'test-1' },
    });
  });

  it('gives a session all the time that a task may ask for', () => {
    expect(runtime.properties['LifecycleConfiguration']).toMatchObject({ MaxLifetime: SESSION_LIFETIME_S });
    expect(SESSION_LIFETIME_S).toBeGreaterThanOrEqual(TIMEOUT_MAX_S);
  });

  it('tells the runner what it reads, besides the reference of its payload, and how long it has to stop; no secret', () => {
    const { AWS_REGION, BATON_STOP_TIMEOUT_S, ...variables } = runtime.properties['EnvironmentVariables'] as Record<
      string,
      string
    >;
    expect([AWS_REGION, BATON_STOP_TIMEOUT_S]).toEqual(['us-east-1', '15']);
    expect([...Object.keys(variables), 'BATON_PAYLOAD'].sort()).toEqual(Object.keys(runnerEnvironment).sort());
    expect(variables).toEqual({
      BATON_TABLE: deployment.one('AWS::DynamoDB::Table').ref,
      BATON_BUS: deployment.one('AWS::Events::EventBus').arn,
      BATON_PAYLOAD_BUCKET: deployment.one('AWS::S3::Bucket').ref,
    });
  });

  it('keeps its name when settings change: sessions are stopped by its ARN', () => {
    const other = synthesised({
      agentImage: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/other:2',
      stage: 'test-1',
      producers: 'arn:aws:iam::123456789012:role/desk',
    }).one('AWS::BedrockAgentCore::Runtime');
    expect([other.id, other.properties['AgentRuntimeName']]).toEqual([
      runtime.id,
      runtime.properties['AgentRuntimeName'],
    ]);
  });

  // V2 starts a first container when the runtime is made.
  it('is made when its role can pull the image', () => {
    const policy = deployment.all('AWS::IAM::Policy').find(({ id }) => id.startsWith('AgentcoreRoleDefaultPolicy'));
    expect(dependenciesOf(runtime)).toContain(policy?.id);
  });
});

describe('the log of sessions', () => {
  it('is written under the name that AgentCore gives it, and forgets', () => {
    const raw = rawOf(logGroup).Properties?.['LogGroupName'];
    expect(raw).toEqual({
      'Fn::Join': [
        '',
        ['/aws/bedrock-agentcore/runtimes/', { 'Fn::GetAtt': [runtime.id, 'AgentRuntimeId'] }, '-DEFAULT'],
      ],
    });
    expect(logGroup?.properties['RetentionInDays']).toBe(30);
    expect(deployment.outputs['AgentcoreLogGroup']).toEqual({ Value: { Ref: logGroup?.id } });
  });

  // Else AgentCore makes it first, without an end, and the deployment fails because it is there.
  it('is there before anybody may make it', () => {
    const before = deployment.all('AWS::IAM::Policy').filter(({ id }) => dependenciesOf(runtime).includes(id));
    const rights = (policies: readonly Resource[]) =>
      policies.flatMap(({ properties }) =>
        statementsIn(properties['PolicyDocument']).flatMap(({ actions }) => actions),
      );
    expect(rights(before).filter((action) => action.startsWith('logs:'))).toEqual([]);
    const naming = deployment
      .all('AWS::IAM::Policy')
      .filter((policy) => isOfAgentcore(policy) && rights([policy]).includes('logs:CreateLogGroup'));
    expect(naming).toHaveLength(1);
    expect(JSON.stringify(rawOf(naming[0]))).toContain(`{"Fn::GetAtt":["${logGroup?.id}","Arn"]}`);
  });

  it('can be read by readers', () => {
    const reader = deployment.all('AWS::IAM::ManagedPolicy').find(({ id }) => id.startsWith('Reader'));
    const reading = statementsIn(reader?.properties['PolicyDocument']).filter(({ actions }) =>
      actions.includes('logs:FilterLogEvents'),
    );
    expect(reading.flatMap(({ resources }) => resources)).toContain(logGroup?.arn);
  });
});

// A9
describe('the role of sessions', () => {
  const role = deployment.all('AWS::IAM::Role').find(isOfAgentcore);
  const statements = deployment
    .all('AWS::IAM::Policy')
    .filter(isOfAgentcore)
    .flatMap(({ properties }) => statementsIn(properties['PolicyDocument']));
  const table = deployment.one('AWS::DynamoDB::Table').arn;
  const bus = deployment.one('AWS::Events::EventBus').arn;
  const payloads = `${deployment.one('AWS::S3::Bucket').arn}/payloads/*`;
  const image = 'arn:aws:ecr:eu-west-1:123456789012:repository/baton/agent';

  it('is taken on by AgentCore, for this runtime of this account', () => {
    expect(role?.properties['AssumeRolePolicyDocument']).toMatchObject({
      Statement: [
        {
          Action: 'sts:AssumeRole',
          Principal: { Service: 'bedrock-agentcore.amazonaws.com' },
          Condition: {
            StringEquals: { 'aws:SourceAccount': '000000000000' },
            ArnLike: {
              'aws:SourceArn': 'arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/baton_test_1_agent-*',
            },
          },
        },
      ],
    });
    expect(role?.properties['ManagedPolicyArns']).toBeUndefined();
  });

  // The agent can ask for its credentials: each right here is one that a language model has.
  it('may do what the runner does, pull the image and write the log, and nothing else', () => {
    const allowed = (actions: string[], resources: unknown[], condition: Statement['condition'] = {}) => ({
      effect: 'Allow',
      actions,
      resources,
      condition,
    });
    expect(statements).toEqual([
      allowed(['dynamodb:GetItem', 'dynamodb:UpdateItem'], [table], {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['RUN#*'] },
      }),
      allowed(['events:PutEvents'], [bus], { StringEquals: { 'events:source': 'baton.agent' } }),
      allowed(['s3:GetObject'], [payloads]),
      allowed(['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'], [image]),
      allowed(['ecr:GetAuthorizationToken'], ['*']),
      allowed(
        ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
        [logGroup?.arn],
      ),
      allowed(['logs:DescribeLogGroups'], ['arn:aws:logs:us-east-1:000000000000:log-group:*']),
    ]);
  });
});

// A7
describe('keys of agents on AgentCore', () => {
  const SECRETS = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret';
  const [model, git] = [`${SECRETS}:model-AbCdEf`, `${SECRETS}:git-AbCdEf`];
  const agentSecrets = `ANTHROPIC_API_KEY=${model}, CLAUDE_GIT_TOKEN=${git}, GH=${git}`;
  const withSecrets = synthesised({ ...withAgentcore, agentSecrets });

  it('are references in the environment of the runtime', () => {
    const made = withSecrets.one('AWS::BedrockAgentCore::Runtime').properties['EnvironmentVariables'];
    expect(made).toMatchObject({ BATON_AGENT_SECRETS: agentSecrets.replaceAll(' ', '') });
    expect(runtime.properties['EnvironmentVariables']).not.toHaveProperty('BATON_AGENT_SECRETS');
  });

  it('are read by the role of sessions, these and no others, and by nobody else', () => {
    const reading = withSecrets.all('AWS::IAM::Policy').flatMap(({ id, properties }) =>
      statementsIn(properties['PolicyDocument'])
        .filter(({ resources }) => resources.some((one) => one.startsWith(SECRETS)))
        .map((statement) => ({ ...statement, id: id.replace(/Default.*/, '') })),
    );
    expect(reading).toEqual([
      {
        id: 'AgentcoreRole',
        effect: 'Allow',
        actions: ['secretsmanager:GetSecretValue'],
        resources: [model, git],
        condition: {},
      },
    ]);
  });

  it("are never Baton's own, nor the token of GitHub unless agents were given it by name", () => {
    const closed = (made: typeof deployment) => [...new Set(deniedIn(made).flatMap(({ resources }) => resources))];
    const own = (made: typeof deployment) => made.one('AWS::SecretsManager::Secret').ref;
    const unnamed = synthesised({ ...withAgentcore, agentSecrets, githubToken: `${SECRETS}:github-AbCdEf` });
    const named = synthesised({ ...withAgentcore, agentSecrets, githubToken: git });
    expect(deniedIn(withSecrets)).toEqual([
      {
        id: 'AgentcoreRole',
        effect: 'Deny',
        actions: ['secretsmanager:GetSecretValue'],
        resources: [own(withSecrets)],
        condition: {},
      },
    ]);
    expect(closed(unnamed)).toEqual([own(unnamed), `${SECRETS}:github-AbCdEf`]);
    expect(closed(named)).toEqual([own(named)]);
  });

  function deniedIn(made: typeof deployment): (Statement & { readonly id: string })[] {
    return made.all('AWS::IAM::Policy').flatMap(({ id, properties }) =>
      statementsIn(properties['PolicyDocument'])
        .filter(({ effect }) => effect === 'Deny')
        .map((statement) => ({ ...statement, id: id.replace(/Default.*/, '') })),
    );
  }
});

describe('who starts and stops sessions', () => {
  const sessions = (rule: Rule): Statement[] =>
    statementsIn(deployment.of(rule, 'AWS::IAM::Policy')[0]?.properties['PolicyDocument']).filter(({ actions }) =>
      actions.some((action) => action.startsWith('bedrock-agentcore:')),
    );
  const deployed = rules.filter((rule) => deployment.of(rule, 'AWS::IAM::Policy').length > 0);

  it('are the rules of the back end, and nobody else', () => {
    const may = deployed.filter((rule) => sessions(rule).length > 0);
    expect(may.map(({ name, uses }) => [name, uses.includes('agentcore')])).toEqual([
      ['start-run-on-agentcore', true],
      ['stop-run-on-agentcore', true],
      ['check-run-on-agentcore', true],
    ]);
  });

  const mayAll = (action: string): [string, readonly string[]][] =>
    deployed.flatMap((rule) =>
      sessions(rule)
        .filter(({ actions }) => actions.includes(`bedrock-agentcore:${action}`))
        .map(({ actions, resources }) => {
          expect(actions).toHaveLength(1);
          return [rule.name, resources];
        }),
    );

  it('start them by one rule, at the one endpoint of the one runtime: IAM asks for both', () => {
    expect(mayAll('InvokeAgentRuntime')).toEqual([
      ['start-run-on-agentcore', [runtimeArn, `${runtimeArn}/runtime-endpoint/DEFAULT`]],
    ]);
  });

  // A20. A runtime that was deleted and made anew has another id. A stop that IAM denies proves no end.
  it('stop them at every runtime that the stage has had, and at those of no other', () => {
    const runtimes = 'arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/baton_test_1_agent-*';
    expect(mayAll('StopRuntimeSession')).toEqual([
      ['start-run-on-agentcore', [runtimes]],
      ['stop-run-on-agentcore', [runtimes]],
      ['check-run-on-agentcore', [runtimes]],
    ]);
  });

  // A20
  it('are told the runtime by its ARN, and the endpoint that is in their policy', () => {
    const starter = deployment.one('AWS::Lambda::Function', 'FunctionName', 'baton-test-1-start-run-on-agentcore');
    const told = rawOf(starter).Properties?.['Environment'] as { Variables: Record<string, unknown> };
    expect(told.Variables['BATON_AGENTCORE_RUNTIME_ARN']).toEqual({ 'Fn::GetAtt': [runtime.id, 'AgentRuntimeArn'] });
    for (const rule of deployed.filter(({ uses }) => uses.includes('agentcore'))) {
      expect(variablesOf(rule.name)).toMatchObject({
        BATON_AGENTCORE_RUNTIME_ARN: runtimeArn,
        BATON_AGENTCORE_QUALIFIER: 'DEFAULT',
      });
    }
  });

  // A3
  it('learn from the settings that AgentCore is the default', () => {
    expect(variablesOf('accept-task')['BATON_COMPUTES']).toBe('agentcore');
    const both = synthesised({
      ...withAgentcore,
      computes: 'ecs,agentcore',
      vpc: 'own',
    }).one('AWS::Lambda::Function', 'FunctionName', 'baton-accept-task');
    expect(both.properties['Environment']).toMatchObject({ Variables: { BATON_COMPUTES: 'ecs,agentcore' } });
  });
});

describe('starts that fail for a quarter of an hour', () => {
  const alarm = deployment.one('AWS::CloudWatch::Alarm', 'AlarmName', 'baton-test-1-agentcore-starts-fail').properties;

  it('ring an alarm', () => {
    expect(alarm).toMatchObject({
      Threshold: 1,
      EvaluationPeriods: 3,
      TreatMissingData: 'notBreaching',
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      AlarmActions: ['arn:aws:sns:us-east-1:0:on-call'],
      AlarmDescription: expect.stringContaining('start-run-on-agentcore'),
    });
  });

  it('are invocations of this runtime that were throttled, failed or refused; stops, which often find nothing, are none', () => {
    const metrics = alarm['Metrics'] as {
      Expression?: string;
      MetricStat?: { Period: number; Metric: { Namespace: string; MetricName: string; Dimensions: object[] } };
    }[];
    expect(metrics.flatMap(({ Expression }) => Expression ?? [])).toEqual(['SUM(METRICS())']);
    const counted = metrics.flatMap(({ MetricStat }) => MetricStat ?? []);
    expect(counted.map(({ Metric }) => Metric.MetricName).sort()).toEqual(['SystemErrors', 'Throttles', 'UserErrors']);
    for (const { Metric, Period } of counted) {
      expect([Metric.Namespace, Period]).toEqual(['AWS/Bedrock-AgentCore', 300]);
      expect(Metric.Dimensions).toEqual([
        { Name: 'Name', Value: 'baton_test_1_agent::DEFAULT' },
        { Name: 'Operation', Value: 'InvokeAgentRuntime' },
        { Name: 'Resource', Value: runtimeArn },
      ]);
    }
  });
});

function isOfAgentcore({ id }: { readonly id: string }): boolean {
  return id.startsWith('Agentcore');
}

function variablesOf(rule: string): Readonly<Record<string, string>> {
  const made = deployment.one('AWS::Lambda::Function', 'FunctionName', `baton-test-1-${rule}`);
  return (made.properties['Environment'] as { Variables: Record<string, string> }).Variables;
}

interface Raw {
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly DependsOn?: string | readonly string[];
}

/** As the template has it, with its references. */
function rawOf(resource: Resource | undefined): Raw {
  const file = join(deployment.outdir, `${resource?.stack}.template.json`);
  const { Resources } = JSON.parse(readFileSync(file, 'utf8')) as { Resources: Record<string, Raw> };
  return Resources[resource?.id ?? ''] ?? {};
}

function dependenciesOf(resource: Resource): readonly string[] {
  return [rawOf(resource).DependsOn ?? []].flat();
}
