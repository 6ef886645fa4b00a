import {
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  DeleteScheduleCommand,
  GetScheduleCommand,
  SchedulerClient,
} from '@aws-sdk/client-scheduler';
import {
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  SendMessageCommand,
  type SendMessageCommandInput,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { alarmEvent } from '../../../../runtime/alarm-event.ts';
import { alarmQueue } from '../../../../runtime/endpoint/aws/alarm-queue.ts';
import { memorySchedules } from '../../../../runtime/endpoint/aws/memory-schedules.ts';
import { schedulerService } from '../../../../runtime/endpoint/aws/scheduler.ts';
import { MESSAGE_MAX_BYTES, type SentMessage, sqsService } from '../../../../runtime/endpoint/aws/sqs.ts';
import { awsServer, errorOf, place } from './aws-server.ts';

const NOW = '2026-11-21T12:00:00.000Z';
const sent: SentMessage[] = [];
const armed: string[] = [];
const warnings: string[] = [];
const timers = new Map<number, () => void>();
const scheduler = {
  nowMs: () => Date.parse(NOW),
  soon: (work: () => void) => work(),
  at(timeMs: number, work: () => void) {
    timers.set(timeMs, work);
    return () => void timers.delete(timeMs);
  },
};
const queueArn = `arn:aws:sqs:${place.region}:${place.account}:orders`;
let server: Awaited<ReturnType<typeof awsServer>>;
let sqs: SQSClient;
let schedules: SchedulerClient;

beforeAll(async () => {
  const orders = {
    name: 'orders',
    arn: queueArn,
    url: `http://sqs.local/${place.account}/orders`,
    async send(message: SentMessage) {
      sent.push(message);
      return `message-${sent.length}`;
    },
    attributes: () => ({ ApproximateNumberOfMessages: String(sent.length), DelaySeconds: '0' }),
  };
  const arm = async (taskId: string, at: string) => void armed.push(`${taskId} ${at}`);
  const alarms = alarmQueue({ name: 'baton-alarms', place, url: 'http://sqs.local', alarms: { arm } });
  const deliver = async (body: string) => {
    if (body === '"trouble"') throw new Error('the queue is away');
    sent.push({ body, delaySeconds: 0 });
  };
  const warn = (message: string) => warnings.push(message);
  const book = memorySchedules({ scheduler, targets: [{ arn: queueArn, deliver }], warn });
  server = await awsServer([
    sqsService({ queues: [orders, alarms] }),
    schedulerService({ place, groups: ['default', 'baton'], book, now: () => NOW }),
  ]);
  // The queue says its own address; what counts is the one that the client was given.
  sqs = new SQSClient({ ...server.client, useQueueUrlAsEndpoint: false });
  schedules = new SchedulerClient(server.client);
});
afterAll(async () => {
  sqs.destroy();
  schedules.destroy();
  await server.close();
});
beforeEach(() => {
  sent.length = 0;
  armed.length = 0;
  warnings.length = 0;
});

const orders = `http://sqs.local/${place.account}/orders`;
const send = (more: Partial<SendMessageCommandInput>) =>
  sqs.send(new SendMessageCommand({ QueueUrl: orders, MessageBody: 'x', ...more }));

describe('a message', () => {
  it('reaches its queue with its delay, and the client finds its checksum right', async () => {
    const { MessageId } = await send({ MessageBody: 'grüße', DelaySeconds: 900 });
    expect(sent).toEqual([{ body: 'grüße', delaySeconds: 900 }]);
    expect(MessageId).toBe('message-1');
  });

  it.each<[string, Partial<SendMessageCommandInput>, string]>([
    ['with a delay above 15 minutes', { DelaySeconds: 901 }, 'DelaySeconds must be >= 0 and <= 900'],
    ['with a delay below nothing', { DelaySeconds: -1 }, 'DelaySeconds must be >= 0'],
    ['of more than 1 MiB', { MessageBody: 'x'.repeat(MESSAGE_MAX_BYTES + 1) }, 'shorter than 1048576 bytes'],
  ])('%s is refused', async (_what, more, words) => {
    expect(await errorOf(send(more))).toMatchObject({
      name: 'InvalidParameterValue',
      message: expect.stringContaining(words),
    });
    expect(sent).toEqual([]);
  });

  it('needs a queue that exists', async () => {
    const QueueUrl = `http://sqs.local/${place.account}/nowhere`;
    expect(await errorOf(send({ QueueUrl }))).toMatchObject({ name: 'QueueDoesNotExist', status: 400 });
    expect(await errorOf(sqs.send(new GetQueueUrlCommand({ QueueName: 'nowhere' })))).toMatchObject({
      name: 'QueueDoesNotExist',
    });
  });
});

describe('a queue', () => {
  it('is found by name, and tells the attributes that are asked for', async () => {
    expect((await sqs.send(new GetQueueUrlCommand({ QueueName: 'orders' }))).QueueUrl).toBe(orders);
    const attributes = async (...AttributeNames: ('All' | 'QueueArn')[]) =>
      (await sqs.send(new GetQueueAttributesCommand({ QueueUrl: orders, AttributeNames }))).Attributes;
    expect(await attributes('QueueArn')).toEqual({ QueueArn: queueArn });
    expect(await attributes('All')).toEqual({
      QueueArn: queueArn,
      ApproximateNumberOfMessages: '0',
      DelaySeconds: '0',
    });
  });
});

describe('the alarm queue of a world with a clock', () => {
  const QueueUrl = `http://sqs.local/${place.account}/baton-alarms`;

  it('sets the clock', async () => {
    const at = '2026-11-21T12:05:00.000Z';
    await send({ QueueUrl, MessageBody: JSON.stringify(alarmEvent('t1', at)), DelaySeconds: 300 });
    expect(armed).toEqual([`t1 ${at}`]);
  });

  it('takes nothing that is no alarm', async () => {
    const { source: _source, ...nobodys } = alarmEvent('t1', NOW);
    for (const MessageBody of ['hello', '{}', JSON.stringify(nobodys)]) {
      expect(await errorOf(send({ QueueUrl, MessageBody }))).toMatchObject({ name: 'InvalidMessageContents' });
    }
    expect(armed).toEqual([]);
  });
});

describe('a one-time schedule', () => {
  const DUE = '2026-11-21T18:30:00';
  const aSchedule = (Name: string, more: Partial<CreateScheduleCommandInput> = {}): CreateScheduleCommandInput => ({
    Name,
    GroupName: 'baton',
    ScheduleExpression: `at(${DUE})`,
    FlexibleTimeWindow: { Mode: 'OFF' },
    ActionAfterCompletion: 'DELETE',
    Target: { Arn: queueArn, RoleArn: 'arn:aws:iam::000000000000:role/clock', Input: `{"for":"${Name}"}` },
    ...more,
  });
  const create = (input: CreateScheduleCommandInput) => schedules.send(new CreateScheduleCommand(input));
  const get = (Name: string, GroupName = 'baton') => schedules.send(new GetScheduleCommand({ Name, GroupName }));
  const remove = (Name: string) => schedules.send(new DeleteScheduleCommand({ Name, GroupName: 'baton' }));
  const gone = { name: 'ResourceNotFoundException', status: 404 };

  it('delivers its input when it is due, and is gone then', async () => {
    const { ScheduleArn } = await create(aSchedule('t1-1'));
    expect(ScheduleArn).toBe(`arn:aws:scheduler:${place.region}:${place.account}:schedule/baton/t1-1`);
    expect(await get('t1-1')).toMatchObject({
      Name: 't1-1',
      ScheduleExpression: `at(${DUE})`,
      CreationDate: new Date(NOW),
    });
    timers.get(Date.parse(`${DUE}Z`))?.();
    expect(sent).toEqual([{ body: '{"for":"t1-1"}', delaySeconds: 0 }]);
    expect(await errorOf(get('t1-1'))).toMatchObject(gone);
  });

  it('is there once', async () => {
    await create(aSchedule('t1-2'));
    expect(await errorOf(create(aSchedule('t1-2')))).toMatchObject({ name: 'ConflictException', status: 409 });
    await create(aSchedule('t1-2', { GroupName: 'default' }));
  });

  it('does not ring when it was deleted', async () => {
    await create(aSchedule('t1-3', { ScheduleExpression: 'at(2026-11-21T19:00:00)' }));
    await remove('t1-3');
    expect(timers.has(Date.parse('2026-11-21T19:00:00Z'))).toBe(false);
    expect(await errorOf(remove('t1-3'))).toMatchObject(gone);
    expect(await errorOf(get('t1-3'))).toMatchObject(gone);
  });

  it('does not ring while it is disabled', async () => {
    await create(aSchedule('t1-4', { ScheduleExpression: 'at(2026-11-21T20:00:00)', State: 'DISABLED' }));
    expect(timers.has(Date.parse('2026-11-21T20:00:00Z'))).toBe(false);
  });

  it('says when nobody took what it brought', async () => {
    const Target = { ...aSchedule('x').Target, Input: '"trouble"' } as CreateScheduleCommandInput['Target'];
    await create(aSchedule('t1-5', { ScheduleExpression: 'at(2026-11-21T21:00:00)', Target }));
    timers.get(Date.parse('2026-11-21T21:00:00Z'))?.();
    await errorOf(get('t1-5'));
    expect(warnings).toEqual(['schedule t1-5 was not delivered']);
  });

  it.each<[string, Partial<CreateScheduleCommandInput>, object]>([
    [
      'in a group that does not exist',
      { GroupName: 'other' },
      { ...gone, message: 'Schedule group other does not exist.' },
    ],
    ['with a name that is none', { Name: 'a b' }, { name: 'ValidationException', status: 400 }],
    ['with a name of 65 characters', { Name: 'x'.repeat(65) }, { name: 'ValidationException' }],
    ['with a time that is none', { ScheduleExpression: 'at(2026-13-41T00:00:00)' }, { name: 'ValidationException' }],
    [
      'with a time beyond the second',
      { ScheduleExpression: 'at(2026-11-21T18:30:00.5)' },
      { name: 'ValidationException' },
    ],
    ['in another time zone', { ScheduleExpressionTimezone: 'Europe/Berlin' }, { name: 'ValidationException' }],
    [
      'for a target that nobody has',
      { Target: { Arn: `${queueArn}x`, RoleArn: 'arn:aws:iam::000000000000:role/clock' } },
      { name: 'ValidationException' },
    ],
  ])('%s is refused', async (_what, more, error) => {
    expect(await errorOf(create(aSchedule('t1-9', more)))).toMatchObject(error);
  });
});
