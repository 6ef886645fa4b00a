import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../schemas/envelope.ts';
import type { DeployedRule } from './deployment.ts';
import { eventRouter } from './event-router.ts';
import { queuesOf } from './queues.ts';

const FUNCTION = 'arn:aws:lambda:us-east-1:000000000000:function:greet';
const QUEUE = 'arn:aws:sqs:us-east-1:000000000000:work';
const DEAD = 'arn:aws:sqs:us-east-1:000000000000:work-dead';

const rule = (targetArn: string, bus = 'baton'): DeployedRule => ({
  name: 'greet',
  arn: 'arn:aws:events:us-east-1:000000000000:rule/baton/greet',
  bus,
  pattern: { source: ['baton'], detail: { data: { name: ['Ada'] } } },
  targets: [{ arn: targetArn, deadLetters: DEAD }],
});

const greeting = (name: string): Envelope => ({
  version: '0',
  id: `event-${name}`,
  'detail-type': 'Greeted',
  source: 'baton',
  account: '000000000000',
  time: '2026-01-01T00:00:00Z',
  region: 'us-east-1',
  resources: [],
  detail: { data: { name } },
});

function routed(rules: DeployedRule[], copies = 1) {
  const queues = queuesOf(
    [QUEUE, DEAD].map((arn) => {
      const name = arn.split(':').at(-1) ?? '';
      return { name, arn, url: `https://sqs.example/0/${name}`, visibilitySeconds: 30, redrive: undefined };
    }),
  );
  const invoked: unknown[] = [];
  const heard: string[] = [];
  const router = eventRouter({
    rules,
    queues,
    copies: () => copies,
    functions: {
      invokeLater(arn, payload) {
        if (arn === FUNCTION) invoked.push(payload);
        return arn === FUNCTION;
      },
    },
  });
  router.listen((event, bus) => heard.push(`${bus}:${event.id}`));
  const bodiesIn = (arn: string) =>
    queues
      .byArn(arn)
      ?.peek()
      .map((body) => JSON.parse(body));
  return { router, invoked, heard, bodiesIn };
}

describe('an event on a bus', () => {
  it('reaches the function of a rule that it matches, whole', () => {
    const { router, invoked } = routed([rule(FUNCTION)]);
    router.put('baton', [greeting('Ada'), greeting('Grace')]);
    expect(invoked).toEqual([greeting('Ada')]);
  });

  it('reaches the queue of a rule', () => {
    const { router, bodiesIn } = routed([rule(QUEUE)]);
    router.put('baton', [greeting('Ada')]);
    expect(bodiesIn(QUEUE)).toEqual([greeting('Ada')]);
  });

  it('reaches no rule of another bus', () => {
    const { router, invoked, heard } = routed([rule(FUNCTION)]);
    router.put('default', [greeting('Ada')]);
    expect(invoked).toEqual([]);
    expect(heard).toEqual(['default:event-Ada']);
  });

  it('is delivered as often as it is asked for', () => {
    const { router, invoked } = routed([rule(FUNCTION)], 3);
    router.put('baton', [greeting('Ada')]);
    expect(invoked).toHaveLength(3);
  });

  it('goes to the dead letters when its target is not there', () => {
    const { router, bodiesIn } = routed([rule(`${FUNCTION}-gone`)]);
    router.put('baton', [greeting('Ada')]);
    expect(bodiesIn(DEAD)).toEqual([greeting('Ada')]);
  });
});
