import { CreateScheduleCommand, type SchedulerClient } from '@aws-sdk/client-scheduler';
import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { alarmEvent } from '../alarm-event.ts';
import { BatonError } from '../errors.ts';
import type { Alarms } from '../ports.ts';
import { sdkError, serviceError } from './sdk-errors.ts';

/** Longest delay of an SQS message, in seconds. */
const DELAY_MAX_S = 900;
/**
 * Furthest time for which a schedule is made, in seconds: a year. No wait of a task is as long; a wake-up that comes before its time
 * finds nothing due and sets the clock again.
 */
const SCHEDULE_MAX_S = 366 * 86_400;

export interface AwsAlarmsOptions {
  readonly sqs: SQSClient;
  readonly scheduler: SchedulerClient;
  /** The one queue in which all alarms end. */
  readonly queueUrl: string;
  readonly queueArn: string;
  /** Schedule group of the stage. */
  readonly group: string;
  /** Role with which Scheduler sends to the queue. */
  readonly roleArn: string;
  /** Queue for what Scheduler cannot deliver; none unless given. */
  readonly deadLetterQueueArn?: string;
  now(): string;
}

/**
 * The alarm clock of a deployment: a delayed SQS message up to 15 minutes, a one-time schedule beyond. Both put the same envelope into
 * one queue. SQS may ring twice for one time; a schedule that is there already is left as it is.
 */
export function awsAlarms(options: AwsAlarmsOptions): Alarms {
  return {
    async arm(taskId, at) {
      const atMs = Date.parse(at);
      if (Number.isNaN(atMs)) throw new BatonError('bad_input', `alarm of ${taskId}: "${at}" is no time`);
      const nowMs = Date.parse(options.now());
      // Rounded up: a wake-up before its time would find nothing due.
      const delayS = Math.max(0, Math.ceil((atMs - nowMs) / 1000));
      if (delayS <= DELAY_MAX_S) await send(taskId, at, delayS);
      else await schedule(taskId, at, Math.min(atMs, nowMs + SCHEDULE_MAX_S * 1000));
    },
  };

  async function send(taskId: string, at: string, delayS: number): Promise<void> {
    const message = { QueueUrl: options.queueUrl, MessageBody: bodyOf(taskId, at), DelaySeconds: delayS };
    try {
      await options.sqs.send(new SendMessageCommand(message));
    } catch (error) {
      throw serviceError('SQS SendMessage', error);
    }
  }

  async function schedule(taskId: string, at: string, ringsAtMs: number): Promise<void> {
    const { queueArn, roleArn, group, deadLetterQueueArn } = options;
    try {
      await options.scheduler.send(
        new CreateScheduleCommand({
          GroupName: group,
          Name: scheduleName(taskId, ringsAtMs),
          ScheduleExpression: `at(${secondAtOrAfter(ringsAtMs)})`,
          ScheduleExpressionTimezone: 'UTC',
          FlexibleTimeWindow: { Mode: 'OFF' },
          ActionAfterCompletion: 'DELETE',
          Target: {
            Arn: queueArn,
            RoleArn: roleArn,
            Input: bodyOf(taskId, at),
            ...(deadLetterQueueArn === undefined ? {} : { DeadLetterConfig: { Arn: deadLetterQueueArn } }),
          },
        }),
      );
    } catch (error) {
      // The name says task and time, so a schedule of that name is this very alarm, set by a racer or by a lost answer of our own.
      if (sdkError(error).name !== 'ConflictException') throw serviceError('Scheduler CreateSchedule', error);
    }
  }
}

const bodyOf = (taskId: string, at: string): string => JSON.stringify(alarmEvent(taskId, at));

/**
 * `<taskId>-<epoch seconds>`, with the fraction where there is one: two times of one second are two alarms, since each wake-up only
 * answers for its own (at most 64 characters of `0-9A-Za-z-_.`).
 */
const scheduleName = (taskId: string, atMs: number): string => `${taskId}-${atMs / 1000}`;

/** `yyyy-mm-ddThh:mm:ss`, as schedules are written. */
const secondAtOrAfter = (ms: number): string => new Date(Math.ceil(ms / 1000) * 1000).toISOString().slice(0, 19);
