import { describe, expect, it } from '@jest/globals';
import { compilePattern } from '../../runtime/matcher.ts';
import { whyInvalid } from '../../runtime/pattern-validity.ts';
import { archiveNamesOf } from '../../schemas/archive-names.ts';
import { anEcsEvent } from '../builders.ts';
import { statementsIn, synthesised, withEcs, withEveryBackEnd, withFleet } from './scene.ts';

const deployment = synthesised({ ...withEcs, stage: 'test', archiveRetentionDays: '45' });
const { own, native } = archiveNamesOf('baton-test');
const archive = deployment.one('AWS::Events::Archive', 'ArchiveName', native);
const cluster = deployment.one('AWS::ECS::Cluster').arn;

describe('the archive of native events', () => {
  const keeps = compilePattern(archive.properties['EventPattern'] as never);
  const startedBy = 'baton/test/t1/1';

  it('is of the default bus, for as long as the other', () => {
    expect(String(archive.properties['SourceArn'])).toMatch(/:event-bus\/default$/);
    expect(archive.properties['RetentionDays']).toBe(45);
    expect(whyInvalid(archive.properties['EventPattern'])).toBeUndefined();
  });

  it('keeps what ECS says about runs of this stage, and about nobody else', () => {
    expect(keeps(anEcsEvent({ clusterArn: cluster, startedBy }))).toBe(true);
    expect(keeps(anEcsEvent({ clusterArn: cluster, startedBy: 'baton/main/t1/1' }))).toBe(false);
    expect(keeps(anEcsEvent({ clusterArn: `${cluster}-of-others`, startedBy }))).toBe(false);
    expect(keeps({ ...anEcsEvent({ clusterArn: cluster, startedBy }), source: 'aws.ec2' })).toBe(false);
  });

  it.each([
    ['fleets alone', withFleet],
    ['every back end', withEveryBackEnd],
  ])(
    'of a deployment with %s keeps what is said about its commands and groups; no event of EC2, which names no stage',
    (_what, settings) => {
      const made = synthesised({ ...settings, stage: 'test' });
      const pattern = made.one('AWS::Events::Archive', 'ArchiveName', native).properties['EventPattern'];
      expect(whyInvalid(pattern)).toBeUndefined();
      const keepsOf = compilePattern(pattern as never);
      const command = (name: string) => ({
        source: 'aws.ssm',
        'detail-type': 'EC2 Command Invocation Status-change Notification',
        detail: { 'document-name': name, 'instance-id': 'i-0123456789abcdef0', status: 'Success' },
      });
      const termination = (group: string) => ({
        source: 'aws.autoscaling',
        'detail-type': 'EC2 Instance-terminate Lifecycle Action',
        detail: { AutoScalingGroupName: group },
      });
      expect([keepsOf(command('baton-test-run')), keepsOf(termination('baton-test-fleet-main'))]).toEqual([true, true]);
      expect([keepsOf(command('baton-run')), keepsOf(termination('baton-fleet-main'))]).toEqual([false, false]);
      const state = { 'instance-id': 'i-0123456789abcdef0', state: 'terminated' };
      const ofEc2 = { source: 'aws.ec2', 'detail-type': 'EC2 Instance State-change Notification', detail: state };
      expect(keepsOf(ofEc2)).toBe(false);
      const isOfEcs = made
        .all('AWS::ECS::Cluster')
        .map(({ arn }) => keepsOf(anEcsEvent({ clusterArn: arn, startedBy })));
      expect(isOfEcs).toEqual(settings === withFleet ? [] : [true]);
    },
  );

  it('is not there where there are no native events', () => {
    const without = synthesised({ stage: 'test' });
    expect(without.all('AWS::Events::Archive').map(({ properties }) => properties['ArchiveName'])).toEqual([own]);
  });
});

describe('operators', () => {
  const policy = deployment.all('AWS::IAM::ManagedPolicy').find(({ id }) => id.startsWith('OperatorPolicy'));
  const statements = statementsIn(policy?.properties['PolicyDocument']);

  it('may replay both archives, look at how far they are, and cancel', () => {
    const both = [deployment.one('AWS::Events::Archive', 'ArchiveName', own).arn, archive.arn];
    for (const action of ['StartReplay', 'DescribeReplay', 'CancelReplay', 'DescribeArchive']) {
      const allowed = statements.find(({ actions }) => actions.includes(`events:${action}`));
      expect(allowed?.resources).toEqual([...both, expect.stringMatching(/:replay\/\*$/)]);
    }
  });
});
