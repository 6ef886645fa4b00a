import { describe, expect, it } from '@jest/globals';
import { taskFailed } from '../../events/task-failed.ts';
import { rules } from '../../rules/index.ts';
import { effectExpirySeconds } from '../../runtime/aws/powertools-effects.ts';
import { compilePattern } from '../../runtime/matcher.ts';
import { whyInvalid } from '../../runtime/pattern-validity.ts';
import { TIMEOUT_MAX_S } from '../../schemas/task-request.ts';
import { tableOf } from '../aws/dynamo-table.ts';
import { anEvent, aRequest } from '../builders.ts';
import { statementsIn, synthesised } from './scene.ts';

const deployment = synthesised({ stage: 'test', archiveRetentionDays: '120' });

describe('the table', () => {
  const { properties } = deployment.one('AWS::DynamoDB::Table');

  it('has the keys and the index that the adapter is tested on', () => {
    const { KeySchema, GlobalSecondaryIndexes, BillingMode } = tableOf('x');
    expect(properties).toMatchObject({ TableName: 'baton-test', KeySchema, BillingMode });
    expect(properties['GlobalSecondaryIndexes']).toEqual(GlobalSecondaryIndexes);
  });

  it('can be restored to any second, and forgets what has expired', () => {
    expect(properties).toMatchObject({
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
    });
  });
});

describe('rows of settled tasks', () => {
  it('outlive the archive, so that a replay meets no forgotten task', () => {
    const archiveDays = Number(deployment.one('AWS::Events::Archive').properties['RetentionDays']);
    for (const { properties } of deployment.all('AWS::Lambda::Function')) {
      const { Variables } = properties['Environment'] as { Variables: Record<string, string> };
      expect(Number(Variables['BATON_RECORD_RETENTION_D'] ?? archiveDays)).toBeGreaterThanOrEqual(archiveDays);
    }
    expect(archiveDays).toBe(120);
  });
});

describe('what was done outside', () => {
  const memories = deployment
    .all('AWS::Lambda::Function')
    .filter(({ properties }) => String(properties['FunctionName']).endsWith('post-webhook'))
    .map(({ properties }) => (properties['Environment'] as { Variables: Record<string, string> }).Variables);

  it('is remembered for longer than the archive keeps events, and than the rows of settled tasks live', () => {
    const archiveDays = Number(deployment.one('AWS::Events::Archive').properties['RetentionDays']);
    expect(memories).toHaveLength(1);
    for (const { BATON_RECORD_RETENTION_D: days } of memories) {
      expect(effectExpirySeconds(Number(days))).toBeGreaterThan(archiveDays * 86_400);
      expect(effectExpirySeconds(Number(days))).toBeGreaterThan(Number(days) * 86_400);
    }
  });

  it('is written by functions of rules with `once`, and by nobody else', () => {
    const writers = rules.filter((rule) =>
      deployment
        .of(rule, 'AWS::IAM::Policy')
        .some(({ properties }) => JSON.stringify(properties['PolicyDocument']).includes('EFFECT#')),
    );
    expect(writers).toEqual(rules.filter(({ once }) => once));
    expect(writers.length).toBeGreaterThan(0);
  });
});

describe('payloads', () => {
  const bucket = deployment.one('AWS::S3::Bucket');

  it('are private and encrypted', () => {
    expect(bucket.properties).toMatchObject({
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
    });
  });

  it('travel over TLS alone', () => {
    expect(statementsIn(deployment.one('AWS::S3::BucketPolicy').properties['PolicyDocument'])).toContainEqual({
      effect: 'Deny',
      actions: ['s3:*'],
      resources: [bucket.arn, `${bucket.arn}/*`],
      condition: { Bool: { 'aws:SecureTransport': 'false' } },
    });
  });

  it('that nobody deleted expire, later than the longest task could need them', () => {
    const { Rules } = bucket.properties['LifecycleConfiguration'] as {
      Rules: { ExpirationInDays: number; Status: string }[];
    };
    expect(Rules).toEqual([expect.objectContaining({ Status: 'Enabled', ExpirationInDays: 30 })]);
    expect((Rules[0]?.ExpirationInDays ?? 0) * 86_400).toBeGreaterThan(TIMEOUT_MAX_S);
  });
});

describe('the archive', () => {
  const { properties } = deployment.one('AWS::Events::Archive');
  const keeps = compilePattern(properties['EventPattern'] as never);

  it('keeps facts of our bus for as long as was asked', () => {
    expect(properties).toMatchObject({
      ArchiveName: 'baton-test',
      SourceArn: deployment.one('AWS::Events::EventBus').arn,
    });
    expect(whyInvalid(properties['EventPattern'])).toBeUndefined();
    expect(keeps(anEvent(taskFailed.of({ code: 'x', message: 'y' } as never)))).toBe(true);
    expect(keeps(aRequest('TaskCancelRequested', { taskId: 't' }))).toBe(true);
  });

  it('keeps no prompt', () => {
    expect(keeps(aRequest('TaskRequested', { prompt: 'secret plan' }))).toBe(false);
  });

  it('keeps nothing that a replay published', () => {
    expect(keeps(anEvent(taskFailed.of({} as never), { replayOf: 'replay-1' }))).toBe(false);
  });
});

describe('the secret', () => {
  it('is made by AWS and is in no template', () => {
    expect(deployment.one('AWS::SecretsManager::Secret').properties).toMatchObject({
      GenerateSecretString: { PasswordLength: 48, ExcludePunctuation: true },
    });
  });
});

describe('the role of the alarm clock', () => {
  it('puts messages into the alarm queue and its dead letters and does nothing else, for schedules of this stage', () => {
    const role = deployment.all('AWS::IAM::Role').find(({ id }) => id.startsWith('SchedulerRole'));
    const policy = deployment.all('AWS::IAM::Policy').find(({ id }) => id.startsWith('SchedulerRole'));
    const queue = deployment.one('AWS::SQS::Queue', 'QueueName', 'baton-test-alarms');
    const dead = deployment.one('AWS::SQS::Queue', 'QueueName', 'baton-test-alarms-dead');
    const group = deployment.one('AWS::Scheduler::ScheduleGroup');
    expect(statementsIn(policy?.properties['PolicyDocument'])).toEqual([
      { effect: 'Allow', actions: ['sqs:SendMessage'], resources: [queue.arn, dead.arn], condition: {} },
    ]);
    expect(statementsIn(role?.properties['AssumeRolePolicyDocument'])[0]?.condition).toEqual({
      StringEquals: { 'aws:SourceAccount': '000000000000' },
      ArnEquals: { 'aws:SourceArn': group.arn },
    });
  });
});

describe('what must survive', () => {
  const kept = ['AWS::DynamoDB::Table', 'AWS::S3::Bucket', 'AWS::SecretsManager::Secret'];

  it.each([
    ['main', 'Retain', true],
    ['test', 'Delete', false],
  ] as const)('of stage %s is treated so: %s', (stage, policy, isProtected) => {
    const deployed = synthesised({ stage });
    expect(deployed.one('AWS::DynamoDB::Table').properties['DeletionProtectionEnabled']).toBe(isProtected);
    for (const type of kept) expect([type, deployed.deletionPolicyOf(deployed.one(type))]).toEqual([type, policy]);
  });
});
