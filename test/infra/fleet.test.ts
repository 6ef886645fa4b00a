import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { USER_DATA_MAX_BYTES } from '../../infra/fleet-boot.ts';
import { STATUS_TAGS } from '../../infra/fleet-tags.ts';
import { awsTimings } from '../../lifecycle/timings.ts';
import { rules } from '../../rules/index.ts';
import { agentSecretsText } from '../../schemas/agent-secrets.ts';
import { runnerEnvironment } from '../../schemas/environment.ts';
import { commandDocument, DOCUMENT_MAX_BYTES, runDocument } from '../../schemas/run-document.ts';
import { HOOK_WAIT_S, lifecycleHooks } from '../../schemas/worker.ts';
import type { Resource } from '../loopback/template.ts';
import { synthesised, withEcs, withEveryBackEnd, withFleet } from './scene.ts';

const SECRETS = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret';
const agentSecrets = `ANTHROPIC_API_KEY=${SECRETS}:model-AbCdEf, CLAUDE_GIT_TOKEN=${SECRETS}:git-AbCdEf`;
const deployment = synthesised({
  ...withFleet,
  stage: 'test',
  fleets: 'main=2, spare=1:c7g.large:spot',
  agentSecrets,
  alarmTopic: 'arn:aws:sns:us-east-1:0:on-call',
});
const [main, spare] = deployment.all('AWS::AutoScaling::AutoScalingGroup');
const templates = deployment.all('AWS::EC2::LaunchTemplate');
const securityGroup = deployment.one('AWS::EC2::SecurityGroup');
const dataOf = (template: Resource | undefined) =>
  (template?.properties['LaunchTemplateData'] ?? {}) as Readonly<Record<string, unknown>>;
const bootOf = (template: Resource | undefined) =>
  Buffer.from(String(dataOf(template)['UserData']), 'base64').toString();

// B1
describe('a machine of a fleet', () => {
  it('is this and nothing more', () => {
    const { UserData: _, ...data } = dataOf(templates[0]);
    expect(data).toEqual({
      ImageId: '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64',
      InstanceType: 'm7g.xlarge',
      IamInstanceProfile: { Arn: expect.stringContaining('FleetProfile') },
      // Version 2 alone, and no answer that goes on into a container.
      MetadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
      NetworkInterfaces: [
        { DeviceIndex: 0, AssociatePublicIpAddress: false, Groups: [`${securityGroup.ref}.GroupId`] },
      ],
      BlockDeviceMappings: [
        {
          DeviceName: '/dev/xvda',
          Ebs: { VolumeSize: 64, VolumeType: 'gp3', Encrypted: true, DeleteOnTermination: true },
        },
      ],
    });
    const { Roles } = deployment.one('AWS::IAM::InstanceProfile').properties;
    expect(Roles).toEqual([expect.stringMatching(/FleetRole/)]);
  });

  // Synthesis needs no account: CloudFormation looks.
  it('has the image that AWS publishes, as it is when the stack is deployed', () => {
    const { Parameters } = rawTemplate();
    const image = Object.values(Parameters).filter(({ Type }) => Type.includes('AWS::EC2::Image::Id'));
    expect(image).toEqual([
      {
        Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>',
        Default: '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64',
      },
    ]);
  });

  // B35
  it('has the type of its fleet, and is on spare capacity where that says so', () => {
    expect(templates.map((template) => dataOf(template)['InstanceType'])).toEqual(['m7g.xlarge', 'c7g.large']);
    expect(templates.map((template) => dataOf(template)['InstanceMarketOptions'])).toEqual([
      undefined,
      { MarketType: 'spot' },
    ]);
  });

  // B2
  it('reaches HTTPS, and nothing reaches it', () => {
    expect(securityGroup.properties['SecurityGroupEgress']).toEqual([
      expect.objectContaining({ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, CidrIp: '0.0.0.0/0' }),
    ]);
    expect(securityGroup.properties['SecurityGroupIngress']).toBeUndefined();
    expect(deployment.all('AWS::EC2::SecurityGroupIngress')).toEqual([]);
    expect(deployment.all('AWS::EC2::SecurityGroupEgress')).toEqual([]);
  });
});

describe('a fleet', () => {
  it('keeps its number of machines, in the subnets of the deployment, each from the newest template', () => {
    expect(main?.properties).toMatchObject({
      AutoScalingGroupName: 'baton-test-fleet-main',
      MinSize: '2',
      MaxSize: '2',
      VPCZoneIdentifier: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
    });
    expect(spare?.properties).toMatchObject({
      AutoScalingGroupName: 'baton-test-fleet-spare',
      MinSize: '1',
      MaxSize: '1',
    });
    for (const [place, group] of [main, spare].entries()) {
      expect(rawOf(group).Properties['LaunchTemplate']).toEqual({
        LaunchTemplateId: { Ref: templates[place]?.id },
        Version: { 'Fn::GetAtt': [templates[place]?.id, 'LatestVersionNumber'] },
      });
    }
  });

  // B26
  it('writes its name and the stage on its machines, at their launch', () => {
    const tags = [main, spare].map((group) => rawOf(group).Properties['Tags']);
    const tag = (Key: string, Value: string) => ({ Key, Value, PropagateAtLaunch: true });
    expect(tags).toEqual([
      [tag('baton:fleet', 'main'), tag('baton:stage', 'test')],
      [tag('baton:fleet', 'spare'), tag('baton:stage', 'test')],
    ]);
    for (const template of templates) expect(bootOf(template)).not.toMatch(/baton:(fleet|stage)/);
  });

  it('asks before a machine begins and before it goes: from the first one on, for as long as it may take', () => {
    for (const group of [main, spare]) {
      expect(group?.properties['LifecycleHookSpecificationList']).toEqual([
        {
          LifecycleHookName: lifecycleHooks.launch,
          LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
          HeartbeatTimeout: HOOK_WAIT_S.launch,
          DefaultResult: 'ABANDON',
        },
        {
          LifecycleHookName: lifecycleHooks.terminate,
          LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
          HeartbeatTimeout: HOOK_WAIT_S.terminate,
          DefaultResult: 'CONTINUE',
        },
      ]);
    }
    // One that is made afterwards would miss the first machines.
    expect(deployment.all('AWS::AutoScaling::LifecycleHook')).toEqual([]);
  });

  it('begins when its role may speak and the functions listen that take its machines in, and ends before they do', () => {
    const before = [rawOf(main).DependsOn ?? []].flat();
    const needed = rules.filter(({ name }) => ['register-worker', 'replace-worker', 'heed-termination'].includes(name));
    expect(needed).toHaveLength(3);
    for (const rule of needed) {
      for (const type of ['AWS::Lambda::Function', 'AWS::IAM::Policy', 'AWS::Events::Rule']) {
        expect(before).toContain(deployment.of(rule, type)[0]?.id);
      }
    }
    expect(before).toContainEqual(expect.stringMatching(/^FleetRoleDefaultPolicy/));
    // Until the policy of the bus knows the role, it speaks to nobody.
    expect(before).toContain('OnlyRunnersSpeakAsAgents');
  });
});

describe('the boot of a machine', () => {
  const boot = bootOf(templates[0]);

  it('is the script of the host, after the settings that it reads', () => {
    const script = readFileSync('agent/host/boot.sh', 'utf8');
    const settings = boot.split('\n').filter((line) => line.startsWith('export BATON_'));
    expect(boot).toBe(script.replace('#!/bin/bash\n', ['#!/bin/bash', ...settings, ''].join('\n')));
    const exported = settings.map((line) => /^export ([A-Z_]+)=/.exec(line)?.[1] ?? '');
    const [, header = ''] = /Infrastructure puts([\s\S]*?)\nset -/.exec(script) ?? [];
    const read = [...header.matchAll(/BATON_[A-Z_]+/g)].map(([name]) => name);
    expect(exported.sort()).toEqual([...new Set(read)].sort());
  });

  // A7, B16
  it('has from them what the runner needs, and of secrets the references', () => {
    const told = environmentOf(boot);
    expect(told).toEqual({
      BATON_FLEET: 'main',
      BATON_IMAGE: withFleet.agentImage,
      BATON_LOG_GROUP: '/baton/baton-test/fleet',
      BATON_BUS: deployment.one('AWS::Events::EventBus').arn,
      BATON_TABLE: deployment.one('AWS::DynamoDB::Table').ref,
      BATON_PAYLOAD_BUCKET: deployment.one('AWS::S3::Bucket').ref,
      BATON_AGENT_SECRETS: agentSecrets.replaceAll(' ', ''),
    });
    expect(Object.keys(told)).toEqual(
      expect.arrayContaining(Object.keys(runnerEnvironment).filter((name) => name !== 'BATON_PAYLOAD')),
    );
    expect(environmentOf(bootOf(synthesised(withFleet).one('AWS::EC2::LaunchTemplate')))).not.toHaveProperty(
      'BATON_AGENT_SECRETS',
    );
  });

  it('is no longer than EC2 takes, whatever all is called', () => {
    const longest = Array.from({ length: 16 }, (_, place) => ({
      name: `KEY_${place}`,
      arn: `${SECRETS}:${'k'.repeat(50)}-AbCdEf`,
    }));
    const image = `${'r'.repeat(200)}/${'i'.repeat(80)}:1`;
    const made = synthesised({
      ...{ ...withFleet, stage: 's'.repeat(16), fleets: `main=1,${'f'.repeat(32)}=1`, agentImage: image },
      agentSecrets: agentSecretsText(longest),
    });
    const sizes = made.all('AWS::EC2::LaunchTemplate').map((template) => Buffer.byteLength(bootOf(template)));
    expect(sizes).toHaveLength(2);
    expect(Math.max(...sizes)).toBeLessThan(USER_DATA_MAX_BYTES - 500);
  });
});

describe('the document that machines are sent', () => {
  const document = deployment.one('AWS::SSM::Document');

  // B11, B28
  it('is the script of the host, under the name of the stage, and a change is a new version of it', () => {
    const { Content, Tags: _, ...properties } = document.properties;
    expect(properties).toEqual({
      Name: 'baton-test-run',
      DocumentType: 'Command',
      DocumentFormat: 'JSON',
      TargetType: '/AWS::EC2::Instance',
      UpdateMethod: 'NewVersion',
    });
    expect(Content).toEqual(runDocument(readFileSync('agent/host/run.sh', 'utf8')));
    expect(commandDocument.safeParse(Content).error?.issues).toBeUndefined();
    expect(Buffer.byteLength(JSON.stringify(Content))).toBeLessThan(DOCUMENT_MAX_BYTES);
  });
});

describe('the log of a fleet', () => {
  // B2
  it('has a name that is told, and forgets', () => {
    const logGroup = deployment.one('AWS::Logs::LogGroup', 'LogGroupName', '/baton/baton-test/fleet');
    expect(logGroup.properties['RetentionInDays']).toBe(30);
    expect(deployment.outputs['FleetLogGroup']).toEqual({ Value: { Ref: logGroup.id } });
  });
});

describe('the functions of a deployment with fleets', () => {
  const variablesOf = (rule: string, made = deployment) =>
    (
      made.one('AWS::Lambda::Function', 'FunctionName', `baton-test-${rule}`).properties['Environment'] as {
        Variables: Record<string, string>;
      }
    ).Variables;

  it('know the document, the region, the log, the stage and the fleets', () => {
    for (const { name } of rules.filter(({ uses }) => uses.includes('ec2'))) {
      expect(variablesOf(name)).toMatchObject({
        BATON_FLEET_DOCUMENT: deployment.one('AWS::SSM::Document').ref,
        BATON_FLEET_REGION: 'us-east-1',
        BATON_FLEET_LOG_GROUP: '/baton/baton-test/fleet',
        BATON_STAGE: 'test',
      });
    }
    expect(variablesOf('accept-task')).toMatchObject({ BATON_COMPUTES: 'ec2', BATON_FLEETS: 'main,spare' });
    const without = synthesised({ stage: 'test' });
    expect(variablesOf('accept-task', without)).not.toHaveProperty('BATON_FLEETS');
  });

  it('share one network with ECS, where both are', () => {
    const both = synthesised({ ...withEveryBackEnd, vpc: 'own', subnets: '' });
    const vpc = both.one('AWS::EC2::VPC').ref;
    const groups = both.all('AWS::EC2::SecurityGroup').filter(({ id }) => /^(Ecs|Fleet)SecurityGroup/.test(id));
    expect(groups.map(({ properties }) => properties['VpcId'])).toEqual([vpc, vpc]);
    const group = both.one('AWS::AutoScaling::AutoScalingGroup');
    const { Variables } = both.one('AWS::Lambda::Function', 'FunctionName', 'baton-start-run-on-ecs').properties[
      'Environment'
    ] as { Variables: Record<string, string> };
    expect((group.properties['VPCZoneIdentifier'] as string[]).join(',')).toBe(Variables['BATON_ECS_SUBNETS']);
  });
});

// B3
describe('the status tags', () => {
  it('are those that hosts set', () => {
    const scripts = ['boot', 'run'].map((name) => readFileSync(`agent/host/${name}.sh`, 'utf8')).join('');
    const set = [...scripts.matchAll(/Key=(baton:[a-z-]+)/g)].map(([, name]) => name);
    expect([...new Set(set)].sort()).toEqual([...STATUS_TAGS].sort());
  });
});

// B21
describe('a fleet that shrinks', () => {
  const alarm = (name: string) => deployment.one('AWS::CloudWatch::Alarm', 'AlarmName', name).properties;
  const countedBy = (name: string) =>
    (
      alarm(name)['Metrics'] as {
        MetricStat?: { Metric: { MetricName: string; Namespace: string; Dimensions: { Value: string }[] } };
      }[]
    ).flatMap(({ MetricStat }) => MetricStat?.Metric ?? []);
  const emitting = rules.filter(({ emits }) => emits.some(({ type }) => type === 'WorkerQuarantined'));

  it('rings at the first machine that did not boot, and at the first that was taken out', () => {
    for (const name of ['baton-test-fleet-WorkerBootFailed', 'baton-test-fleet-WorkerQuarantined']) {
      expect(alarm(name)).toMatchObject({
        Threshold: 1,
        EvaluationPeriods: 1,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        TreatMissingData: 'notBreaching',
        AlarmActions: ['arn:aws:sns:us-east-1:0:on-call'],
        AlarmDescription: expect.stringContaining('docs/runbook.md#'),
      });
      for (const { MetricName, Namespace } of countedBy(name))
        expect([MetricName, Namespace]).toEqual(['WorkerQuarantined', 'Baton/test']);
    }
    const rulesOf = (name: string) => countedBy(name).flatMap(({ Dimensions }) => Dimensions.map(({ Value }) => Value));
    expect(rulesOf('baton-test-fleet-WorkerBootFailed')).toEqual(['exclude-worker']);
    expect(rulesOf('baton-test-fleet-WorkerQuarantined')).toEqual(
      emitting.map(({ name }) => name).filter((name) => name !== 'exclude-worker'),
    );
  });

  it('rings when it stays smaller than it should be for longer than one machine needs to go and another to come', () => {
    for (const [fleet, machines] of [
      ['main', 2],
      ['spare', 1],
    ] as const) {
      const small = alarm(`baton-test-fleet-${fleet}-small`);
      expect(small).toMatchObject({
        Namespace: 'AWS/AutoScaling',
        MetricName: 'GroupInServiceInstances',
        Dimensions: [{ Name: 'AutoScalingGroupName', Value: `baton-test-fleet-${fleet}` }],
        Threshold: machines,
        ComparisonOperator: 'LessThanThreshold',
        AlarmActions: ['arn:aws:sns:us-east-1:0:on-call'],
      });
      expect(Number(small['EvaluationPeriods']) * Number(small['Period'])).toBeGreaterThan(
        HOOK_WAIT_S.launch + HOOK_WAIT_S.terminate,
      );
      const group = deployment.one(
        'AWS::AutoScaling::AutoScalingGroup',
        'AutoScalingGroupName',
        `baton-test-fleet-${fleet}`,
      );
      expect(group.properties['MetricsCollection']).toEqual([
        { Granularity: '1Minute', Metrics: ['GroupInServiceInstances'] },
      ]);
    }
  });
});

describe('what a fleet cannot do or read', () => {
  const alarm = (name: string) =>
    deployment.one('AWS::CloudWatch::Alarm', 'AlarmName', `baton-test-${name}`).properties;
  const counts = (rule: string, MetricName: string) => ({
    Namespace: 'Baton/test',
    MetricName,
    Dimensions: [{ Name: 'rule', Value: rule }],
    Statistic: 'Sum',
    Threshold: 1,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    TreatMissingData: 'notBreaching',
    AlarmActions: ['arn:aws:sns:us-east-1:0:on-call'],
  });

  // F29
  it('rings at the first status of a command that is not known', () => {
    expect(alarm('observe-run-command-UnknownStatus')).toMatchObject({
      ...counts('observe-run-command', 'UnknownStatus'),
      Period: 300,
      EvaluationPeriods: 1,
    });
  });

  it('rings when for an hour there always was a start without a worker: a pause is usual', () => {
    const delayed = alarm('start-run-on-ec2-StartDelayed');
    expect(delayed).toMatchObject({
      ...counts('start-run-on-ec2', 'StartDelayed'),
      Period: 900,
      EvaluationPeriods: 4,
      AlarmDescription: expect.stringContaining('docs/runbook.md#no-worker-is-free'),
    });
    expect(Number(delayed['Period'])).toBeGreaterThan(awsTimings.BACKOFF_MAX_S);
  });

  it('is no matter of a deployment without one, nor of other rules', () => {
    const names = (settings: Readonly<Record<string, string>>) =>
      synthesised(settings)
        .all('AWS::CloudWatch::Alarm')
        .map(({ properties }) => String(properties['AlarmName']))
        .filter((name) => /UnknownStatus|StartDelayed/.test(name));
    expect(names({})).toEqual([]);
    expect(names(withEcs)).toEqual(['baton-start-run-on-ecs-StartDelayed']);
    expect(names(withFleet).sort()).toEqual([
      'baton-observe-run-command-UnknownStatus',
      'baton-start-run-on-ec2-StartDelayed',
    ]);
  });
});

// Where one leads nowhere, whoever is woken by it stands before the whole page.
describe('the alarms of a deployment with everything', () => {
  const everything = synthesised({ ...withEveryBackEnd, screening: 'required' });

  it('lead to sections of the runbook that are there', () => {
    const headings = [...readFileSync('docs/runbook.md', 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
      text.toLowerCase().replaceAll(' ', '-'),
    );
    const named = everything
      .all('AWS::CloudWatch::Alarm')
      .flatMap(
        ({ properties }) => /docs\/runbook\.md#([\w-]+)/.exec(String(properties['AlarmDescription']))?.[1] ?? [],
      );
    expect(new Set(named).size).toBeGreaterThan(3);
    expect(named.filter((anchor) => !headings.includes(anchor))).toEqual([]);
  });

  it('fit into their stacks, which take 500 resources each', () => {
    const sizes = new Map<string, number>();
    for (const { stack } of everything.resources) sizes.set(stack, (sizes.get(stack) ?? 0) + 1);
    expect(Math.max(...sizes.values())).toBeLessThan(500);
  });
});

/** What a shell understands of the settings. */
function environmentOf(boot: string): Record<string, string> {
  const settings = boot.split('\n').filter((line) => line.startsWith('export BATON_'));
  const script = `set -eu\n${settings.join('\n')}\nenv -0`;
  const told = execFileSync('bash', ['-c', script], { env: { PATH: process.env['PATH'] }, encoding: 'utf8' });
  const entries = told.split('\0').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  return Object.fromEntries(entries.filter(([name]) => name?.startsWith('BATON_')));
}

interface Raw {
  readonly Properties: Readonly<Record<string, unknown>>;
  readonly DependsOn?: string | readonly string[];
}

function rawTemplate() {
  const file = join(deployment.outdir, 'baton-test-choreography.template.json');
  return JSON.parse(readFileSync(file, 'utf8')) as {
    Resources: Record<string, Raw>;
    Parameters: Record<string, { Type: string; Default?: string }>;
  };
}

/** As the template has it, with its references. */
const rawOf = (resource: Resource | undefined): Raw =>
  rawTemplate().Resources[resource?.id ?? ''] ?? { Properties: {} };
