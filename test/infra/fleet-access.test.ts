import { describe, expect, it } from '@jest/globals';
import { rules } from '../../rules/index.ts';
import type { Rule } from '../../rules/rule.ts';
import { type Statement, statementsIn, synthesised, withFleet } from './scene.ts';

const deployment = synthesised({ ...withFleet, stage: 'test', fleets: 'main=2,spare=1' });
const INSTANCES = 'arn:aws:ec2:us-east-1:000000000000:instance/*';
const statementsOf = (made: typeof deployment, idPart: string): Statement[] =>
  made
    .all('AWS::IAM::Policy')
    .filter(({ id }) => id.startsWith(idPart))
    .flatMap(({ properties }) => statementsIn(properties['PolicyDocument']));
const allowed = (actions: string[], resources: unknown[], condition: Statement['condition'] = {}) => ({
  effect: 'Allow',
  actions,
  resources,
  condition,
});

describe('the role of machines', () => {
  const role = deployment.all('AWS::IAM::Role').find(({ id }) => id.startsWith('FleetRole'));
  const own = statementsOf(deployment, 'FleetRole');
  const table = deployment.one('AWS::DynamoDB::Table').arn;
  const logGroup = deployment.one('AWS::Logs::LogGroup', 'LogGroupName', '/baton/baton-test/fleet').arn;
  const image = 'arn:aws:ecr:eu-west-1:123456789012:repository/baton/agent';

  it('is taken on by EC2 and nobody else, and has no policy of AWS', () => {
    expect(role?.properties['AssumeRolePolicyDocument']).toMatchObject({
      Statement: [{ Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' } }],
    });
    expect(role?.properties['ManagedPolicyArns']).toBeUndefined();
  });

  // B2, B27, B32
  it('may do what the runner does, pull the image, write the log, take commands and tell its status, and nothing else', () => {
    expect(own).toEqual([
      allowed(['dynamodb:GetItem', 'dynamodb:UpdateItem'], [table], {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['RUN#*'] },
      }),
      allowed(['events:PutEvents'], [deployment.one('AWS::Events::EventBus').arn], {
        StringEquals: { 'events:source': 'baton.agent' },
      }),
      allowed(['s3:GetObject'], [`${deployment.one('AWS::S3::Bucket').arn}/payloads/*`]),
      allowed(['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'], [image]),
      allowed(['ecr:GetAuthorizationToken'], ['*']),
      allowed(['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'], [logGroup]),
      allowed(['logs:DescribeLogGroups'], ['arn:aws:logs:us-east-1:000000000000:log-group:*']),
      allowed(['ssm:UpdateInstanceInformation'], [INSTANCES]),
      allowed(
        ['CreateControlChannel', 'CreateDataChannel', 'OpenControlChannel', 'OpenDataChannel'].map(
          (action) => `ssmmessages:${action}`,
        ),
        ['*'],
      ),
      allowed(['ssm:GetConnectionStatus'], [INSTANCES], {
        StringEquals: { 'ssm:resourceTag/baton:stage': 'test' },
        StringLike: { 'ssm:resourceTag/baton:fleet': '*' },
      }),
      allowed(['ec2:CreateTags'], [INSTANCES], {
        StringEquals: { 'aws:ResourceTag/baton:stage': 'test' },
        StringLike: { 'aws:ResourceTag/baton:fleet': '*' },
        ArnLike: {
          'ec2:SourceInstanceARN': 'arn:aws:ec2:us-east-1:000000000000:instance/${ec2:InstanceID}',
        },
        'ForAllValues:StringEquals': { 'aws:TagKeys': ['baton:status', 'baton:task-id'] },
        Null: { 'aws:TagKeys': 'false' },
      }),
    ]);
  });

  // A7
  it('reads exactly the keys of agents, and none of the own secrets', () => {
    const SECRETS = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret';
    const [model, git] = [`${SECRETS}:model-AbCdEf`, `${SECRETS}:git-AbCdEf`];
    const made = synthesised({
      ...{ ...withFleet, agentSecrets: `ANTHROPIC_API_KEY=${model},CLAUDE_GIT_TOKEN=${git}` },
      githubToken: `${SECRETS}:github-AbCdEf`,
    });
    const reading = statementsOf(made, 'FleetRole').filter(({ actions }) =>
      actions.includes('secretsmanager:GetSecretValue'),
    );
    expect(reading).toEqual([
      allowed(['secretsmanager:GetSecretValue'], [model, git]),
      {
        ...allowed(
          ['secretsmanager:GetSecretValue'],
          [made.one('AWS::SecretsManager::Secret').ref, `${SECRETS}:github-AbCdEf`],
        ),
        effect: 'Deny',
      },
    ]);
    expect(own.flatMap(({ actions }) => actions).filter((action) => /^(secretsmanager|iam|kms):/.test(action))).toEqual(
      [],
    );
  });
});

// B27
describe('tags that a machine may set', () => {
  const tagging = statementsOf(deployment, 'FleetRole').filter(({ actions }) => actions.includes('ec2:CreateTags'));
  const [me, other] = ['i-0000000000000000a', 'i-0000000000000000b'];
  const mine = { 'baton:stage': 'test', 'baton:fleet': 'main' };

  interface Asked {
    readonly keys: readonly string[];
    readonly target?: string;
    readonly tags?: Readonly<Record<string, string>>;
  }

  /** IAM's judgement, as far as this statement has conditions (IAM user guide, condition operators). */
  function may({ keys, target = me, tags = mine }: Asked): boolean {
    const arn = (instance: string) => INSTANCES.replace('*', instance);
    const context: Readonly<Record<string, readonly string[]>> = {
      'aws:TagKeys': keys,
      'ec2:SourceInstanceARN': [arn(me)],
      ...Object.fromEntries(Object.entries(tags).map(([name, value]) => [`aws:ResourceTag/${name}`, [value]])),
    };
    const fits = (operator: string, wanted: readonly string[], given: readonly string[]): boolean => {
      const values = wanted.map((value) => value.replace('${ec2:InstanceID}', target));
      if (operator === 'Null') return (given.length === 0) === (values[0] === 'true');
      const one = (value: string) => values.some((pattern) => pattern === '*' || pattern === value);
      // A set without members fits every condition on all of them.
      return operator.startsWith('ForAllValues:') ? given.every(one) : given.length > 0 && given.every(one);
    };
    return tagging.some(({ condition }) =>
      Object.entries(condition).every(([operator, keysWanted]) =>
        Object.entries(keysWanted).every(([key, wanted]) =>
          fits(operator, [wanted].flat().map(String), context[key] ?? []),
        ),
      ),
    );
  }

  it('are those of its status, on itself', () => {
    expect(may({ keys: ['baton:status'] })).toBe(true);
    expect(may({ keys: ['baton:status', 'baton:task-id'] })).toBe(true);
  });

  it.each([
    ['its fleet', { keys: ['baton:fleet'] }],
    ['its stage, beside its status', { keys: ['baton:status', 'baton:stage'] }],
    ['any other', { keys: ['Name'] }],
    ['all at once, by naming none', { keys: [] }],
    ['those of another machine', { keys: ['baton:status'], target: other }],
    ['those of a machine of another stage', { keys: ['baton:status'], tags: { ...mine, 'baton:stage': 'main' } }],
    ['those of one of no fleet', { keys: ['baton:status'], tags: { 'baton:stage': 'test' } }],
  ] as [string, Asked][])('are not %s', (_what, asked) => {
    expect(may(asked)).toBe(false);
  });

  it('are set by no function, and by no policy for people', () => {
    const others = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy']
      .flatMap((type) => deployment.all(type))
      .filter(({ id }) => !id.startsWith('FleetRole'))
      .flatMap(({ properties }) => statementsIn(properties['PolicyDocument']).flatMap(({ actions }) => actions));
    expect(new Set(others.filter((action) => /^ec2:|Tag/.test(action)))).toEqual(new Set(['ec2:DescribeInstances']));
  });
});

describe('who sends commands, and says what becomes of machines', () => {
  const policyOf = (rule: Rule) =>
    statementsIn(deployment.of(rule, 'AWS::IAM::Policy')[0]?.properties['PolicyDocument']);
  const onFleets = (rule: Rule) =>
    policyOf(rule).filter(({ actions }) => actions.some((action) => /^(ssm|autoscaling|ec2):/.test(action)));
  const deployed = rules.filter((rule) => deployment.of(rule, 'AWS::IAM::Policy').length > 0);
  const groups = ['main', 'spare'].map(
    (fleet) =>
      `arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:*:autoScalingGroupName/baton-test-fleet-${fleet}`,
  );
  const looking = allowed(['autoscaling:DescribeAutoScalingInstances'], ['*']);
  const ended = allowed(['ec2:DescribeInstances'], ['*']);
  const commanding = [
    // B28
    allowed(['ssm:SendCommand'], ['arn:aws:ssm:us-east-1:000000000000:document/baton-test-run']),
    allowed(['ssm:SendCommand'], [INSTANCES], {
      StringEquals: { 'ssm:resourceTag/baton:stage': 'test' },
      StringLike: { 'ssm:resourceTag/baton:fleet': '*' },
    }),
    allowed(['ssm:CancelCommand'], ['*']),
  ];
  // B30
  const asking = allowed(['ssm:GetCommandInvocation', 'ssm:ListCommands'], ['*']);
  const keeping = allowed(['autoscaling:SetInstanceProtection', 'autoscaling:CompleteLifecycleAction'], groups);
  const replacing = allowed(['autoscaling:TerminateInstanceInAutoScalingGroup'], groups);

  // B28, B29, B30: each in a statement of its own. To end a run is a command; all others only ask.
  it.each(deployed.map((rule) => [rule.name, rule] as const))(
    '%s may what its ports need and it does itself, and no more',
    (name, rule) => {
      const [ec2, machines] = ['ec2', 'machines'].map((port) => rule.uses.includes(port));
      const wanted = [
        ...(name === 'start-run-on-ec2' || name === 'stop-run-on-ec2' ? commanding : []),
        ...(ec2 ? [asking, keeping, ended] : []),
        ...(ec2 || machines ? [looking] : []),
        ...(machines ? [keeping] : []),
        ...(name === 'replace-worker' ? [replacing] : []),
      ];
      const sorted = (statements: readonly object[]) =>
        [...new Set(statements.map((one) => JSON.stringify(one)))].sort();
      expect(sorted(onFleets(rule))).toEqual(sorted(wanted));
    },
  );

  it('are several of the one, and of the other', () => {
    expect(deployed.filter((rule) => rule.uses.includes('ec2')).length).toBeGreaterThan(4);
    expect(deployed.filter((rule) => rule.uses.includes('machines')).length).toBeGreaterThan(2);
  });

  // B25
  it('pass no role on, but for the one in which schedules ring', () => {
    const passing = deployed.flatMap((rule) =>
      policyOf(rule).filter(({ actions }) => actions.some((action) => /^(iam:)?(PassRole|Pass\*|\*)$/.test(action))),
    );
    expect(new Set(passing.map(({ condition }) => condition['StringEquals']?.['iam:PassedToService']))).toEqual(
      new Set(['scheduler.amazonaws.com']),
    );
    expect(new Set(passing.flatMap(({ resources }) => resources)).size).toBe(1);
  });

  // The tags by which commands are sent are those that the groups give.
  it('find machines by tags that their groups give them at their launch', () => {
    const given = deployment
      .all('AWS::AutoScaling::AutoScalingGroup')
      .map(({ properties }) => (properties['Tags'] as { Key: string }[]).map(({ Key }) => Key));
    const wanted = Object.values(commanding[1]?.condition ?? {}).flatMap(Object.keys);
    for (const tags of given) {
      expect(wanted.map((key) => key.replace('ssm:resourceTag/', '')).sort()).toEqual([...tags].sort());
    }
  });
});
