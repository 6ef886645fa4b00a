import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FLEETS_MAX, isHostImage } from '../../infra/fleet-settings.ts';
import { settingsFrom } from '../../infra/settings.ts';
import { FLEET_WORKERS_MAX } from '../../schemas/worker.ts';
import { withEcs, withEveryBackEnd, withFleet } from './scene.ts';

const fleetsOf = (fleets: string) => settingsFrom({ ...withFleet, fleets }).ec2?.fleets;
const main = { name: 'main', machines: 1, instanceType: 'm7g.xlarge', spot: false };

describe('settings of EC2', () => {
  // B1
  it('have one fleet of one m7g.xlarge where nobody says otherwise', () => {
    expect(settingsFrom(withFleet).ec2).toEqual({
      agentImage: withFleet.agentImage,
      network: {
        kind: 'given',
        vpcId: withFleet.vpc,
        subnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
      },
      secrets: [],
      fleets: [main],
    });
    expect(settingsFrom(withFleet)).not.toHaveProperty('ecs');
    expect(settingsFrom(withFleet)).not.toHaveProperty('agentcore');
  });

  it('share the network with ECS, and need no subnets in one of our own', () => {
    const all = settingsFrom(withEveryBackEnd);
    expect(all.ec2?.network).toEqual(all.ecs?.network);
    expect(settingsFrom({ ...withFleet, vpc: 'own', subnets: '' }).ec2?.network).toEqual({ kind: 'own' });
  });

  // B35
  it('name fleets with their numbers, their types, and whether they are on spare capacity', () => {
    expect(fleetsOf('main=2')).toEqual([{ ...main, machines: 2 }]);
    expect(fleetsOf(' , ')).toEqual([main]);
    expect(fleetsOf(' main=2:c7g.2xlarge , gpu=1:g5g.xlarge,, big-1=200:r8gd.metal-24xl:spot,')).toEqual([
      { name: 'main', machines: 2, instanceType: 'c7g.2xlarge', spot: false },
      { name: 'gpu', machines: 1, instanceType: 'g5g.xlarge', spot: false },
      { name: 'big-1', machines: 200, instanceType: 'r8gd.metal-24xl', spot: true },
    ]);
  });

  it.each(['a1.large', 't4g.medium', 'm6gd.4xlarge', 'c7gn.xlarge', 'x2gd.large', 'im4gn.large', 'is4gen.large'])(
    'take %s, which has a Graviton processor',
    (type) => {
      expect(fleetsOf(`main=1:${type}`)).toEqual([{ ...main, instanceType: type }]);
    },
  );

  it.each([
    [{ fleets: 'main=1,big' }, 'fleets is not <name>=<machines>[:<instance type>[:spot]]: big (entry 2)'],
    [{ fleets: 'main=two' }, 'fleets is not <name>=<machines>'],
    [{ fleets: 'main=1:m7g.xlarge:cheap' }, 'fleets is not <name>=<machines>'],
    [{ fleets: 'main=1::spot' }, 'fleets is not <name>=<machines>'],
    [
      { fleets: 'main=3:spot' },
      'deployed: fleets has spot where the type stands, which comes first: main=3:m7g.xlarge:spot (entry 1). See',
    ],
    [
      { fleets: 'big=1,gpu=1' },
      'deployed: fleets has no "main", on which tasks run whose repository names no fleet. See',
    ],
    [
      { fleets: 'main=1,Big=1' },
      'fleets has no name of a fleet: 1 to 32 small letters, digits and "-", a letter first: Big (entry 2)',
    ],
    [{ fleets: "x'$(reboot)=1" }, 'fleets has no name of a fleet'],
    [{ fleets: 'main=0' }, 'fleets asks for 0 machines; a fleet has from 1 to 200 (entry 1)'],
    [{ fleets: 'main=201' }, 'fleets asks for 201 machines; a fleet has from 1 to 200'],
    [
      { fleets: 'main=1:m7i.xlarge' },
      'fleets has m7i.xlarge, which is no type of EC2 with a Graviton processor; the image is for ARM',
    ],
    [{ fleets: 'main=1:g4dn.xlarge' }, 'fleets has g4dn.xlarge, which is no type'],
    [{ fleets: 'main=1:m7g' }, 'fleets has m7g, which is no type'],
    [{ fleets: 'main=1,big=1,main=2' }, 'deployed: fleets has one name twice: main. See'],
    [
      { computes: 'ec2,ec2,ec3' },
      'deployed: computes has ec3, which cannot be deployed; there are: agentcore, ecs, ec2 (entry 3); computes has one name twice: ec2. See',
    ],
    [{ fleets: 'a=1,b=1,c=1,d=1,e=1,f=1' }, 'fleets names more than 5'],
    [{ ...withEcs, fleets: 'main=1' }, 'fleets is for ec2, which computes does not have'],
    [{ agentImage: '' }, 'computes has ec2, which needs agentImage'],
    [{ vpc: '', subnets: '' }, 'computes has ec2, which needs vpc (and subnets, unless vpc is own)'],
    [{ subnets: '' }, 'computes has ec2, which needs subnets'],
    [{ agentImage: "registry/agent:1'; reboot; '" }, 'agentImage is no name that Docker takes, which ec2 needs'],
    [{ userSecrets: 'arn:aws:ssm:eu-west-1:123456789012:parameter/users/*' }, 'userSecrets is for ecs'],
  ] as [object, string][])('with %j cannot be deployed, and the error says why', (more, complaint) => {
    expect(() => settingsFrom({ ...withFleet, ...more })).toThrow(complaint);
  });

  it('are all complained of at once', () => {
    expect(() => settingsFrom({ ...withFleet, fleets: 'Main=0:m7i.xlarge' })).toThrow(
      /no name of a fleet.*asks for 0 machines.*no type of EC2/,
    );
  });

  it('let nothing through that a shell would read otherwise than as it stands', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (fleets, agentImage) => {
        let taken: ReturnType<typeof settingsFrom>['ec2'];
        try {
          taken = settingsFrom({ ...withFleet, fleets, agentImage }).ec2;
        } catch (error) {
          expect(String(error)).toMatch(/^Error: These settings cannot be deployed: /);
          return;
        }
        expect(taken?.fleets.length).toBeLessThanOrEqual(FLEETS_MAX);
        for (const { name, machines, instanceType } of taken?.fleets ?? []) {
          expect(`${name} ${instanceType} ${taken?.agentImage}`).toMatch(/^[A-Za-z0-9 .:/@_-]+$/);
          expect(machines).toBeLessThanOrEqual(FLEET_WORKERS_MAX);
        }
      }),
    );
  });

  // Else a machine would fail at its boot for what could be said at once.
  it('take images that the boot takes, and no others', () => {
    const boot = readFileSync('agent/host/boot.sh', 'utf8');
    const [, pattern = ''] = /\$BATON_IMAGE =~ (\S+) \]\]/.exec(boot) ?? [];
    const ofBoot = new RegExp(pattern);
    for (const image of [
      'agent',
      'a/b:1',
      `a@sha256:${'0'.repeat(64)}`,
      '-a',
      'a b',
      "a'b",
      `a${'b'.repeat(300)}`,
      `a${'b'.repeat(301)}`,
    ])
      expect([image, isHostImage(image)]).toEqual([image, ofBoot.test(image)]);
  });
});
