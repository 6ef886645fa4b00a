import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RegoEngine, TemplateFile, type ValidateConfig } from '@aws/cloudformation-validate';
import { describe, expect, it, jest } from '@jest/globals';
import { type App, CfnResource, Stack } from 'aws-cdk-lib';
import { CfnManagedPolicy, CfnPolicy } from 'aws-cdk-lib/aws-iam';
import { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import type { IConstruct } from 'constructs';
import { checkedApp, synthesised, withAgentcore, withEveryBackEnd, withPeople } from './scene.ts';

/** Checks take many seconds, more on a busy machine: milliseconds. */
const CHECKS_MAX_MS = 300_000;
jest.setTimeout(CHECKS_MAX_MS);

const { subnets: _, ...backEnds } = withEveryBackEnd;
const agentSecrets = 'OPENAI_API_KEY=arn:aws:secretsmanager:eu-west-1:123456789012:secret:agent-key-AbCdEf';
const everything = {
  ...backEnds,
  ...withPeople,
  agentSecrets,
  vpc: 'own',
  alarmEmail: 'a@b.example',
  screening: 'required',
  githubToken: agentSecrets.split('=')[1] ?? '',
  userSecrets:
    'arn:aws:secretsmanager:eu-west-1:123456789012:secret:users/*,arn:aws:ssm:eu-west-1:123456789012:parameter/users/*',
  userFileSystem: 'fs-0123456789abcdef0:sg-0123456789abcdef0',
};

/** Where the CDK keeps what was acknowledged. */
const ACKNOWLEDGED = 'aws:cdk:acknowledged-rules';

describe('the templates of a deployment', () => {
  it('with everything that there is pass the checks of cdk-nag and of the CDK', () => {
    const app = checkedApp(everything);
    const acknowledged = acknowledgementsIn(app);
    const wildcards = acknowledged.filter(({ id }) => id.includes('IAM5'));
    expect(wildcards.length).toBeGreaterThan(20);
    for (const { id, reason, scope } of wildcards) {
      const wanted = actionsOn(scope, id);
      expect([id, wanted.length > 0]).toEqual([id, true]);
      // The reason begins with the actions that it is about; further grants on the same resource follow.
      for (const action of wanted) expect([id, reason]).toEqual([id, expect.stringContaining(action)]);
    }
    for (const { reason } of acknowledged) expect(reason.length).toBeGreaterThan(20);
  });

  // Not with ECS: whatever is acknowledged of one resource is so for all, and the CDK's own network acknowledges much.
  it.each([
    ['without a back end', {}],
    ['with AgentCore alone', withAgentcore],
  ])('%s pass them too', (_what, settings) => {
    expect(() => checkedApp(settings)).not.toThrow();
  });

  it('hold nothing that CloudFormation would warn of', () => {
    const { outdir } = synthesised(everything);
    const files = readdirSync(outdir).filter((name) => name.endsWith('.template.json'));
    expect(files).toEqual(['baton-alarms', 'baton-choreography', 'baton-state'].map((name) => `${name}.template.json`));
    const engine = new RegoEngine();
    try {
      const told = files.flatMap(
        (file) => engine.validateStandard(new TemplateFile(join(outdir, file)), LOUD).diagnostics,
      );
      // Newer than the schemas that came with the validator. Here nothing is acknowledged, so no other property is let through.
      const unheard = "F3002: Additional properties are not allowed ('PlatformVersion' was unexpected)";
      expect(told.map(({ ruleId, message }) => `${ruleId}: ${message}`)).toEqual([unheard]);
    } finally {
      engine.free();
    }
  });

  // The checks of one app take seconds, so that everything is spoilt in the same.
  it('do not pass with an open bucket, a wildcard that nobody gave a reason for, and a property that does not exist', () => {
    const spoil = (app: App) => {
      const stack = app.node.findChild('baton-state') as Stack;
      new CfnBucket(stack, 'Open');
      new CfnManagedPolicy(stack, 'Wild', { policyDocument: anyS3 });
      new CfnResource(stack, 'Unheard', { type: 'AWS::SQS::Queue', properties: { QueueNaem: 'x' } });
    };
    const findings = complaintOf(() => checkedApp({}, spoil));
    expect(findings).toContain('AwsSolutions-S10');
    expect(findings).toContain('AwsSolutions-IAM5[Action::s3:*]');
    expect(findings).toContain('CloudFormation-Validate::F3002');
  });
});

/**
 * Everything from warnings up, but for two: the CDK names roles that a function depends on twice, which does no harm (W3005); and the
 * default bus, which an archive names by its ARN, is a resource of no template that a reference could lead to (W9002).
 */
const LOUD: ValidateConfig = { severityLevel: 'WARN', exclude: { ids: ['W3005', 'W9002'] } };

const anyS3 = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: 'arn:aws:s3:::one-bucket' }],
};

function complaintOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return String(error);
  }
  return 'nothing';
}

interface Acknowledgement {
  readonly scope: IConstruct;
  readonly id: string;
  readonly reason: string;
}

function acknowledgementsIn(app: App): Acknowledgement[] {
  return app.node.findAll().flatMap((scope) =>
    scope.node.metadata
      .filter(({ type }) => type === ACKNOWLEDGED)
      .flatMap(({ data }) => Object.entries(data as Record<string, string>))
      .map(([id, reason]) => ({ scope, id, reason })),
  );
}

/** The actions that the policies below a construct allow on the resource that an acknowledgement is about. */
function actionsOn(scope: IConstruct, id: string): string[] {
  const [, resource = ''] = /\[Resource::(.*)\]$/.exec(id) ?? [];
  return scope.node.findAll().flatMap((node) => {
    if (!(node instanceof CfnPolicy || node instanceof CfnManagedPolicy)) return [];
    const { Statement } = Stack.of(node).resolve(node.policyDocument) as { Statement: Record<string, unknown>[] };
    return Statement.filter((one) => [one['Resource']].flat().map(flattenCfnReference).includes(resource)).flatMap(
      (one) => [one['Action']].flat().map(String),
    );
  });
}
