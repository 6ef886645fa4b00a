import { describe, expect, it } from '@jest/globals';
import { USER_SECRETS_MAX, userTerms } from '../../schemas/task-definition.ts';

const SECRET = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:npm-AbCdEf';
const complaintsOf = (terms: unknown): string[] =>
  (userTerms.safeParse(terms).error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('what a user gets', () => {
  it.each<[string, object]>([
    ['nothing beside the base', {}],
    ['a size', { size: { cpu: 2048, memory: 4096 } }],
    ['the smallest size', { size: { cpu: 256, memory: 512 } }],
    ['the largest size', { size: { cpu: 16384, memory: 122_880 } }],
    ['files of their own', { fileSystem: { id: 'fs-0123abcd', accessPoint: 'fsap-0123abcd4567ef890' } }],
    ['a secret of Secrets Manager', { secrets: { NPM_TOKEN: SECRET } }],
    ['one field of such a secret', { secrets: { NPM_TOKEN: `${SECRET}:token::` } }],
    ['a parameter of Systems Manager', { secrets: { KEY: 'arn:aws:ssm:eu-central-1:123456789012:parameter/ada/key' } }],
    ['a secret of another partition', { secrets: { KEY: SECRET.replace('aws', 'aws-cn') } }],
  ])('may be %s', (_what, terms) => {
    expect(userTerms.parse(terms)).toEqual(terms);
  });

  it.each<[string, object, string]>([
    [
      'a cpu that Fargate has not',
      { size: { cpu: 2000, memory: 4096 } },
      'size: Fargate has no such cpu; it has 256, 512, 1024, 2048, 4096, 8192, 16384',
    ],
    [
      'too little memory for its cpu',
      { size: { cpu: 2048, memory: 1024 } },
      'size: Fargate has no such memory with that cpu; it has 4096 to 16384 MB in steps of 1024',
    ],
    [
      'memory between the smallest steps',
      { size: { cpu: 256, memory: 1536 } },
      'size: Fargate has no such memory with that cpu; it has 512 MB, or 1024 to 2048 MB in steps of 1024',
    ],
    [
      'memory between the steps',
      { size: { cpu: 8192, memory: 18_432 } },
      'size: Fargate has no such memory with that cpu; it has 16384 to 61440 MB in steps of 4096',
    ],
    [
      'a file system without its access point',
      { fileSystem: { id: 'fs-0123abcd', accessPoint: '/ada' } },
      'fileSystem.accessPoint: is no id of an EFS access point (fsap-…)',
    ],
    [
      'a secret instead of its ARN, which is not repeated',
      { secrets: { NPM_TOKEN: 'hunter2' } },
      'secrets.NPM_TOKEN: is no ARN of a secret of Secrets Manager, or of a parameter of Systems Manager',
    ],
    [
      'the credentials of AWS',
      { secrets: { AWS_SECRET_ACCESS_KEY: SECRET } },
      'secrets.AWS_SECRET_ACCESS_KEY: is no variable that may be set (A-Z, 0-9 and "_"; none of BATON_, AWS_, ECS_)',
    ],
    ...['NODE_OPTIONS', 'LD_PRELOAD', 'PATH', 'GIT_SSH_COMMAND', 'BASH_ENV'].map((name): [string, object, string] => [
      `what leads the runner itself: ${name}`,
      { secrets: { [name]: SECRET } },
      `secrets.${name}: leads programs (such as PATH, NODE_…, LD_…, GIT_…) and may not be set`,
    ]),
    ['what nobody reads', { colour: 'red' }, ': Unrecognized key: "colour"'],
  ])('may not be %s', (_what, terms, complaint) => {
    expect(complaintsOf(terms)).toEqual([complaint]);
  });

  it('is bounded', () => {
    const secrets = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_none, n) => [`SECRET_${n}`, SECRET]));
    expect(complaintsOf({ secrets: secrets(USER_SECRETS_MAX) })).toEqual([]);
    expect(complaintsOf({ secrets: secrets(USER_SECRETS_MAX + 1) })).toEqual(['secrets: has more than 16 secrets']);
  });
});
