import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Context } from 'aws-lambda';
import { awsTimings } from '../../../lifecycle/timings.ts';
import { admitTask } from '../../../rules/admit-task.ts';
import { alarmEvent } from '../../../runtime/alarm-event.ts';
import { deliveryLog } from '../../../runtime/aws/delivery-log.ts';
import { lambdaHandler } from '../../../runtime/aws/lambda.ts';
import { entryEvents } from '../../../runtime/published.ts';
import type { Reaction } from '../../../runtime/react.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import type { TaskIn } from '../../../schemas/task.ts';
import { aRequest, aTask, aTaskId } from '../../builders.ts';
import { type AFunction, aBatch, aFunctionScene, aMessage, type FunctionScene } from './a-function.ts';

/** Starting an engine and bundling take seconds; so does a process on a busy machine. Milliseconds. */
const SLOW_MS = 120_000;

let scene: FunctionScene;
beforeAll(async () => {
  scene = await aFunctionScene();
}, SLOW_MS);
afterAll(() => scene.close());

let tasks = 0;
const aNewTask = async (): Promise<TaskIn<'SUBMITTED'>> => {
  const name = `fn${++tasks}`;
  const task = { ...aTask({ status: 'SUBMITTED', taskId: aTaskId(name) }), userId: name, slotKey: `user:${name}` };
  await scene.has(task);
  return task;
};
const submitted = (task: TaskIn<'SUBMITTED'>): Envelope => entryEvents(task, task.history[0]!)[0]!;

const linesOf = (running: AFunction, message: string) => running.lines().filter((line) => line['message'] === message);
const metricsOf = (running: AFunction) =>
  running
    .lines()
    .filter((line) => '_aws' in line)
    .map(({ _aws, ...metrics }) => metrics);
/** What the functions themselves put among the dead letters. */
const deadLetters = () =>
  scene.aws.calls
    .filter(({ operation, input }) => operation === 'SendMessage' && String(input['QueueUrl']).endsWith('-dead'))
    .map(({ input }) => input);
const publishedOf = (taskId: string) =>
  scene.aws.published().filter(({ detail }) => detail.metadata['taskId'] === taskId);

describe('a function that gets an event of its rule', () => {
  let admit: AFunction;
  beforeAll(() => {
    admit = scene.start('admit-task');
  });

  test(
    'moves the task and publishes the fact before it answers',
    async () => {
      const task = await aNewTask();
      expect(await admit.invoke(submitted(task))).toEqual({ outcome: 'answered', payload: null });
      expect(await scene.task(task.taskId)).toMatchObject({ status: 'ADMITTED', version: 2 });
      expect(publishedOf(task.taskId)).toMatchObject([{ type: 'TaskAdmitted', detail: { metadata: { version: 2 } } }]);
      expect(linesOf(admit, 'handled').at(-1)).toMatchObject({
        rule: 'admit-task',
        taskId: task.taskId,
        event: 'TaskSubmitted',
        outcome: 'moved',
        published: [expect.any(String)],
      });
      expect(metricsOf(admit).at(-1)).toEqual({ rule: 'admit-task', Moved: 1, Published: 1 });
    },
    SLOW_MS,
  );

  test('publishes nothing when it comes a second time', async () => {
    const task = await aNewTask();
    await admit.invoke(submitted(task));
    expect(await admit.invoke(submitted(task))).toMatchObject({ outcome: 'answered' });
    expect(publishedOf(task.taskId)).toHaveLength(1);
    expect(linesOf(admit, 'handled').at(-1)).toMatchObject({ outcome: 'duplicate' });
    expect(metricsOf(admit).at(-1)).toEqual({ rule: 'admit-task', Duplicate: 1 });
  });

  test('says why nothing was done', async () => {
    const stranger = { ...aTask({ status: 'SUBMITTED' }), taskId: aTaskId('stranger') };
    await admit.invoke(submitted(stranger));
    expect(linesOf(admit, 'handled').at(-1)).toMatchObject({ outcome: 'refused', reasons: ['unknown_task'] });
    expect(metricsOf(admit).at(-1)).toEqual({ rule: 'admit-task', Refused: 1 });
  });

  test('has one client of each service, from its first call to its last', async () => {
    const before = scene.aws.connections();
    const fresh = scene.start('admit-task');
    for (let n = 0; n < 3; n++) await fresh.invoke(submitted(await aNewTask()));
    // EventBridge and SQS; the table is elsewhere.
    expect(scene.aws.connections() - before).toBe(2);
  });

  test.each([
    ['of another rule', { ...aRequest('TaskCancelRequested', { taskId: aTaskId() }) }, /TaskCancelRequested/],
    ['that is no envelope', { hello: 'world' }, /detail-type/],
  ])('fails for an event %s, with what the producer has to mend', async (_, event, told) => {
    const end = await admit.invoke(event);
    expect(end).toMatchObject({
      outcome: 'failed',
      unhandled: false,
      error: { errorMessage: expect.stringMatching(told) },
    });
    expect(linesOf(admit, 'failed').at(-1)).toMatchObject({
      error: { code: 'malformed_event', retry: 'never', remedy: expect.any(String) },
    });
  });

  test('is named in the log, so that its dead letter can be found', async () => {
    const event = { ...aRequest('TaskCancelRequested', { taskId: aTaskId() }), id: 'event-to-find' };
    await admit.invoke(event);
    expect(linesOf(admit, 'failed').at(-1)).toMatchObject({ event: 'TaskCancelRequested', eventId: 'event-to-find' });
  });
});

describe('a function whose step cannot be taken', () => {
  let admit: AFunction;
  beforeAll(() => {
    // Every repetition counts as a late one.
    admit = scene.start('admit-task', { BATON_TIMINGS: '{"REPUBLISH_AGE_S":0.000001}' });
  });
  beforeEach(() => {
    scene.aws.answer('SendMessage', undefined);
    scene.aws.answer('PutEvents', undefined);
  });

  test(
    'fails the invocation with code and remedy, and the task stays where it was',
    async () => {
      const task = await aNewTask();
      scene.aws.answer('SendMessage', () => ({ fails: 'AccessDeniedException', status: 400 }));
      const end = await admit.invoke(submitted(task));
      // Its dead letter has nothing else of the error.
      expect(end).toMatchObject({
        outcome: 'failed',
        error: { errorType: 'service_denied', errorMessage: expect.stringContaining('SendMessage') },
      });
      expect(await scene.task(task.taskId)).toMatchObject({ status: 'SUBMITTED' });
      expect(linesOf(admit, 'failed').at(-1)).toMatchObject({
        rule: 'admit-task',
        taskId: task.taskId,
        outcome: 'failed',
        error: { code: 'service_denied', retry: 'never', remedy: expect.any(String) },
      });
      expect(metricsOf(admit).at(-1)).toEqual({ rule: 'admit-task', Errors: 1 });
    },
    SLOW_MS,
  );

  test('fails when the fact could not be published, and the next try publishes the very same', async () => {
    const task = await aNewTask();
    scene.aws.answer('PutEvents', () => ({ fails: 'AccessDeniedException', status: 400 }));
    expect(await admit.invoke(submitted(task))).toMatchObject({ outcome: 'failed' });
    expect(await scene.task(task.taskId)).toMatchObject({ status: 'ADMITTED' });
    scene.aws.answer('PutEvents', undefined);
    expect(await admit.invoke(submitted(task))).toMatchObject({ outcome: 'answered' });
    const [refused, accepted] = publishedOf(task.taskId);
    expect(accepted).toEqual(refused);
    expect(linesOf(admit, 'handled').at(-1)).toMatchObject({ outcome: 'already' });
  });
});

describe('a function whose time is nearly over', () => {
  test('answers nothing before its reaction is through: what ran on would wake up in a later invocation', async () => {
    process.env['POWERTOOLS_LOG_LEVEL'] = 'SILENT';
    process.env['POWERTOOLS_METRICS_DISABLED'] = 'true';
    let through = false;
    const reaction: Reaction = {
      rule: admitTask,
      async run() {
        await setTimeout(50);
        through = true;
        return [];
      },
    };
    const clock = { now: () => new Date().toISOString() };
    const bus = { publish: async () => undefined };
    const parts = { ports: {}, bus, clock, timings: awsTimings, log: deliveryLog(admitTask) };
    const context = { getRemainingTimeInMillis: () => 1 } as Context;
    await lambdaHandler(reaction, parts)(submitted(await aNewTask()), context);
    expect(through).toBe(true);
  });
});

describe('a request with a prompt', () => {
  const prompt = 'the-prompt-that-nobody-may-read';
  const request = (key: string): Envelope =>
    aRequest('TaskRequested', { repository: '/srv/repository', prompt, idempotencyKey: key });

  test(
    'becomes a task; the prompt goes to the payload store and to no log, fact or record',
    async () => {
      const accept = scene.start('accept-task');
      expect(await accept.invoke(aBatch(aMessage(request('one'), 1)))).toMatchObject({
        outcome: 'answered',
        payload: { batchItemFailures: [] },
      });
      const withPrompt = scene.aws.calls.filter((call) => JSON.stringify(call).includes(prompt));
      expect(withPrompt.map(({ operation }) => operation)).toEqual(['PutObject']);
      const { taskId } = linesOf(accept, 'handled').at(-1) as { taskId: string };
      expect(await scene.task(taskId)).toMatchObject({ status: 'SUBMITTED' });
      expect(JSON.stringify(await scene.task(taskId))).not.toContain(prompt);
      expect(accept.output.join('\n')).not.toContain(prompt);
    },
    SLOW_MS,
  );

  test(
    'is in no log when its event is malformed, nor when a service refuses it',
    async () => {
      const accept = scene.start('accept-task');
      const { detail: _, ...noDetail } = request('two');
      await accept.invoke(aBatch(aMessage(JSON.stringify({ ...noDetail, prompt, detail: prompt }), 1)));
      scene.aws.answer('PutObject', () => ({ fails: 'AccessDenied', status: 403 }));
      expect(await accept.invoke(aBatch(aMessage(request('three'), 1)))).toMatchObject({
        payload: { batchItemFailures: [expect.anything()] },
      });
      scene.aws.answer('PutObject', undefined);
      expect(linesOf(accept, 'failed')).toHaveLength(2);
      expect(accept.output.join('\n')).not.toContain(prompt);
    },
    SLOW_MS,
  );

  test('does nothing while it is replayed', async () => {
    const accept = scene.start('accept-task');
    const calls = scene.aws.calls.filter(({ operation }) => operation === 'PutObject').length;
    await accept.invoke(aBatch(aMessage({ ...request('four'), 'replay-name': 'again' }, 1)));
    expect(linesOf(accept, 'handled').at(-1)).toMatchObject({ outcome: 'ignored', reasons: ['replay'] });
    expect(metricsOf(accept).at(-1)).toEqual({ rule: 'accept-task', Ignored: 1 });
    expect(scene.aws.calls.filter(({ operation }) => operation === 'PutObject')).toHaveLength(calls);
  });
});

describe('a queue rule', () => {
  test(
    'handles each message of its batch; what is wrong in itself goes to the dead letters at once, and does not come again',
    async () => {
      const wake = scene.start('wake-task');
      const task = await aNewTask();
      const rings = alarmEvent(task.taskId, task.due.step ?? '');
      const secret = 'the-prompt-in-a-broken-message';
      const before = deadLetters().length;
      const batch = aBatch(
        aMessage(`{ ${secret}`, 1, 'broken'),
        aMessage(rings, 1, 'good'),
        aMessage('{}', 1, 'empty'),
      );
      expect(await wake.invoke(batch)).toEqual({
        outcome: 'answered',
        payload: { batchItemFailures: [] },
      });
      expect(publishedOf(task.taskId)).toMatchObject([{ type: 'TaskTimedOut' }]);
      expect(linesOf(wake, 'failed')).toMatchObject([
        { error: { code: 'malformed_event' } },
        { error: { code: 'malformed_event' } },
      ]);
      // What was said of the message before is not said of the next.
      expect(linesOf(wake, 'failed')[1]).not.toHaveProperty('taskId');
      expect(wake.output.join('\n')).not.toContain(secret);
      const given = deadLetters().slice(before);
      expect(given).toMatchObject([
        { MessageBody: `{ ${secret}`, MessageAttributes: { ERROR_CODE: { StringValue: 'malformed_event' } } },
        { MessageBody: '{}', MessageAttributes: { RETRY_ATTEMPTS: { StringValue: '0' } } },
      ]);
      for (const { MessageAttributes } of given) expect(JSON.stringify(MessageAttributes)).not.toContain(secret);
    },
    SLOW_MS,
  );

  test(
    'leaves a message in the queue that could not be put among the dead letters',
    async () => {
      const wake = scene.start('wake-task');
      scene.aws.answer('SendMessage', () => ({ fails: 'AccessDeniedException', status: 400 }));
      const end = await wake.invoke(aBatch(aMessage('{}', 1, 'empty')));
      scene.aws.answer('SendMessage', undefined);
      expect(end).toMatchObject({ payload: { batchItemFailures: [{ itemIdentifier: 'empty' }] } });
      expect(linesOf(wake, 'failed')).toMatchObject([
        { error: { code: 'malformed_event' } },
        { error: { code: 'service_denied' } },
      ]);
    },
    SLOW_MS,
  );

  test(
    'tries what only a person can mend three times; what may pass, and a wake-up, for as long as the queue does',
    async () => {
      const asked = { repository: '/srv/repository', prompt: 'Mend it.', idempotencyKey: 'denied' };
      const request = aRequest('TaskRequested', asked);
      const accept = scene.start('accept-task');
      const failures = async (fails: string, receives: number) => {
        scene.aws.answer('PutObject', () => ({ fails, status: fails === 'AccessDenied' ? 403 : 500 }));
        const { payload } = (await accept.invoke(aBatch(aMessage(request, receives, 'asked')))) as {
          payload: { batchItemFailures: unknown[] };
        };
        scene.aws.answer('PutObject', undefined);
        return payload.batchItemFailures.length;
      };
      const before = deadLetters().length;
      expect(await failures('AccessDenied', 1)).toBe(1);
      expect(await failures('AccessDenied', 2)).toBe(1);
      expect(deadLetters()).toHaveLength(before);
      expect(await failures('AccessDenied', 3)).toBe(0);
      expect(deadLetters().at(-1)).toMatchObject({
        MessageBody: JSON.stringify(request),
        MessageAttributes: { ERROR_CODE: { StringValue: 'service_denied' }, RETRY_ATTEMPTS: { StringValue: '2' } },
      });
      expect(await failures('InternalError', 300)).toBe(1);

      const wake = scene.start('wake-task');
      const rings = alarmEvent((await aNewTask()).taskId, '2026-01-01T00:00:00.000Z');
      scene.aws.answer('SendMessage', ({ QueueUrl }) =>
        String(QueueUrl).endsWith('-alarms') ? { fails: 'AccessDenied', status: 403 } : { MessageId: '1' },
      );
      const end = await wake.invoke(aBatch(aMessage(rings, 300, 'rings')));
      scene.aws.answer('SendMessage', undefined);
      expect(end).toMatchObject({ payload: { batchItemFailures: [{ itemIdentifier: 'rings' }] } });
      expect(deadLetters()).toHaveLength(before + 1);
    },
    SLOW_MS,
  );

  test('knows a retry by the receive count of the message', async () => {
    const wake = scene.start('wake-task');
    const rings = alarmEvent((await aNewTask()).taskId, '2026-01-01T00:00:00.000Z');
    await wake.invoke(aBatch(aMessage(rings, 1), aMessage(rings, 3)));
    expect(linesOf(wake, 'handled').map(({ tries }) => tries)).toEqual([1, 3]);
  });
});

describe('a function that is deployed wrongly', () => {
  test(
    'does not start, and names every variable that is missing or wrong',
    async () => {
      const gaps = { BATON_TABLE: undefined, BATON_ALARM_GROUP: undefined, BATON_TASKS_AT_ONCE: 'many' };
      const end = await scene.start('admit-task', gaps).invoke({});
      expect(end).toMatchObject({ outcome: 'failed', unhandled: true });
      const { errorMessage } = (end as { error: { errorMessage: string } }).error;
      for (const name of Object.keys(gaps)) expect(errorMessage).toContain(name);
      expect(errorMessage).not.toContain('many');
    },
    SLOW_MS,
  );

  test(
    'does not start without its bus',
    async () => {
      scene.aws.answer('DescribeEventBus', () => ({ fails: 'ResourceNotFoundException', status: 400 }));
      const end = await scene.start('close-stop').invoke({});
      scene.aws.answer('DescribeEventBus', undefined);
      expect(end).toMatchObject({
        unhandled: true,
        error: { errorMessage: expect.stringContaining('no event bus baton') },
      });
    },
    SLOW_MS,
  );

  test(
    'starts when only its first calls are refused, and says so',
    async () => {
      scene.aws.answer('DescribeEventBus', () => ({ fails: 'AccessDeniedException', status: 400 }));
      const admit = scene.start('admit-task');
      const end = await admit.invoke(submitted(await aNewTask()));
      scene.aws.answer('DescribeEventBus', undefined);
      expect(end).toMatchObject({ outcome: 'answered' });
      expect(linesOf(admit, 'not primed')).toMatchObject([{ level: 'WARN', port: 'bus' }]);
    },
    SLOW_MS,
  );
});
