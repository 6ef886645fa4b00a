import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { grantedCalls } from './granted-calls.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-grants-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const ROLE = 'the-role';

/** Roles of a deployment in which one function has these statements. */
function granted(...statements: object[]) {
  const Resources = {
    Role: { Type: 'AWS::IAM::Role', Properties: { RoleName: ROLE } },
    Function: {
      Type: 'AWS::Lambda::Function',
      Properties: { FunctionName: 'one', Role: { 'Fn::GetAtt': ['Role', 'Arn'] } },
    },
    Policy: {
      Type: 'AWS::IAM::Policy',
      Properties: { Roles: [{ Ref: 'Role' }], PolicyDocument: { Statement: statements } },
    },
  };
  writeFileSync(join(folder, 'one.template.json'), JSON.stringify({ Resources }));
  return grantedCalls(folder, { 'baton:stage': 'loopback' });
}

const call = (name: string, input: object = {}) => ({ name, body: Buffer.from(JSON.stringify(input)) });
const allow = (Action: string | string[], Resource = '*', Condition = {}) => ({
  Effect: 'Allow',
  Action,
  Resource,
  Condition,
});

const TABLE = 'arn:aws:dynamodb:us-east-1:000000000000:table/a-table';
const ofTasks = { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['TASK#*'] } };
const put = (key: string) => call('dynamodb.PutItem', { TableName: 'a-table', Item: { key: { S: key } } });

const COMMAND = { DocumentName: 'a-document', InstanceIds: ['i-1'] };
const document = allow('ssm:SendCommand', 'arn:aws:ssm:us-east-1:000000000000:document/a-document');
const machines = (stage: string) =>
  allow('ssm:SendCommand', 'arn:aws:ec2:us-east-1:000000000000:instance/*', {
    StringEquals: { 'ssm:resourceTag/baton:stage': stage },
  });

describe('a call of a role', () => {
  it('is granted by the action, under the name that IAM has for it', () => {
    const grants = granted(allow(['s3:PutObject', 'ecs:RunTask']));
    expect(grants.roleOf('one')).toBe(ROLE);
    expect(grants.whyRefused(ROLE, call('s3.PUT'))).toBeUndefined();
    expect(grants.whyRefused(ROLE, call('ecs.RunTask'))).toBeUndefined();
    expect(grants.whyRefused(ROLE, call('s3.GET'))).toContain('s3:GetObject');
    expect(grants.whyRefused('another', call('s3.PUT'))).toContain('another');
  });

  it('is refused for another table, or for a record that is not of its kinds', () => {
    const grants = granted(allow('dynamodb:PutItem', TABLE, ofTasks));
    expect(grants.whyRefused(ROLE, put('TASK#one'))).toBeUndefined();
    expect(grants.whyRefused(ROLE, put('SLOT#one'))).toContain('SLOT#one');
    const elsewhere = call('dynamodb.PutItem', { TableName: 'another', Item: { key: { S: 'TASK#one' } } });
    expect(grants.whyRefused(ROLE, elsewhere)).toContain('table/another');
  });

  it('is refused for a bus under a source that is not its own', () => {
    const bus = 'arn:aws:events:us-east-1:000000000000:event-bus/a-bus';
    const grants = granted(allow('events:PutEvents', bus, { StringEquals: { 'events:source': 'baton' } }));
    const told = (Source: string, EventBusName = 'a-bus') =>
      call('events.PutEvents', {
        Entries: [
          { Source: 'baton', EventBusName: bus },
          { Source, EventBusName },
        ],
      });
    expect(grants.whyRefused(ROLE, told('baton'))).toBeUndefined();
    expect(grants.whyRefused(ROLE, told('baton.agent'))).toContain('baton.agent');
    expect(grants.whyRefused(ROLE, told('baton', 'another'))).toContain('event-bus/another');
  });

  it('is refused for a command whose document, or whose machine, nobody granted', () => {
    const sent = call('ssm.SendCommand', COMMAND);
    expect(granted(document, machines('loopback')).whyRefused(ROLE, sent)).toBeUndefined();
    expect(granted(document).whyRefused(ROLE, sent)).toContain('instance/i-1');
    expect(granted(machines('loopback')).whyRefused(ROLE, sent)).toContain('document/a-document');
    expect(granted(document, machines('another')).whyRefused(ROLE, sent)).toContain('instance/i-1');
  });

  it('is refused for a group of others', () => {
    const grants = granted(
      allow(
        'autoscaling:SetInstanceProtection',
        'arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:*:autoScalingGroupName/own',
      ),
    );
    const protect = (group: string) => ({
      name: 'autoscaling.SetInstanceProtection',
      body: Buffer.from(`Action=SetInstanceProtection&AutoScalingGroupName=${group}`),
    });
    expect(grants.whyRefused(ROLE, protect('own'))).toBeUndefined();
    expect(grants.whyRefused(ROLE, protect('own-too'))).toContain('own-too');
  });

  it('is refused by a denial, whatever else is granted', () => {
    const grants = granted(allow('sqs:*'), { Effect: 'Deny', Action: 'sqs:SendMessage', Resource: '*' });
    expect(grants.whyRefused(ROLE, call('sqs.GetQueueAttributes'))).toBeUndefined();
    expect(grants.whyRefused(ROLE, call('sqs.SendMessage'))).toContain('sqs:SendMessage');
  });
});
