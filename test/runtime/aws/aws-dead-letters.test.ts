import { LambdaClient } from '@aws-sdk/client-lambda';
import { SQSClient } from '@aws-sdk/client-sqs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { alarmEvent } from '../../../runtime/alarm-event.ts';
import { type AwsDeadLetters, awsDeadLetters } from '../../../runtime/aws/aws-dead-letters.ts';
import { AwsError } from '../../../runtime/endpoint/aws/aws-error.ts';
import { type SqsParts, sqsService } from '../../../runtime/endpoint/aws/sqs.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import { aRequest, aTaskId, at } from '../../builders.ts';
import { lambdaService } from '../../loopback/lambda-service.ts';
import { type Queue, type Queues, queuesOf } from '../../loopback/queues.ts';
import { served } from './served.ts';

const NAMES = [
  'baton-x-accept-task',
  'baton-x-accept-task-dead',
  'baton-x-admit-task-dead',
  'baton-x-alarms',
  'baton-x-alarms-dead',
];

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

interface Scene {
  readonly letters: AwsDeadLetters;
  /** What functions were invoked with, by name. */
  readonly invoked: [string, unknown][];
  queue(name: string): Queue;
  /** The service refuses this, as if it had no right to; undefined: nothing. */
  refuse(operation: 'SendMessage' | 'DeleteMessage' | undefined): void;
}

/** A stage `x` with two rules and the alarm clock, over the real clients. */
async function open(names: readonly string[] = NAMES): Promise<Scene> {
  const queues: Queues = queuesOf(
    names.map((name) => ({
      name,
      arn: `arn:aws:sqs:us-east-1:000000000000:${name}`,
      url: `https://sqs.us-east-1.amazonaws.com/000000000000/${name}`,
      visibilitySeconds: 30,
      redrive: undefined,
    })),
  );
  let refused: string | undefined;
  const parts: SqsParts = {
    queues: queues.all.map((queue) => ({
      ...queue,
      attributes: () => ({}),
      send: async ({ body }) => {
        if (refused === 'SendMessage') throw new AwsError('AccessDenied', 403, 'not yours');
        return queue.send(body).messageId;
      },
      reader: {
        ...queue,
        delete(receipt: string) {
          if (refused === 'DeleteMessage') throw new AwsError('AccessDenied', 403, 'not yours');
          queue.delete(receipt);
        },
      },
    })),
  };
  const invoked: [string, unknown][] = [];
  const invokeLater = (name: string, payload: unknown) => invoked.push([name, payload]) > 0;
  const aws = await served([sqsService(parts), lambdaService({ invokeLater })]);
  const sqs = new SQSClient({ ...aws.client, useQueueUrlAsEndpoint: false });
  const lambda = new LambdaClient(aws.client);
  undo.push(
    () => queues.close(),
    () => aws.close(),
    () => sqs.destroy(),
    () => lambda.destroy(),
  );
  return {
    letters: awsDeadLetters('x', { sqs, lambda }),
    invoked,
    queue(name) {
      const found = queues.byName(`baton-x-${name}`);
      if (!found) throw new Error(`there is no queue ${name}`);
      return found;
    },
    refuse: (operation) => {
      refused = operation;
    },
  };
}

const request = (id: string): Envelope => aRequest('TaskRequested', { prompt: 'a secret wish' }, id);
const ofLambda = (event: Envelope): string =>
  JSON.stringify({
    requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 3 },
    requestPayload: event,
    responsePayload: { errorType: 'Error', errorMessage: 'no luck' },
  });

describe('the dead letters of a deployment', () => {
  it('are listed whatever queue they are in, each once, and can be seen again at once', async () => {
    const { letters, queue } = await open();
    for (let n = 0; n < 25; n++) queue('accept-task-dead').send(JSON.stringify(request(`asked-${n}`)));
    queue('admit-task-dead').send(ofLambda(request('one')));
    queue('alarms-dead').send(JSON.stringify(alarmEvent(aTaskId(), at(0))));
    for (let look = 0; look < 2; look++) {
      const rules = (await letters.list()).map(({ rule }) => rule);
      expect(rules).toHaveLength(27);
      expect(new Set(rules)).toEqual(new Set(['accept-task', 'admit-task', 'wake-task']));
    }
    expect((await letters.list('admit-task')).map(({ event }) => event.id)).toEqual(['one']);
  });

  it('go back to the queue or the function of their rule, as they were, and are gone', async () => {
    const { letters, queue, invoked } = await open();
    const asked = JSON.stringify(request('asked'));
    const rings = JSON.stringify(alarmEvent(aTaskId(), at(0)));
    queue('accept-task-dead').send(asked);
    queue('admit-task-dead').send(ofLambda(request('one')));
    queue('alarms-dead').send(rings);
    const told = await letters.redrive(await letters.list());
    expect(told.map(({ rule, outcome }) => `${rule} ${outcome}`).sort()).toEqual([
      'accept-task sent',
      'admit-task sent',
      'wake-task sent',
    ]);
    expect([queue('accept-task').peek(), queue('alarms').peek()]).toEqual([[asked], [rings]]);
    expect(invoked).toEqual([['baton-x-admit-task', request('one')]]);
    expect(await letters.list()).toEqual([]);
  });

  it('stay where they are unless they were asked for, and what is no longer there is said', async () => {
    const { letters, queue } = await open();
    for (const id of ['one', 'two', 'three']) queue('accept-task-dead').send(JSON.stringify(request(id)));
    const two = (await letters.list()).filter(({ event }) => event.id === 'two');
    await letters.redrive(two);
    expect((await letters.list()).map(({ event }) => event.id).sort()).toEqual(['one', 'three']);
    expect(await letters.redrive(two)).toEqual([{ id: two[0]?.id, rule: 'accept-task', outcome: 'unknown_letter' }]);
    expect(queue('accept-task').depth()).toBe(1);
  });

  it('are kept when they cannot be handed over, with the reason', async () => {
    const { letters, queue, refuse } = await open();
    queue('accept-task-dead').send(JSON.stringify(request('one')));
    refuse('SendMessage');
    const before = await letters.list();
    expect(await letters.redrive(before)).toMatchObject([
      { outcome: 'failed', error: { code: 'service_denied', message: expect.stringContaining('SQS SendMessage') } },
    ]);
    expect(await letters.list()).toEqual(before);
  });

  it('are delivered before they are deleted: who is stopped in between has lost nothing, and may do it again', async () => {
    const { letters, queue, refuse } = await open();
    queue('accept-task-dead').send(JSON.stringify(request('one')));
    const before = await letters.list();
    refuse('DeleteMessage');
    await expect(letters.redrive(before)).rejects.toMatchObject({ code: 'service_denied' });
    expect(queue('accept-task').depth()).toBe(1);
    expect(queue('accept-task-dead').depth()).toBe(1);
    refuse(undefined);
    expect(await letters.list()).toEqual(before);
    expect(await letters.redrive(before)).toMatchObject([{ outcome: 'sent' }]);
    expect(queue('accept-task').peek()).toEqual([1, 2].map(() => JSON.stringify(request('one'))));
    expect(await letters.list()).toEqual([]);
  });

  it('that hold no event are left where they are', async () => {
    const { letters, queue } = await open();
    queue('accept-task-dead').send('what is this?');
    expect(await letters.redrive(await letters.list())).toMatchObject([{ outcome: 'not_an_event' }]);
    expect(await letters.list()).toHaveLength(1);
  });

  it('of a stage that is not there are an error that says so', async () => {
    const { letters } = await open(['baton-other-accept-task-dead']);
    await expect(letters.list()).rejects.toMatchObject({
      code: 'service_refused',
      remedy: expect.stringContaining('stage'),
    });
  });
});
