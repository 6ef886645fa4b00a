import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../flows/scene.ts';
import type { DeployedQueue } from './deployment.ts';
import { eventSourceMapping } from './event-source-mapping.ts';
import type { InvocationEnd } from './function-process.ts';
import { type Queues, queuesOf } from './queues.ts';

const DEAD = 'arn:aws:sqs:us-east-1:000000000000:work-dead';
const deployed = (name: string, redrive?: DeployedQueue['redrive']): DeployedQueue => ({
  name,
  arn: `arn:aws:sqs:us-east-1:000000000000:${name}`,
  url: `https://sqs.us-east-1.amazonaws.com/000000000000/${name}`,
  visibilitySeconds: 30,
  redrive,
});

let queues: Queues;
let nowMs = 1_000;
afterEach(() => queues.close());

function open(receives = 3) {
  queues = queuesOf([deployed('work', { arn: DEAD, receives }), deployed('work-dead')], () => nowMs);
  const work = queues.byName('work');
  const dead = queues.byArn(DEAD);
  if (!work || !dead) throw new Error('both queues are deployed');
  return { work, dead };
}

describe('a queue', () => {
  it('shows a message to one receiver, and again when it was not deleted in time, counting', () => {
    const { work } = open();
    work.send('one');
    expect(work.receive(10)).toMatchObject([{ body: 'one', receives: 1 }]);
    expect(work.receive(10)).toEqual([]);
    nowMs += 30_000;
    const [again] = work.receive(10);
    expect(again).toMatchObject({ body: 'one', receives: 2 });
    work.delete(again?.receipt ?? '');
    expect(work.depth()).toBe(0);
  });

  it('ignores a receipt of an earlier delivery', () => {
    const { work } = open();
    work.send('one');
    const [first] = work.receive(1);
    nowMs += 30_000;
    work.receive(1);
    work.delete(first?.receipt ?? '');
    expect(work.depth()).toBe(1);
  });

  it('hides a delayed message until its time', () => {
    const { work } = open();
    work.send('later', { delaySeconds: 5 });
    expect(work.receive(1)).toEqual([]);
    nowMs += 5_000;
    expect(work.receive(1)).toHaveLength(1);
  });

  it('moves a message to its dead-letter queue after the bound of its redrive policy', () => {
    const { work, dead } = open(2);
    work.send('poison');
    for (let receive = 0; receive < 3; receive++) {
      work.receive(1);
      nowMs += 30_000;
    }
    expect(work.depth()).toBe(0);
    expect(dead.peek()).toEqual(['poison']);
  });

  it('is found under any address that ends in its account and name', () => {
    open();
    expect(queues.byUrl('http://127.0.0.1:4566/000000000000/work')?.name).toBe('work');
    expect(queues.byUrl('http://127.0.0.1:4566/000000000000/other')).toBeUndefined();
  });
});

describe('a queue that feeds a function', () => {
  const mapped = (answer: (tries: number) => InvocationEnd, { batchSize = 1, receives = 3 } = {}) => {
    nowMs = Date.now();
    queues = queuesOf([deployed('work', { arn: DEAD, receives }), deployed('work-dead')]);
    const work = queues.byName('work');
    if (!work) throw new Error('the queue is deployed');
    const batches: { messageId: string; body: string; attributes: Record<string, string> }[][] = [];
    eventSourceMapping({
      mapping: { queueArn: work.arn, function: 'handle', batchSize, reportsItemFailures: true, concurrency: 1 },
      queue: work,
      waitScale: 0.001,
      functions: {
        async invoke(_name, payload) {
          batches.push((payload as { Records: (typeof batches)[number] }).Records);
          return answer(batches.length);
        },
      },
    });
    return { work, batches, dead: queues.byArn(DEAD) };
  };
  const done: InvocationEnd = { outcome: 'answered', payload: { batchItemFailures: [] } };
  const failed: InvocationEnd = {
    outcome: 'failed',
    unhandled: false,
    error: { errorType: 'Error', errorMessage: 'not today' },
  };

  it('deletes what was handled', async () => {
    const { work, batches } = mapped(() => done);
    work.send('one');
    await eventually(() => (work.depth() === 0 ? true : undefined), 'the queue to be empty');
    expect(batches.flat().map(({ body }) => body)).toEqual(['one']);
  });

  it('brings what failed again, with its count, until it is a dead letter', async () => {
    const { work, batches, dead } = mapped(() => failed);
    work.send('poison');
    await eventually(() => dead?.peek()[0], 'the dead letter');
    expect(batches.flat().map(({ attributes }) => attributes['ApproximateReceiveCount'])).toEqual(['1', '2', '3']);
    expect(work.depth()).toBe(0);
  });

  it('brings only the failed messages of a batch again', async () => {
    const { work, batches } = mapped(
      (tries) =>
        tries > 1
          ? done
          : { outcome: 'answered', payload: { batchItemFailures: [{ itemIdentifier: batches[0]?.[1]?.messageId }] } },
      { batchSize: 2 },
    );
    work.send('one');
    work.send('two');
    await eventually(() => (work.depth() === 0 ? true : undefined), 'the queue to be empty');
    expect(batches.map((batch) => batch.map(({ body }) => body))).toEqual([['one', 'two'], ['two']]);
  });
});
