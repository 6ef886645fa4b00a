import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { startedByOf } from '../../lifecycle/ecs-task.ts';
import { rules } from '../../rules/index.ts';
import type { Rule } from '../../rules/rule.ts';
import { compilePattern } from '../../runtime/matcher.ts';
import { whyInvalid } from '../../runtime/pattern-validity.ts';
import { compute } from '../../schemas/compute.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { anEcsEvent, aRequest, aTaskId } from '../builders.ts';
import { ruleOf, synthesised, withAgentcore, withEcs, withEveryBackEnd } from './scene.ts';

const deployment = synthesised({ ...withEveryBackEnd, stage: 'test', screening: 'required' });
const patterns = deployment.all('AWS::Events::Rule').map(({ id, properties }) => {
  const pattern = properties['EventPattern'];
  return {
    name: ruleOf(id)?.name ?? '',
    pattern,
    matches: compilePattern(pattern as never),
    bus: properties['EventBusName'],
  };
});
const heardBy = (event: unknown): string[] =>
  patterns
    .filter(({ matches }) => matches(event))
    .map(({ name }) => name)
    .sort();
const cluster = deployment.one('AWS::ECS::Cluster').arn;

const fixtures = join('test', 'fixtures', 'events');
const published = readdirSync(fixtures).map(
  (file) => JSON.parse(readFileSync(join(fixtures, file), 'utf8')) as Envelope<string, { data?: { compute?: string } }>,
);
/** Each event once for every back end that it may name. */
const events = published.flatMap((event): Envelope[] =>
  event.detail.data?.compute === undefined
    ? [event]
    : compute.options.map((name) => ({
        ...event,
        detail: { ...event.detail, data: { ...event.detail.data, compute: name } },
      })),
);

/** Who hears an event by the declarations alone, as the in-process bus decides it. */
const declaredFor = (event: Envelope): string[] =>
  rules
    .filter(({ on }) => on.some(({ type, source }) => type === event['detail-type'] && source === event.source))
    .filter(({ where }) => !where || compilePattern(where)(event.detail))
    .map(({ name }) => name)
    .sort();

describe('a synthesised pattern', () => {
  it.each(patterns.map(({ name, pattern }) => [name, pattern] as const))(
    'of %s is one that EventBridge takes',
    (_name, pattern) => {
      expect(whyInvalid(pattern)).toBeUndefined();
      expect(whyInvalid(JSON.stringify(pattern))).toBeUndefined();
    },
  );

  it.each(events.map((event) => [event['detail-type'], event] as const))(
    'of a rule hears %s exactly when the rule does',
    (type, event) => {
      // The alarm clock rings in its queue, on no bus.
      expect(heardBy(event)).toEqual(type === alarmRang.type ? [] : declaredFor(event));
    },
  );

  it('hears each event of its rule: no fixture is missing', () => {
    const heard = new Set(events.flatMap(heardBy));
    const own = rules.filter(({ on }) => !on.some((one) => 'native' in one || one.source === alarmRang.source));
    expect(own.filter(({ name }) => !heard.has(name)).map(({ name }) => name)).toEqual([]);
  });
});

describe('our own events', () => {
  it('are heard on our bus, native ones on the default bus', () => {
    expect(new Set(patterns.map(({ bus }) => bus))).toEqual(new Set(['baton-test', undefined]));
    expect(patterns.filter(({ bus }) => bus === undefined).map(({ name }) => name)).toEqual(['observe-ecs-task']);
  });

  it.each(['baton.request', 'baton.request.ada'])('from %s reach the rule of the request', (source) => {
    expect(heardBy({ ...aRequest('TaskRequested', {}), source })).toEqual(['accept-task']);
    expect(heardBy({ ...aRequest('TaskCancelRequested', {}), source })).toEqual(['cancel-task']);
  });

  it.each(['baton.requests', 'baton.agent', 'baton', 'other'])('from %s are no request', (source) => {
    expect(heardBy({ ...aRequest('TaskRequested', {}), source })).toEqual([]);
  });
});

describe('an ECS task', () => {
  const ours = { clusterArn: cluster, startedBy: startedByOf('test', aTaskId(), 1) };

  it.each(['RUNNING', 'STOPPED'])('of this stage that is %s is observed', (lastStatus) => {
    expect(heardBy(anEcsEvent({ ...ours, lastStatus }))).toEqual(['observe-ecs-task']);
  });

  it.each([
    ['in another cluster', { ...ours, clusterArn: `${cluster}-2` }],
    ['of another stage', { ...ours, startedBy: startedByOf('test2', aTaskId(), 1) }],
    ['of somebody else', { ...ours, startedBy: 'ecs-svc/1234567890' }],
    ['that nobody says who started', { ...ours, startedBy: undefined as never }],
  ])('%s wakes nobody', (_what, fields) => {
    expect(heardBy(anEcsEvent(fields))).toEqual([]);
  });
});

describe('a rule of a back end that is not deployed', () => {
  const ofAgentcore = ({ uses }: Rule) => uses.includes('agentcore');
  const ofEcs = ({ uses, on }: Rule) => uses.includes('ecs') || on.some(({ source }) => source === 'aws.ecs');

  it('is left out, and no other is', () => {
    const without = synthesised({ screening: 'required' });
    const deployed = without.all('AWS::Lambda::Function').map(({ id }) => ruleOf(id)?.name);
    const left = rules.filter((rule) => !ofAgentcore(rule) && !ofEcs(rule));
    expect(deployed.sort()).toEqual(left.map(({ name }) => name).sort());
    expect([rules.filter(ofAgentcore).length, rules.filter(ofEcs).length]).toEqual([3, 4]);
  });

  // A13
  it.each([
    ['AgentCore', withAgentcore, ofEcs],
    ['ECS', withEcs, ofAgentcore],
  ] as const)('is left out of a deployment with %s', (_name, settings, missing) => {
    const made = synthesised({ ...settings, screening: 'required' });
    const deployed = made.all('AWS::Lambda::Function').map(({ id }) => ruleOf(id)?.name);
    const left = rules.filter((rule) => !missing(rule));
    expect(deployed.sort()).toEqual(left.map(({ name }) => name).sort());
  });
});
