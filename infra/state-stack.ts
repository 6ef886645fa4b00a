import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import { AttributeType, BillingMode, ProjectionType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Archive, EventBus } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { BlockPublicAccess, Bucket, BucketEncryption } from 'aws-cdk-lib/aws-s3';
import { CfnScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { STAGE_DEFAULT } from '../schemas/stage.ts';
import { archivePattern } from './archive-pattern.ts';
import { deadLettersFor } from './dead-letters.ts';
import { DEAD_LETTER_RETENTION_D, RECEIVES_MAX, VISIBILITY_S } from './delivery-bounds.ts';
import type { Names } from './names.ts';
import type { Settings } from './settings.ts';

/**
 * Days after which S3 removes a payload that nobody deleted. Settling deletes it; a task that waits for its slot may take days before
 * its 8 hours begin, and its prompt must still be there.
 */
const PAYLOAD_EXPIRY_D = 30;
/** Characters of the deployment's secret; with 62 kinds of them far beyond guessing. */
const SECRET_CHARS = 48;

/** The sparse listing index (`docs/records.md`): partition `by`, sort `place`. */
export const LISTING_INDEX = 'by-place';

export interface StateStackProps extends StackProps {
  readonly settings: Settings;
  readonly names: Names;
}

/** What must survive every deployment: table, payload bucket, bus with archive, secret, and the queue of the alarm clock. */
export class StateStack extends Stack {
  readonly table: Table;
  readonly payloads: Bucket;
  readonly bus: EventBus;
  readonly archive: Archive;
  readonly secret: Secret;
  readonly alarmQueue: Queue;
  readonly alarmDeadLetters: Queue;
  readonly schedulerRole: Role;
  /** Name of the group of schedules. */
  readonly scheduleGroup: string;

  constructor(scope: Construct, id: string, { settings, names, ...props }: StateStackProps) {
    super(scope, id, props);
    const keep = settings.stage === STAGE_DEFAULT;
    const removalPolicy = keep ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;

    this.table = new Table(this, 'Table', {
      tableName: names.table,
      partitionKey: { name: 'key', type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: 'expiresAt',
      deletionProtection: keep,
      removalPolicy,
    });
    this.table.addGlobalSecondaryIndex({
      indexName: LISTING_INDEX,
      partitionKey: { name: 'by', type: AttributeType.STRING },
      sortKey: { name: 'place', type: AttributeType.STRING },
      projectionType: ProjectionType.ALL,
    });

    this.payloads = new Bucket(this, 'Payloads', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      lifecycleRules: [{ id: 'forgotten-payloads', expiration: Duration.days(PAYLOAD_EXPIRY_D) }],
      removalPolicy,
    });
    Validations.of(this.payloads).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'Objects live for hours under names that nobody can guess; an access log would outlive them and hold those names.',
    });

    this.bus = new EventBus(this, 'Bus', { eventBusName: names.bus });
    this.archive = new Archive(this, 'Archive', {
      archiveName: names.archive,
      sourceEventBus: this.bus,
      eventPattern: archivePattern,
      retention: Duration.days(settings.archiveRetentionDays),
    });

    this.secret = new Secret(this, 'Secret', {
      description: `Derives payload references and run tokens of Baton, stage ${settings.stage}.`,
      generateSecretString: { passwordLength: SECRET_CHARS, excludePunctuation: true },
      removalPolicy,
    });
    Validations.of(this.secret).acknowledge({
      id: 'AwsSolutions-SMG4',
      reason:
        'Tokens of running tasks derive from it: a rotation would shut every runner out. It leaves the account in no form.',
    });

    this.alarmDeadLetters = deadLettersFor(this, names.alarmDeadLetters, 'AlarmDeadLetters');
    this.alarmQueue = new Queue(this, 'AlarmQueue', {
      queueName: names.alarmQueue,
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      visibilityTimeout: Duration.seconds(VISIBILITY_S),
      retentionPeriod: Duration.days(DEAD_LETTER_RETENTION_D),
      deadLetterQueue: { queue: this.alarmDeadLetters, maxReceiveCount: RECEIVES_MAX },
    });

    const group = new CfnScheduleGroup(this, 'ScheduleGroup', { name: names.scheduleGroup });
    this.scheduleGroup = group.ref;
    this.schedulerRole = this.roleOfScheduler(group);

    new CfnOutput(this, 'TableName', { value: this.table.tableName });
    new CfnOutput(this, 'BusArn', { value: this.bus.eventBusArn });
    new CfnOutput(this, 'ArchiveArn', { value: this.archive.archiveArn });
    new CfnOutput(this, 'PayloadBucket', { value: this.payloads.bucketName });
  }

  /**
   * Scheduler rings as this role: it may put messages into the alarm queue, and what it cannot deliver into its dead letters, for
   * schedules of this stage's group, and nothing else.
   */
  private roleOfScheduler(group: CfnScheduleGroup): Role {
    const role = new Role(this, 'SchedulerRole', {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': this.account },
          ArnEquals: { 'aws:SourceArn': group.attrArn },
        },
      }),
    });
    role.addToPolicy(
      new PolicyStatement({
        actions: ['sqs:SendMessage'],
        resources: [this.alarmQueue.queueArn, this.alarmDeadLetters.queueArn],
      }),
    );
    return role;
  }
}
