import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SQSClient } from '@aws-sdk/client-sqs';
import { afterEach } from '@jest/globals';
import { awsAlarms } from '../../runtime/aws/aws-alarms.ts';
import { alarmQueue } from '../../runtime/endpoint/aws/alarm-queue.ts';
import { memorySchedules } from '../../runtime/endpoint/aws/memory-schedules.ts';
import { schedulerService } from '../../runtime/endpoint/aws/scheduler.ts';
import { sqsService } from '../../runtime/endpoint/aws/sqs.ts';
import { served } from '../runtime/aws/served.ts';
import { anEngine } from '../runtime/engine/engine-fixture.ts';
import { alarmsContract } from './alarms.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

alarmsContract('the embedded world', async () => {
  const { engine, time, heard } = anEngine();
  return { alarms: engine.alarms, time, heard };
});

alarmsContract('SQS and Scheduler', async () => {
  const place = { account: '000000000000', region: 'local' };
  const { engine, time, heard } = anEngine();
  const queue = alarmQueue({ name: 'baton-alarms', place, url: 'http://127.0.0.1', alarms: engine.alarms });
  const deliver = (body: string) => queue.send({ body, delaySeconds: 0 });
  const book = memorySchedules({ scheduler: time, targets: [{ arn: queue.arn, deliver }] });
  const service = await served([
    sqsService({ queues: [queue] }),
    schedulerService({ place, groups: ['baton'], book, now: time.now }),
  ]);
  const sqs = new SQSClient(service.client);
  const scheduler = new SchedulerClient(service.client);
  open.push(
    service.close,
    () => book.stop(),
    () => sqs.destroy(),
    () => scheduler.destroy(),
  );
  const alarms = awsAlarms({
    sqs,
    scheduler,
    queueUrl: queue.url,
    queueArn: queue.arn,
    group: 'baton',
    roleArn: 'arn:aws:iam::000000000000:role/baton-alarms',
    now: time.now,
  });
  return { alarms, time, heard };
});
