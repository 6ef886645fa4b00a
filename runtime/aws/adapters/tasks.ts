import { BatonError } from '../../errors.ts';
import type { Tasks } from '../../ports.ts';
import { taskKey } from '../../records.ts';
import { runRecordIn, runsOver } from '../../runs.ts';
import { tasksOver } from '../../tasks.ts';
import { awsAlarms } from '../aws-alarms.ts';
import { scheduler } from '../clients/scheduler.ts';
import { sqs } from '../clients/sqs.ts';
import { type EnvironmentOf, timingsOf } from '../environment.ts';
import * as clock from './clock.ts';
import { primeRecords, records } from './records.ts';

/** Tasks in the table, with their alarm clock in SQS and Scheduler. */
export function open(environment: EnvironmentOf<'tasks'>): Tasks {
  const store = records(environment);
  const now = clock.open();
  const alarms = awsAlarms({
    sqs: sqs(),
    scheduler: scheduler(),
    queueUrl: environment.BATON_ALARM_QUEUE_URL,
    queueArn: environment.BATON_ALARM_QUEUE_ARN,
    group: environment.BATON_ALARM_GROUP,
    roleArn: environment.BATON_ALARM_ROLE_ARN,
    deadLetterQueueArn: environment.BATON_ALARM_DEAD_LETTERS_ARN,
    now: now.now,
  });
  const timings = timingsOf(environment);
  const runs = runsOver({ store, clock: now, secret: noSecret, read: runRecordIn });
  return tasksOver({ store, alarms, runs, clock: now, timings: () => timings });
}

/** Reads a task that nobody has. */
export const prime = (environment: EnvironmentOf<'tasks'>): Promise<unknown> => primeRecords(environment, taskKey(''));

/** Tasks look at runs and close them; only the port `runs` opens one, and only that needs the secret. */
const noSecret = (): never => {
  throw new BatonError('missing_port', 'the port "tasks" opens no run: name "runs" in the `uses` of the rule');
};
