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
import { ruleOf, synthesised, withAgentcore, withEcs, withEveryBackEnd, withFleet } from './scene.ts';

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
    expect(patterns.filter(({ bus }) => bus === undefined).map(({ name }) => name)).toEqual([
      'note-machine',
      'observe-ecs-task',
      'observe-run-command',
      'observe-instance',
      'heed-spot-warning',
      'heed-termination',
    ]);
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

describe('what AWS says about machines', () => {
  const worker = 'i-0123456789abcdef0';
  const native = (source: string, type: string, detail: object) => ({ source, 'detail-type': type, detail });
  const command = (name: string) =>
    native('aws.ssm', 'EC2 Command Invocation Status-change Notification', {
      'command-id': 'c',
      'document-name': name,
      'instance-id': worker,
      status: 'Success',
    });
  const lifecycle = (transition: 'launch' | 'terminate', group: string) =>
    native('aws.autoscaling', `EC2 Instance-${transition} Lifecycle Action`, {
      AutoScalingGroupName: group,
      EC2InstanceId: worker,
    });

  it('is heard of commands with the one document of this stage', () => {
    expect(heardBy(command('baton-test-run'))).toEqual(['observe-run-command']);
    for (const name of ['baton-run', 'baton-test-run-2', 'baton-test2-run', 'AWS-RunShellScript'])
      expect(heardBy(command(name))).toEqual([]);
  });

  it('is heard of the groups of this stage', () => {
    expect(heardBy(lifecycle('launch', 'baton-test-fleet-main'))).toEqual(['note-machine']);
    expect(heardBy(lifecycle('terminate', 'baton-test-fleet-main'))).toEqual(['heed-termination']);
    for (const group of ['baton-fleet-main', 'baton-test-fleet-other', 'web'])
      expect([...heardBy(lifecycle('launch', group)), ...heardBy(lifecycle('terminate', group))]).toEqual([]);
  });

  // Such an event names a machine, and neither its group nor a tag.
  it('is heard of every machine of the account that goes, or is taken back', () => {
    const state = (now: string) =>
      native('aws.ec2', 'EC2 Instance State-change Notification', { 'instance-id': worker, state: now });
    expect(heardBy(state('terminated'))).toEqual(['observe-instance']);
    expect(heardBy(state('running'))).toEqual([]);
    const warning = { 'instance-id': worker, 'instance-action': 'terminate' };
    expect(heardBy(native('aws.ec2', 'EC2 Spot Instance Interruption Warning', warning))).toEqual([
      'heed-spot-warning',
    ]);
  });
});

describe('a rule of a back end that is not deployed', () => {
  const ofAgentcore = ({ uses }: Rule) => uses.includes('agentcore');
  const ofEcs = ({ uses, on }: Rule) => uses.includes('ecs') || on.some(({ source }) => source === 'aws.ecs');

  const ofFleets = ({ uses, on }: Rule) =>
    uses.some((port) => ['ec2', 'workers', 'machines'].includes(port)) ||
    on.some(({ source }) => ['aws.ssm', 'aws.ec2', 'aws.autoscaling'].includes(source));

  it('is left out, and no other is', () => {
    const without = synthesised({ screening: 'required' });
    const deployed = without.all('AWS::Lambda::Function').map(({ id }) => ruleOf(id)?.name);
    const left = rules.filter((rule) => !ofAgentcore(rule) && !ofEcs(rule) && !ofFleets(rule));
    expect(deployed.sort()).toEqual(left.map(({ name }) => name).sort());
    expect([ofAgentcore, ofEcs, ofFleets].map((of) => rules.filter(of).length)).toEqual([3, 4, 12]);
  });

  // A13
  it.each([
    ['AgentCore', withAgentcore, [ofEcs, ofFleets]],
    ['ECS', withEcs, [ofAgentcore, ofFleets]],
    ['EC2', withFleet, [ofAgentcore, ofEcs]],
  ] as const)('is left out of a deployment with %s', (_name, settings, missing) => {
    const made = synthesised({ ...settings, screening: 'required' });
    const deployed = made.all('AWS::Lambda::Function').map(({ id }) => ruleOf(id)?.name);
    const left = rules.filter((rule) => !missing.some((of) => of(rule)));
    expect(deployed.sort()).toEqual(left.map(({ name }) => name).sort());
  });
});
