import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { settingNames, settingsFrom } from '../../infra/settings.ts';
import { agentSecrets, agentSecretsText } from '../../schemas/agent-secrets.ts';
import { withAgentcore, withEcs, withEveryBackEnd, withFleet, withPeople } from './scene.ts';

const aSecret = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:agent-key-AbCdEf';
const users = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:users/*';

const requesters = (...names: string[]): string =>
  names.map((name) => `${name}=arn:aws:iam::123456789012:role/${name}`).join();

describe('settings that nobody gave', () => {
  it('deploy the main stage without a back end, and let nobody ask', () => {
    expect(settingsFrom({})).toEqual({
      stage: 'main',
      computes: [],
      producers: [],
      requesters: [],
      operators: [],
      archiveRetentionDays: 30,
      recordRetentionDays: 90,
      tasksAtOnce: 4,
      screening: 'off',
    });
  });

  it('may be given empty, as scripts do', () => {
    expect(settingsFrom({ computes: '', agentCommand: '', alarmEmail: '' })).toEqual(settingsFrom({}));
  });
});

// A3
describe('the back end of a deployment that has an image', () => {
  const agentcore = { ...withAgentcore, secrets: [] };

  it('is AgentCore where nobody names one', () => {
    expect(settingsFrom(withAgentcore)).toMatchObject({ computes: ['agentcore'], agentcore });
    expect(settingsFrom({ ...withAgentcore, computes: '' })).toEqual(settingsFrom(withAgentcore));
    expect(settingsFrom(withAgentcore)).not.toHaveProperty('ecs');
  });

  it('is the one that is named, and of several the first is the default', () => {
    expect(settingsFrom(withEcs)).toMatchObject({ computes: ['ecs'], ecs: { agentImage: withEcs.agentImage } });
    expect(settingsFrom(withEcs)).not.toHaveProperty('agentcore');
    expect(settingsFrom(withEveryBackEnd)).toMatchObject({
      computes: ['agentcore', 'ecs', 'ec2'],
      agentcore,
      ecs: { agentImage: withEcs.agentImage },
      ec2: { agentImage: withEcs.agentImage },
    });
    expect(settingsFrom({ ...withEcs, computes: 'ecs,agentcore' }).computes).toEqual(['ecs', 'agentcore']);
  });
});

// A12
describe('settings of AgentCore', () => {
  it('without agentImage cannot be deployed, and the error names it', () => {
    expect(() => settingsFrom({ computes: 'agentcore' })).toThrow('computes has agentcore, which needs agentImage.');
  });

  it.each([
    'example.com/agent:1',
    'public.ecr.aws/baton/agent:1',
    '123456789012.dkr.ecr.eu-west-1.amazonaws.com/baton/agent',
    '123456789012.dkr.ecr.eu-west-1.amazonaws.com/baton/Agent:1',
  ])('have no image %s, which AgentCore would refuse', (agentImage) => {
    const complaint = 'agentImage is no <account>.dkr.ecr.<region>.amazonaws.com/<repository> with a tag or a digest';
    expect(() => settingsFrom({ agentImage })).toThrow(complaint);
    expect(() => settingsFrom({ agentImage })).toThrow(`takes no other: ${agentImage}.`);
    expect(() => settingsFrom({ ...withEveryBackEnd, agentImage })).toThrow(complaint);
    expect(settingsFrom({ ...withEcs, agentImage }).ecs?.agentImage).toBe(agentImage);
  });

  it('have an image by its digest', () => {
    const agentImage = `123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:${'0'.repeat(64)}`;
    expect(settingsFrom({ agentImage }).agentcore).toEqual({ agentImage, secrets: [] });
  });
});

// A7
describe('secrets of agents', () => {
  it('are for every back end', () => {
    const secrets = [
      { name: 'OPENAI_API_KEY', arn: aSecret },
      { name: 'GH', arn: aSecret },
    ];
    const agentSecrets = ` OPENAI_API_KEY=${aSecret}, GH=${aSecret},,`;
    expect(settingsFrom({ ...withAgentcore, agentSecrets }).agentcore?.secrets).toEqual(secrets);
    expect(settingsFrom({ ...withEcs, agentSecrets }).ecs?.secrets).toEqual(secrets);
    expect(settingsFrom({ ...withEveryBackEnd, agentSecrets })).toMatchObject({
      agentcore: { secrets },
      ecs: { secrets },
      ec2: { secrets },
    });
    expect(settingsFrom({ ...withFleet, agentSecrets }).ec2?.secrets).toEqual(secrets);
  });

  it('are on AgentCore and on EC2 as many as one variable takes', () => {
    const many = (length: number) => {
      const text = Array.from({ length: 20 }, (_, n) => `KEY_${n}=${aSecret}`).join(',');
      return `K${'_'.repeat(length - text.length - 1)}${text}`;
    };
    expect(settingsFrom({ ...withAgentcore, agentSecrets: many(2_048) }).agentcore?.secrets).toHaveLength(20);
    const complaint = 'agentSecrets has 2049 characters, and agentcore takes 2048';
    expect(() => settingsFrom({ ...withAgentcore, agentSecrets: many(2_049) })).toThrow(complaint);
    expect(() => settingsFrom({ ...withFleet, agentSecrets: many(2_049) })).toThrow(', and ec2 takes 2048');
    expect(() => settingsFrom({ ...withEveryBackEnd, agentSecrets: many(2_049) })).toThrow(
      'agentSecrets has 2049 characters, and agentcore and ec2 takes 2048',
    );
    expect(settingsFrom({ ...withEcs, agentSecrets: many(2_049) }).ecs?.secrets).toHaveLength(20);
  });

  // What the settings let through the runner must understand.
  it('are read by the runner as they were given', () => {
    const { secrets } = settingsFrom({ ...withAgentcore, agentSecrets: `A=${aSecret},B=${aSecret}` }).agentcore ?? {
      secrets: [],
    };
    expect(secrets).toHaveLength(2);
    expect(agentSecrets.parse(agentSecretsText(secrets))).toEqual(secrets);
  });
});

// A12
describe('settings of ECS', () => {
  it('are taken together', () => {
    expect(settingsFrom(withEcs).ecs).toEqual({
      agentImage: withEcs.agentImage,
      network: {
        kind: 'given',
        vpcId: withEcs.vpc,
        subnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
      },
      secrets: [],
      userSecrets: [],
    });
  });

  // A15
  it('have subnets with blanks and empty places among them', () => {
    const ids = ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1', 'subnet-0123456789abcdef2'];
    const { network } = settingsFrom({ ...withEcs, subnets: ` ${ids[0]}, ${ids[1]},,${ids[2]}, ` }).ecs ?? {};
    expect(network).toMatchObject({ subnetIds: ids });
  });

  it('may name what definitions of users refer to', () => {
    const more = { userSecrets: `${aSecret}, ${users}`, userFileSystem: 'fs-0123456789abcdef0:sg-0123456789abcdef0' };
    expect(settingsFrom({ ...withEcs, ...more }).ecs).toMatchObject({
      userSecrets: [aSecret, users],
      userFileSystem: { id: 'fs-0123456789abcdef0', securityGroup: 'sg-0123456789abcdef0' },
    });
  });

  it('need no subnets in a VPC of our own', () => {
    const { subnets: _, ...rest } = withEcs;
    expect(settingsFrom({ ...rest, vpc: 'own' }).ecs?.network).toEqual({ kind: 'own' });
    expect(() => settingsFrom({ ...withEcs, vpc: 'own' })).toThrow('subnets are not for a VPC of our own');
  });

  it.each([
    ['agentImage', {}],
    ['vpc', {}],
    ['subnets', {}],
    ['subnets', { subnets: ' , ,, ' }],
  ] as const)('without %s cannot be deployed, and the error names it', (missing, more) => {
    const { [missing]: _, ...rest } = withEcs;
    expect(() => settingsFrom({ ...rest, ...more })).toThrow(`computes has ecs, which needs ${missing}`);
  });

  it('are all named when all are missing', () => {
    expect(() => settingsFrom({ computes: 'ecs' })).toThrow(
      'computes has ecs, which needs agentImage and vpc (and subnets, unless vpc is own).',
    );
  });

  it('without the back end are of no use, and that is said', () => {
    const { computes: _, ...rest } = withEcs;
    expect(() => settingsFrom(rest)).toThrow(': vpc, subnets is for ecs and ec2, which computes does not have.');
    expect(() => settingsFrom({ ...rest, computes: ' , ' })).toThrow(
      ': agentImage is for agentcore, ecs and ec2, which computes does not have; vpc, subnets is for ecs and ec2, which',
    );
  });
});

describe('settings that cannot be meant', () => {
  it.each([
    [{ stage: 'Main Street' }, 'stage is no stage'],
    [
      { computes: 'abacus' },
      ': computes has abacus, which cannot be deployed; there are: agentcore, ecs, ec2 (entry 1).',
    ],
    // Nobody knows for whom the other settings are.
    [
      { ...withEcs, computes: 'esc' },
      'deployed: computes has esc, which cannot be deployed; there are: agentcore, ecs, ec2 (entry 1). See',
    ],
    [{ ...withAgentcore, computes: 'agentcore,agentcore' }, 'computes has one name twice'],
    [{ archiveRetentionDays: '0' }, 'archiveRetentionDays is not from 1 to 3650'],
    [{ archiveRetentionDays: 'unlimited' }, 'archiveRetentionDays is no number'],
    [{ archiveRetentionDays: '99999' }, 'archiveRetentionDays is not from 1 to 3650'],
    [{ tasksAtOnce: '0' }, 'tasksAtOnce is not from 1 to 500'],
    [{ tasksAtOnce: '1.5' }, 'tasksAtOnce is no whole number'],
    [{ tasksAtOnce: '501' }, 'tasksAtOnce is not from 1 to 500'],
    [{ producers: 'arn:aws:sts::123456789012:assumed-role/dev/me' }, 'give the role itself'],
    [{ operators: 'everybody' }, 'operators is no ARN'],
    [{ requesters: 'arn:aws:iam::123456789012:role/ada' }, 'requesters is not <name>=<ARN>'],
    [{ requesters: 'ada=arn:aws:s3:::ada' }, 'requesters names no ARN'],
    [{ requesters: `${withPeople.requesters},${withPeople.requesters}` }, 'requesters has one name twice'],
    [{ requesters: requesters('a-b', 'a_b') }, 'requesters has one name twice ("-" and "_" do not count): a-b, a_b.'],
    [{ requesters: requesters('a'.repeat(41)) }, 'requesters is not <name>=<ARN>, the name of at most 40 letters'],
    [{ requesters: requesters(...'abcdef') }, 'requesters names more than 5'],
    [{ alarmTopic: 'arn:aws:sns:eu-west-1:123456789012:a', alarmEmail: 'a@b.example' }, 'exclude each other'],
    [{ computs: 'ecs' }, 'computs is no setting'],
    [
      { ...withEcs, agentSecrets: `AWS_REGION=${aSecret}` },
      ': agentSecrets names a variable of Baton or AWS (entry 1, AWS_REGION). See',
    ],
    [
      { ...withEcs, agentSecrets: `A=${aSecret},B=${aSecret.slice(0, -7)}` },
      ': agentSecrets names no complete ARN of a secret, with "-" and six characters at its end (entry 2, B). See',
    ],
    [
      { ...withEcs, agentSecrets: 'sk-123' },
      ': agentSecrets is not <VARIABLE>=<complete ARN of a secret> (entry 1). See',
    ],
    [
      { ...withAgentcore, agentSecrets: `A=${aSecret},B=${aSecret.replace('eu-west-1', 'us-west-2')}` },
      ': agentSecrets has B in us-west-2, agentImage is in eu-west-1: agentcore takes both from its own region. See',
    ],
    [{ ...withEcs, agentSecrets: `A=${aSecret},A=${aSecret}` }, 'agentSecrets has one name twice'],
    [{ agentSecrets: `OPENAI_API_KEY=${aSecret}` }, 'agentSecrets is for agentcore, ecs and ec2, which computes'],
    [{ userSecrets: users }, 'userSecrets is for ecs'],
    [{ userFileSystem: 'fs-01234567:sg-01234567' }, 'userFileSystem is for ecs'],
    ...[
      '*',
      'arn:aws:secretsmanager:eu-west-1:123456789012:secret:*',
      'arn:aws:secretsmanager:eu-west-1:123456789012:secret:users/ada',
      'arn:aws:secretsmanager:eu-west-1:123456789012:secret:a*b*',
      'arn:aws:secretsmanager:*:123456789012:secret:users/*',
      'arn:aws:ssm:eu-west-1:123456789012:parameter/*',
      'arn:aws:s3:::users/*',
    ].map((one): [object, string] => [{ ...withEcs, userSecrets: one }, 'userSecrets is neither the complete ARN']),
    ...['fs-01234567', 'fs-01234567:', 'fs-01234567:subnet-01234567', 'efs:sg-01234567'].map(
      (one): [object, string] => [{ ...withEcs, userFileSystem: one }, 'userFileSystem is not <id of an EFS file'],
    ),
    [{ ...withEcs, vpc: 'mine' }, 'vpc is neither "own" nor the id of a VPC'],
    [{ ...withEcs, subnets: 'a,b' }, 'subnets is no id of a subnet'],
  ] as [object, string][])('%j', (given, complaint) => {
    expect(() => settingsFrom(given as Record<string, string>)).toThrow(complaint);
  });

  it('are told without what may be a secret', () => {
    for (const agentSecrets of ['OPENAI_API_KEY=sk-123', 'sk-123', 'sk-123=', 'A=sk-123,sk-123']) {
      expect(() => settingsFrom({ ...withAgentcore, agentSecrets })).toThrow(/agentSecrets/);
      expect(() => settingsFrom({ ...withAgentcore, agentSecrets })).not.toThrow(/sk-123/);
    }
  });

  it('have all settings listed where a name is unknown, and else the page that tells them', () => {
    expect(() => settingsFrom({ computs: 'ecs' })).toThrow(
      /Settings are: stage, .*githubToken\. See docs\/deploy\.md\.$/,
    );
    expect(() => settingsFrom({ stage: '!' })).not.toThrow(/Settings are/);
  });

  it('are all named at once', () => {
    expect(() => settingsFrom({ stage: '!', tasksAtOnce: 'many', computes: 'ecs' })).toThrow(
      /stage .*tasksAtOnce .*needs agentImage and vpc \(and subnets/,
    );
  });
});

describe('what the CDK keeps beside the settings', () => {
  it('is no mistake of ours', () => {
    const others = { 'aws:cdk:enable-path-metadata': true, '@aws-cdk/core:newStyleStackSynthesis': true };
    expect(settingsFrom(others)).toEqual(settingsFrom({}));
  });
});

describe('rows of settled tasks', () => {
  it.each([
    [1, 90],
    [90, 90],
    [91, 91],
    [3650, 3650],
  ])('of an archive of %d days live for %d', (archive, records) => {
    expect(settingsFrom({ archiveRetentionDays: String(archive) }).recordRetentionDays).toBe(records);
  });
});

describe('the page on deploying', () => {
  it('tells each setting, and none that does not exist', () => {
    const page = readFileSync('docs/deploy.md', 'utf8');
    const told = [...page.matchAll(/^\| `([A-Za-z]+)` \|/gm)].map(([, name]) => name);
    expect(told.sort()).toEqual([...settingNames].sort());
    const used = [...page.matchAll(/-c ([A-Za-z]+)=/g)].map(([, name]) => name);
    expect(used.filter((name) => !settingNames.includes(name as never))).toEqual([]);
  });
});
