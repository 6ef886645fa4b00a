import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { IAlarmAction } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { Names } from './names.ts';
import type { Settings } from './settings.ts';

type AlarmSettings = Pick<Settings, 'alarmTopic' | 'alarmEmail'>;

/** Where the alarms of a stack go: nowhere but the console unless a topic or an address is given. By name, so that no stack waits for another. */
export function alarmActions(
  scope: Construct,
  { alarmTopic, alarmEmail }: AlarmSettings,
  names: Names,
): IAlarmAction[] {
  if (alarmTopic === undefined && alarmEmail === undefined) return [];
  const own = { service: 'sns', resource: names.alarmTopic, arnFormat: ArnFormat.NO_RESOURCE_NAME };
  return [new SnsAction(Topic.fromTopicArn(scope, 'AlarmTopic', alarmTopic ?? Stack.of(scope).formatArn(own)))];
}

/** The topic of our own, where an address is given. */
export function alarmTopic(scope: Construct, { alarmEmail }: AlarmSettings, names: Names): void {
  if (alarmEmail === undefined) return;
  const topic = new Topic(scope, 'OwnAlarmTopic', { topicName: names.alarmTopic, enforceSSL: true });
  topic.addSubscription(new EmailSubscription(alarmEmail));
  // A topic with a policy of its own lets in only whom that names.
  topic.grantPublish(
    new ServicePrincipal('cloudwatch.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
  );
}
