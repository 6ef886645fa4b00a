import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { settingNames, settingsFrom } from '../../infra/settings.ts';
import { withEcs, withPeople } from './scene.ts';

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
    expect(() => settingsFrom(rest)).toThrow('agentImage, vpc, subnets is for ecs, which computes does not have');
  });
});

describe('settings that cannot be meant', () => {
  it.each([
    [{ stage: 'Main Street' }, 'stage is no stage'],
    [{ computes: 'abacus' }, ': computes names nothing that can be deployed; there are: ecs.'],
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
    [{ requesters: requesters('a-b', 'a_b') }, 'requesters has one name twice ("-" and "_" do not count)'],
    [{ requesters: requesters('a'.repeat(41)) }, 'requesters is not <name>=<ARN>, the name of at most 40 letters'],
    [{ requesters: requesters(...'abcdefghi') }, 'requesters names more than 8'],
    [{ alarmTopic: 'arn:aws:sns:eu-west-1:123456789012:a', alarmEmail: 'a@b.example' }, 'exclude each other'],
    [{ computs: 'ecs' }, 'computs is no setting'],
    [{ ...withEcs, agentSecrets: `AWS_REGION=${aSecret}` }, 'agentSecrets is not <VARIABLE>=<complete ARN'],
    [{ ...withEcs, agentSecrets: 'OPENAI_API_KEY=sk-123' }, 'agentSecrets is not <VARIABLE>=<complete ARN'],
    [{ ...withEcs, agentSecrets: `A=${aSecret},A=${aSecret}` }, 'agentSecrets has one name twice'],
    [{ agentSecrets: `OPENAI_API_KEY=${aSecret}` }, 'agentSecrets is for ecs'],
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
