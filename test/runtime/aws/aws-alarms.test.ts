import { createHash } from 'node:crypto';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SQSClient } from '@aws-sdk/client-sqs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { alarmRang } from '../../../events/alarm-rang.ts';
import { alarmEvent } from '../../../runtime/alarm-event.ts';
import { awsAlarms } from '../../../runtime/aws/aws-alarms.ts';
import { envelope } from '../../../schemas/envelope.ts';
import { aTaskId, at } from '../../builders.ts';
import { type Answer, anError, aWire, type Script } from './wire.ts';

const QUEUE_URL = 'http://queues.test/000000000000/baton-test-alarms';
const QUEUE_ARN = 'arn:aws:sqs:eu-west-1:000000000000:baton-test-alarms';
const ROLE_ARN = 'arn:aws:iam::000000000000:role/baton-test-alarms';
const YEAR_S = 366 * 86_400;

interface SendMessage {
  readonly QueueUrl: string;
  readonly MessageBody: string;
  readonly DelaySeconds: number;
}

interface CreateSchedule {
  readonly GroupName: string;
  readonly ScheduleExpression: string;
  readonly Target: { readonly Arn: string; readonly RoleArn: string; readonly Input: string };
}

/** SQS confirms what it got by its hash, which the client checks. */
const accepted: Script = ({ body }) => {
  const { MessageBody: text = '' } = body as Partial<SendMessage>;
  return { body: { MessageId: 'm', MD5OfMessageBody: createHash('md5').update(text).digest('hex') } };
};

/** A clock that stands at `at(0)` over services that answer so. */
async function aClock({
  script = accepted,
  deadLetterQueueArn,
}: {
  script?: Script;
  deadLetterQueueArn?: string;
} = {}) {
  const wire = await aWire(script);
  const alarms = awsAlarms({
    sqs: new SQSClient(wire.client),
    scheduler: new SchedulerClient(wire.client),
    queueUrl: QUEUE_URL,
    queueArn: QUEUE_ARN,
    group: 'baton-test',
    roleArn: ROLE_ARN,
    now: () => at(0),
    ...(deadLetterQueueArn ? { deadLetterQueueArn } : {}),
  });
  return {
    alarms,
    messages: () => wire.bodies<SendMessage>('SendMessage'),
    schedules: () =>
      wire.calls
        .filter(({ operation }) => operation.startsWith('POST /schedules/'))
        .map(({ operation, body }) => ({
          name: operation.slice('POST /schedules/'.length),
          ...(body as CreateSchedule),
        })),
  };
}

describe('an alarm of the next 15 minutes', () => {
  it('is a message in the queue of alarms, delayed until its time', async () => {
    const { alarms, messages, schedules } = await aClock();
    await alarms.arm(aTaskId(), at(42));
    const [message] = messages();
    expect(message).toMatchObject({ QueueUrl: QUEUE_URL, DelaySeconds: 42 });
    const rang = envelope.parse(JSON.parse(message?.MessageBody ?? ''));
    expect(rang).toEqual(alarmEvent(aTaskId(), at(42)));
    expect(alarmRang.schema.parse(rang.detail['data'])).toEqual({ taskId: aTaskId(), at: at(42) });
    expect(schedules()).toEqual([]);
  });

  it.each([
    [0.001, 1],
    [41.001, 42],
    [899.999, 900],
    [900, 900],
    [0, 0],
    [-3600, 0],
  ])('rings %d s from now after a delay of %i s, never before its time', async (seconds, delay) => {
    const { alarms, messages } = await aClock();
    await alarms.arm(aTaskId(), at(seconds));
    expect(messages().map(({ DelaySeconds }) => DelaySeconds)).toEqual([delay]);
  });
});

describe('an alarm beyond 15 minutes', () => {
  it('is a schedule that puts the same message into the same queue once, and is gone then', async () => {
    const { alarms, messages, schedules } = await aClock();
    await alarms.arm(aTaskId(), at(3600));
    expect(messages()).toEqual([]);
    expect(schedules()).toEqual([
      {
        name: `${aTaskId()}-${Date.parse(at(3600)) / 1000}`,
        ActionAfterCompletion: 'DELETE',
        ClientToken: expect.any(String),
        FlexibleTimeWindow: { Mode: 'OFF' },
        GroupName: 'baton-test',
        ScheduleExpression: 'at(2026-01-01T01:00:00)',
        ScheduleExpressionTimezone: 'UTC',
        Target: { Arn: QUEUE_ARN, RoleArn: ROLE_ARN, Input: JSON.stringify(alarmEvent(aTaskId(), at(3600))) },
      },
    ]);
  });

  it.each([
    [900.001, 'at(2026-01-01T00:15:01)'],
    [3599.001, 'at(2026-01-01T01:00:00)'],
  ])('rings %d s from now, rounded up: %s', async (seconds, expression) => {
    const { alarms, schedules } = await aClock();
    await alarms.arm(aTaskId(), at(seconds));
    expect(schedules().map(({ ScheduleExpression }) => ScheduleExpression)).toEqual([expression]);
  });

  it('is set when a schedule of its name is there already', async () => {
    const { alarms } = await aClock({ script: () => anError('ConflictException', 'Schedule already exists.', 409) });
    await alarms.arm(aTaskId(), at(3600));
  });

  it('has one name however often it is set, and another for every other time, even of the same second', async () => {
    const { alarms, schedules } = await aClock();
    for (const seconds of [3600, 3600, 3600.25, 3600.5]) await alarms.arm(aTaskId(), at(seconds));
    await alarms.arm(aTaskId('green'), at(3600));
    const names = schedules().map(({ name }) => name);
    expect(names[0]).toBe(names[1]);
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/^[0-9A-Za-z\-_.]{1,64}$/);
  });

  it('further away than any schedule rings early, for its own time, so that it is set again', async () => {
    const { alarms, schedules } = await aClock();
    const far = '9999-12-31T23:59:59.999Z';
    await alarms.arm(aTaskId(), far);
    const [schedule] = schedules();
    expect(schedule?.ScheduleExpression).toBe(`at(${at(YEAR_S).slice(0, 19)})`);
    expect(JSON.parse(schedule?.Target.Input ?? '').detail.data.at).toBe(far);
  });

  it('names the queue for what cannot be delivered, where there is one', async () => {
    const { alarms, schedules } = await aClock({ deadLetterQueueArn: `${QUEUE_ARN}-dead` });
    await alarms.arm(aTaskId(), at(3600));
    expect(schedules()[0]?.Target).toMatchObject({ DeadLetterConfig: { Arn: `${QUEUE_ARN}-dead` } });
  });
});

describe('an alarm at any time', () => {
  it('rings at or after it, within a second, by a bound that the service takes', async () => {
    const { alarms, messages, schedules } = await aClock();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -10_000, max: (YEAR_S - 1) * 1000 }), async (fromNowMs) => {
        const [sent, made] = [messages().length, schedules().length];
        await alarms.arm(aTaskId(), at(fromNowMs / 1000));
        const message = messages()[sent];
        const expression = schedules()[made]?.ScheduleExpression;
        const ringsMs = message
          ? message.DelaySeconds * 1000
          : Date.parse(`${expression?.slice(3, -1)}Z`) - Date.parse(at(0));
        expect(ringsMs).toBeGreaterThanOrEqual(fromNowMs);
        expect(ringsMs).toBeLessThan(Math.max(0, fromNowMs) + 1000);
        if (message) expect(message.DelaySeconds).toBeLessThanOrEqual(900);
      }),
      { numRuns: 50, examples: [[900_000], [900_001], [-1], [0]] },
    );
  });
});

describe('an alarm that cannot be set', () => {
  const failures: [string, Answer, string, string][] = [
    ['throttled', anError('ThrottlingException', '', 429), 'service_throttled', 'soon'],
    ['out of order', anError('InternalServerException', '', 500), 'service_unavailable', 'soon'],
    ['forbidden', anError('AccessDeniedException', '', 403), 'service_denied', 'never'],
    ['refused', anError('ValidationException', 'no such role'), 'service_refused', 'never'],
    ['gone silent', 'hang up', 'service_unavailable', 'soon'],
  ];
  it.each(failures)('fails loudly on both ways: %s', async (_, answer, code, retry) => {
    const { alarms } = await aClock({ script: () => answer });
    await expect(alarms.arm(aTaskId(), at(1))).rejects.toMatchObject({ code, retry });
    await expect(alarms.arm(aTaskId(), at(3600))).rejects.toMatchObject({ code, retry });
  });

  it('says so when its time is none', async () => {
    const { alarms } = await aClock();
    await expect(alarms.arm(aTaskId(), 'tomorrow')).rejects.toMatchObject({ code: 'bad_input' });
  });
});
