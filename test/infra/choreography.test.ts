import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { ecsTaskStateChange } from '../../events/aws/ecs-task-state-change.ts';
import { taskFailed } from '../../events/task-failed.ts';
import { portGrants } from '../../infra/port-grants.ts';
import { rules } from '../../rules/index.ts';
import { ATTEMPTS_OF_A_DELIVERY, defineRule, type Rule } from '../../rules/rule.ts';
import { type PortName, portEnvironment } from '../../schemas/environment.ts';
import { ruleOf, statementsIn, synthesised, withAgentcore, withEcs, withEveryBackEnd, withPeople } from './scene.ts';

const everything = {
  ...withEveryBackEnd,
  ...withPeople,
  stage: 'test',
  agentCommand: 'agent',
  agentCommandAllowed: 'true',
  screening: 'required',
  githubToken: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:github-AbCdEf',
};
const deployment = synthesised(everything);
const portsOf = ({ uses, once, delivery }: Rule): PortName[] => [
  ...(uses as PortName[]),
  ...(once ? (['effects'] as const) : []),
  ...(delivery === 'queue' ? (['letters'] as const) : []),
  'bus',
];
const onTheBus = rules.filter(({ on }) => !on.some(({ source }) => source === alarmRang.source));
const queued = onTheBus.filter(({ delivery }) => delivery === 'queue');
const deadLettersOf = ({ name }: Rule): string =>
  name === 'wake-task' ? 'baton-test-alarms-dead' : `baton-test-${name}-dead`;

describe('a deployment with every back end', () => {
  it.each(rules.map((rule) => [rule.name, rule] as const))(
    'has for %s a function of its name, and only one',
    (name, rule) => {
      const [made, ...more] = deployment.of(rule, 'AWS::Lambda::Function');
      expect(more).toEqual([]);
      expect(made?.properties).toMatchObject({
        FunctionName: `baton-test-${name}`,
        Description: rule.summary,
        Handler: 'index.handler',
        Architectures: ['arm64'],
        Runtime: 'nodejs24.x',
        Timeout: 30,
      });
    },
  );

  it.each(rules.map((rule) => [rule.name, rule] as const))(
    'gives %s exactly the environment of its ports',
    (_name, rule) => {
      const [made] = deployment.of(rule, 'AWS::Lambda::Function');
      const environment = made?.properties['Environment'] as { Variables: Record<string, string> } | undefined;
      const { POWERTOOLS_METRICS_NAMESPACE: metrics, ...variables } = environment?.Variables ?? {};
      const wanted = portsOf(rule).flatMap((port) => Object.keys(portEnvironment[port]));
      // Tests and demonstrations change the waits, and where GitHub is; a deployment does not.
      expect(Object.keys(variables).sort()).toEqual(
        [...new Set(wanted)].filter((one) => one !== 'BATON_TIMINGS' && one !== 'BATON_GITHUB_URL').sort(),
      );
      expect(metrics).toBe('Baton/test');
      for (const port of portsOf(rule)) {
        for (const [variable, schema] of Object.entries(portEnvironment[port])) {
          expect([variable, schema.safeParse(variables[variable]).error?.issues]).toEqual([variable, undefined]);
        }
      }
    },
  );

  it.each(rules.map((rule) => [rule.name, rule] as const))(
    'lets %s do what its ports need and nothing more',
    (name, rule) => {
      const [policy, ...more] = deployment.of(rule, 'AWS::IAM::Policy');
      expect(more).toEqual([]);
      const placeholder = new Proxy({}, { get: () => 'x', has: () => true });
      const ofPorts = portsOf(rule).flatMap((port) =>
        portGrants[port]({
          agentcore: placeholder,
          ecs: placeholder,
          fleet: placeholder,
          guardrailArn: 'x',
          githubTokenArn: 'x',
          startsRuns: rule.name.startsWith('start-run-'),
          stopsRuns: rule.name.startsWith('stop-run-'),
          replacesMachines: rule.name === 'replace-worker',
        } as never).flatMap(({ actions }) => actions),
      );
      const ofQueue = [
        'sqs:ReceiveMessage',
        'sqs:DeleteMessage',
        'sqs:GetQueueAttributes',
        'sqs:ChangeMessageVisibility',
      ];
      const common = ['logs:CreateLogStream', 'logs:PutLogEvents', 'sqs:SendMessage'];
      const wanted = [...ofPorts, ...common, ...(rule.delivery === 'queue' ? ofQueue : [])];
      const statements = statementsIn(policy?.properties['PolicyDocument']);
      expect([...new Set(statements.flatMap(({ actions }) => actions))].sort()).toEqual([...new Set(wanted)].sort());
      expect(statements.filter(({ actions }) => actions.some((action) => action.includes('*')))).toEqual([]);
      const everywhere = statements
        .filter(({ resources }) => resources.includes('*'))
        .flatMap(({ actions }) => actions);
      expect(everywhere.sort()).toEqual(
        [
          ...(rule.uses.includes('ecs') ? ['ecs:ListTasks'] : []),
          ...(rule.uses.includes('ec2')
            ? ['ssm:GetCommandInvocation', 'ssm:ListCommands', 'ec2:DescribeInstances']
            : []),
          ...(/^(start|stop)-run-on-ec2$/.test(rule.name) ? ['ssm:CancelCommand'] : []),
          ...(rule.uses.some((port) => port === 'ec2' || port === 'machines')
            ? ['autoscaling:DescribeAutoScalingInstances']
            : []),
          ...(rule.uses.includes('definitions') ? ['ecs:DescribeTaskDefinition', 'ecs:DeregisterTaskDefinition'] : []),
        ].sort(),
      );
      expect(deployment.of(rule, 'AWS::IAM::Role')[0]?.properties['ManagedPolicyArns']).toBeUndefined();
      expect(name).toBe(ruleOf(policy?.id ?? '')?.name);
    },
  );

  it.each(onTheBus.map((rule) => [rule.name, rule] as const))(
    'tries %s again, and keeps what nobody could deliver',
    (_name, rule) => {
      const dead = deployment.one('AWS::SQS::Queue', 'QueueName', deadLettersOf(rule));
      const [eventRule, ...more] = deployment.of(rule, 'AWS::Events::Rule');
      expect(more).toEqual([]);
      expect(eventRule?.properties).toMatchObject({
        Name: `baton-test-${rule.name}`,
        Description: rule.summary,
        State: 'ENABLED',
      });
      const [to] = deployment.of(rule, 'AWS::Lambda::Function');
      const direct = rule.delivery === 'direct';
      const queue = () => deployment.one('AWS::SQS::Queue', 'QueueName', `baton-test-${rule.name}`);
      expect(eventRule?.properties['Targets']).toEqual([
        expect.objectContaining({
          Arn: direct ? to?.arn : queue().arn,
          DeadLetterConfig: { Arn: dead.arn },
          RetryPolicy: { MaximumEventAgeInSeconds: 21_600, MaximumRetryAttempts: 185 },
        }),
      ]);
      const policies = deployment
        .of(rule, 'AWS::SQS::QueuePolicy')
        .flatMap(({ properties }) => statementsIn(properties['PolicyDocument']));
      for (const { arn } of direct ? [dead] : [dead, queue()]) {
        expect(policies).toContainEqual({
          effect: 'Allow',
          actions: expect.arrayContaining(['sqs:SendMessage']),
          resources: [arn],
          condition: { ArnEquals: { 'aws:SourceArn': eventRule?.arn } },
        });
      }
      expect(deployment.of(rule, 'AWS::Lambda::Permission').map(({ properties }) => properties)).toEqual(
        direct
          ? [
              expect.objectContaining({
                Principal: 'events.amazonaws.com',
                SourceArn: eventRule?.arn,
                FunctionName: to?.arn,
              }),
            ]
          : [],
      );
    },
  );

  it.each(rules.map((rule) => [rule.name, rule] as const))(
    'keeps what %s could not handle, after as many tries as it says',
    (_name, rule) => {
      const [configuration] = deployment.of(rule, 'AWS::Lambda::EventInvokeConfig');
      const dead = deployment.one('AWS::SQS::Queue', 'QueueName', deadLettersOf(rule));
      expect(configuration?.properties).toMatchObject({
        // Lambda makes no more; a queue makes as many as it takes in a day, whatever the rule says.
        MaximumRetryAttempts: Math.min(rule.attempts, ATTEMPTS_OF_A_DELIVERY) - 1,
        MaximumEventAgeInSeconds: 21_600,
        DestinationConfig: { OnFailure: { Destination: dead.arn } },
      });
      expect(dead.properties).toMatchObject({ SqsManagedSseEnabled: true, MessageRetentionPeriod: 14 * 86_400 });
      const [policy] = deployment.of(rule, 'AWS::IAM::Policy');
      expect(statementsIn(policy?.properties['PolicyDocument'])).toContainEqual(
        expect.objectContaining({ actions: ['sqs:SendMessage'], resources: [dead.arn], condition: {} }),
      );
    },
  );

  it.each(rules.map((rule) => [rule.name, rule] as const))(
    'rings when %s has dead letters, or lost an event',
    (name, rule) => {
      const alarms = deployment.of(rule, 'AWS::CloudWatch::Alarm').map(({ properties }) => properties);
      const named = (what: string) => alarms.find(({ AlarmName }) => AlarmName === `baton-test-${name}-${what}`);
      expect(named('dead-letters')).toMatchObject({
        MetricName: 'ApproximateNumberOfMessagesVisible',
        Dimensions: [{ Name: 'QueueName', Value: deadLettersOf(rule) }],
        Threshold: 1,
        TreatMissingData: 'notBreaching',
      });
      const lost = named('lost')?.['Metrics'] as { MetricStat?: { Metric: { MetricName: string } } }[];
      expect(lost.flatMap(({ MetricStat }) => MetricStat?.Metric.MetricName ?? []).sort()).toEqual(
        [
          'AsyncEventsDropped',
          'DestinationDeliveryFailures',
          ...(onTheBus.includes(rule) ? ['InvocationsFailedToBeSentToDlq'] : []),
        ].sort(),
      );
      const orphans = rule.emits.some(({ type }) => type === 'RunOrphaned');
      expect(named('RunOrphaned') !== undefined).toBe(orphans);
    },
  );

  it('has wait in a queue of their rule: requests, what AWS and machines say, what is for others outside; and nothing else', () => {
    const ofMachines = queued.filter(({ on }) => on.some(({ type }) => type.startsWith('Worker')));
    expect(ofMachines.map(({ name }) => name)).toEqual(['register-worker', 'exclude-worker', 'replace-worker']);
    const native = queued.filter(({ on }) => on.some(({ source }) => source.startsWith('aws.')));
    expect(native.map(({ name }) => name)).toEqual(
      rules.filter(({ on }) => on.some(({ source }) => source.startsWith('aws.'))).map(({ name }) => name),
    );
    const others = queued.filter((rule) => !ofMachines.includes(rule) && !native.includes(rule));
    expect(others.map(({ name }) => name)).toEqual([
      'accept-task',
      'cancel-task',
      'post-webhook',
      'configure-repository',
    ]);
    const own = (rule: Rule) => deployment.one('AWS::SQS::Queue', 'QueueName', `baton-test-${rule.name}`).arn;
    const alarms = deployment.one('AWS::SQS::Queue', 'QueueName', 'baton-test-alarms').arn;
    const read = deployment
      .all('AWS::Lambda::EventSourceMapping')
      .map(({ properties }) => properties['EventSourceArn']);
    expect(read.sort()).toEqual([...queued.map(own), alarms].sort());
  });

  it.each(rules.filter(({ delivery }) => delivery === 'queue').map((rule) => [rule.name, rule] as const))(
    'lets a message for %s fail for a day, and rings when it waits or fails for half an hour',
    (name, rule) => {
      const queueName = onTheBus.includes(rule) ? `baton-test-${name}` : 'baton-test-alarms';
      const { properties } = deployment.one('AWS::SQS::Queue', 'QueueName', queueName);
      const dead = deployment.one('AWS::SQS::Queue', 'QueueName', deadLettersOf(rule));
      expect(properties).toMatchObject({
        VisibilityTimeout: 180,
        MessageRetentionPeriod: 14 * 86_400,
        RedrivePolicy: { deadLetterTargetArn: dead.arn, maxReceiveCount: 480 },
      });
      const late = deployment.one('AWS::CloudWatch::Alarm', 'AlarmName', `baton-test-${name}-late`);
      expect(late.properties).toMatchObject({
        MetricName: 'ApproximateAgeOfOldestMessage',
        Dimensions: [{ Name: 'QueueName', Value: queueName }],
        Threshold: 1_800,
      });
      // Where the function itself puts what no try can handle.
      const [made] = deployment.of(rule, 'AWS::Lambda::Function');
      expect(made?.properties['Environment']).toMatchObject({ Variables: { BATON_DEAD_LETTERS_URL: dead.ref } });
      const failing = deployment.one('AWS::CloudWatch::Alarm', 'AlarmName', `baton-test-${name}-failing`).properties;
      expect(failing).toMatchObject({ EvaluationPeriods: 6, Threshold: 1 });
      const metrics = failing['Metrics'] as {
        Expression?: string;
        MetricStat?: { Period: number; Metric: { MetricName: string; Dimensions: { Value: string }[] } };
      }[];
      expect(metrics.flatMap(({ Expression }) => Expression ?? [])).toEqual(['received - deleted']);
      const counted = metrics.flatMap(({ MetricStat }) => MetricStat ?? []);
      expect(counted.map(({ Metric }) => Metric.MetricName)).toEqual([
        'NumberOfMessagesReceived',
        'NumberOfMessagesDeleted',
      ]);
      for (const { Metric, Period } of counted) {
        expect(Metric.Dimensions.map(({ Value }) => Value)).toEqual([queueName]);
        // A look that is shorter than the time-out of visibility would miss some tries.
        expect(Period).toBeGreaterThan(Number(properties['VisibilityTimeout']));
      }
    },
  );

  it.each([
    'AWS::Lambda::Function',
    'AWS::Lambda::EventInvokeConfig',
    'AWS::Lambda::EventSourceMapping',
    'AWS::Lambda::Permission',
    'AWS::Events::Rule',
    'AWS::CloudWatch::Alarm',
  ])('has no %s that belongs to no rule', (type) => {
    expect(deployment.all(type).length).toBeGreaterThan(0);
    const others = deployment.all(type).filter(({ id }) => !ruleOf(id));
    // AgentCore counts the starts that fail, Auto Scaling machines: no function of ours hears of all of them. Fleets count over several rules.
    const ofFleets = [/^FleetBootFailedAlarm/, /^FleetQuarantinedAlarm/, /^FleetSmallmainAlarm/];
    const ofService = type === 'AWS::CloudWatch::Alarm' ? [/^AgentcoreStartsFailAlarm/, ...ofFleets] : [];
    expect(others.map(({ id }) => id)).toEqual(ofService.map((id) => expect.stringMatching(id)));
  });

  it('has no queue that belongs to no rule', () => {
    const queues = deployment.all('AWS::SQS::Queue').map(({ properties }) => properties['QueueName']);
    const own = queued.map(({ name }) => `baton-test-${name}`);
    expect(queues.sort()).toEqual([...rules.map(deadLettersOf), ...own, 'baton-test-alarms'].sort());
    expect(new Set(queues).size).toBe(queues.length);
  });
});

describe('the alarm clock', () => {
  const wakeTask = rules.find(({ name }) => name === 'wake-task') as Rule;
  const queue = deployment.one('AWS::SQS::Queue', 'QueueName', 'baton-test-alarms');

  it('rings in a queue, one wake-up at a time, and on no bus', () => {
    const [mapping, ...more] = deployment.of(wakeTask, 'AWS::Lambda::EventSourceMapping');
    expect(more).toEqual([]);
    expect(mapping?.properties).toMatchObject({
      EventSourceArn: queue.arn,
      FunctionName: deployment.of(wakeTask, 'AWS::Lambda::Function')[0]?.ref,
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
    expect(deployment.of(wakeTask, 'AWS::Events::Rule')).toEqual([]);
  });

  it('is set by whoever has the port tasks: a message, or a schedule of this stage in the one role', () => {
    for (const rule of rules.filter(({ uses }) => uses.includes('tasks'))) {
      const [policy] = deployment.of(rule, 'AWS::IAM::Policy');
      const statements = statementsIn(policy?.properties['PolicyDocument']);
      expect(statements).toContainEqual(
        expect.objectContaining({ actions: ['sqs:SendMessage'], resources: [queue.arn] }),
      );
      expect(statements).toContainEqual(
        expect.objectContaining({
          actions: ['scheduler:CreateSchedule'],
          resources: ['arn:aws:scheduler:us-east-1:000000000000:schedule/baton-test/*'],
        }),
      );
      const dead = deployment.one('AWS::SQS::Queue', 'QueueName', 'baton-test-alarms-dead');
      expect(deployment.of(rule, 'AWS::Lambda::Function')[0]?.properties).toMatchObject({
        Environment: { Variables: { BATON_ALARM_DEAD_LETTERS_ARN: dead.arn } },
      });
      const role = deployment.all('AWS::IAM::Role').find(({ id }) => id.startsWith('SchedulerRole'));
      expect(statements).toContainEqual({
        effect: 'Allow',
        actions: ['iam:PassRole'],
        resources: [role?.arn],
        condition: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
      });
    }
  });

  it('may ring a task again and again, which Lambda would else take for a loop', () => {
    const looping = deployment
      .all('AWS::Lambda::Function')
      .filter(({ properties }) => properties['RecursiveLoop'] === 'Allow');
    expect(looping.map(({ properties }) => properties['FunctionName'])).toEqual(['baton-test-wake-task']);
  });

  it('rings an alarm when nobody answers', () => {
    const alarm = deployment.one('AWS::CloudWatch::Alarm', 'AlarmName', 'baton-test-wake-task-unanswered');
    expect(alarm.properties).toMatchObject({ Statistic: 'Minimum', EvaluationPeriods: 3, Period: 300 });
  });
});

describe('records of a function', () => {
  it.each([
    ['admit-task', ['TASK#*', 'RUN#*', 'SLOT#*']],
    ['take-progress', ['RUN#*']],
    ['cancel-task', ['TASK#*', 'RUN#*']],
  ])('of %s are %j: of those alone it reads and writes', (name, keys) => {
    const rule = rules.find((one) => one.name === name) as Rule;
    const [policy] = deployment.of(rule, 'AWS::IAM::Policy');
    const table = deployment.one('AWS::DynamoDB::Table');
    const touching = statementsIn(policy?.properties['PolicyDocument']).filter(({ actions }) =>
      actions.some((action) => action.startsWith('dynamodb:')),
    );
    for (const { resources, actions } of touching) {
      expect(resources).toEqual([table.arn]);
      expect(['dynamodb:GetItem', 'dynamodb:PutItem']).toEqual(expect.arrayContaining([...actions]));
    }
    const writable = touching.filter(({ actions }) => actions.includes('dynamodb:PutItem'));
    expect(writable.flatMap(({ condition }) => condition['ForAllValues:StringLike']?.['dynamodb:LeadingKeys'])).toEqual(
      keys,
    );
  });
});

describe('a rule that is delivered through a queue', () => {
  const notify = defineRule({
    name: 'tell-somebody',
    summary: 'Tells somebody that a task failed.',
    on: [taskFailed],
    emits: [],
    uses: ['clock'],
    kind: 'effect',
    delivery: 'queue',
  });
  const deployed = synthesised({}, { rules: [notify] });

  it('has a queue of its own between bus and function', () => {
    const queue = deployed.one('AWS::SQS::Queue', 'QueueName', 'baton-tell-somebody');
    const dead = deployed.one('AWS::SQS::Queue', 'QueueName', 'baton-tell-somebody-dead');
    expect(queue.properties).toMatchObject({
      RedrivePolicy: { deadLetterTargetArn: dead.arn, maxReceiveCount: 480 },
      VisibilityTimeout: 180,
    });
    expect(deployed.one('AWS::Events::Rule').properties['Targets']).toEqual([
      expect.objectContaining({ Arn: queue.arn, DeadLetterConfig: { Arn: dead.arn } }),
    ]);
    expect(deployed.one('AWS::Lambda::EventSourceMapping').properties).toMatchObject({
      EventSourceArn: queue.arn,
      BatchSize: 1,
    });
    expect(deployed.all('AWS::Lambda::Permission')).toEqual([]);
  });
});

describe('rules that cannot be deployed', () => {
  const rule = { name: 'a-rule', summary: 'Reacts.', emits: [], uses: ['clock'], kind: 'state' } as const;

  it.each([
    [
      'with a port that AWS does not have',
      { ...rule, on: [taskFailed], uses: ['telepathy'] },
      'telepathy: no such port',
    ],
    ['with more tries than Lambda makes', { ...rule, on: [taskFailed], attempts: 4 }, 'it needs delivery "queue"'],
    ['on two buses', { ...rule, on: [taskFailed, ecsTaskStateChange] }, 'events of two buses'],
    [
      'with a pattern that EventBridge refuses',
      { ...rule, on: [taskFailed], where: { data: { x: [{ wildcard: 'a**b' }] } } },
      'EventBridge would refuse the pattern of the rule a-rule',
    ],
  ])('%s: synthesis says why', (_what, declared, complaint) => {
    expect(() => synthesised(withEcs, { rules: [defineRule(declared)] })).toThrow(complaint);
  });
});

describe('alarms', () => {
  it('go to a topic that exists', () => {
    const topic = 'arn:aws:sns:us-east-1:123456789012:on-call';
    for (const { properties } of synthesised({ alarmTopic: topic }).all('AWS::CloudWatch::Alarm')) {
      expect(properties['AlarmActions']).toEqual([topic]);
    }
  });

  it('go to a new topic with one subscriber', () => {
    const deployed = synthesised({ ...withAgentcore, alarmEmail: 'a@b.example' });
    const topic = deployed.one('AWS::SNS::Topic');
    expect(deployed.one('AWS::SNS::Subscription').properties).toMatchObject({
      Endpoint: 'a@b.example',
      TopicArn: topic.ref,
    });
    const { Statement } = deployed.one('AWS::SNS::TopicPolicy').properties['PolicyDocument'] as { Statement: object[] };
    expect(Statement).toContainEqual(
      expect.objectContaining({
        Effect: 'Allow',
        Action: 'sns:Publish',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Condition: { StringEquals: { 'aws:SourceAccount': '000000000000' } },
      }),
    );
    for (const { properties } of deployed.all('AWS::CloudWatch::Alarm'))
      expect(properties['AlarmActions']).toEqual([topic.ref]);
  });
});
