import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readTemplates } from './template.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-templates-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (stack: string, template: object) =>
  writeFileSync(join(folder, `${stack}.template.json`), JSON.stringify(template));

/** What a property of one resource, beside a queue `Work` and an unnamed role `Who`, resolves to. */
function resolved(value: unknown, rest: object = {}): unknown {
  write('one', {
    Resources: {
      Work: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'work' } },
      Who: { Type: 'AWS::IAM::Role' },
      Probe: { Type: 'Test::Probe', Properties: { Value: value } },
    },
    ...rest,
  });
  return readTemplates(folder).find(({ id }) => id === 'Probe')?.properties['Value'];
}

const WORK_ARN = 'arn:aws:sqs:us-east-1:000000000000:work';

describe('a reference in a template', () => {
  it.each([
    ['Ref', { Ref: 'Work' }, 'https://sqs.us-east-1.amazonaws.com/000000000000/work'],
    ['Ref to an unnamed resource', { Ref: 'Who' }, 'one-Who'],
    ['Ref to a pseudo parameter', { Ref: 'AWS::Region' }, 'us-east-1'],
    ['GetAtt', { 'Fn::GetAtt': ['Work', 'Arn'] }, WORK_ARN],
    ['Join', { 'Fn::Join': [':', ['a', { Ref: 'AWS::AccountId' }]] }, 'a:000000000000'],
    ['Sub', { 'Fn::Sub': '${Work.Arn} in ${AWS::Partition}, not ${!Work}' }, `${WORK_ARN} in aws, not \${Work}`],
    ['Sub with variables', { 'Fn::Sub': ['${x}', { x: { Ref: 'AWS::Region' } }] }, 'us-east-1'],
    ['Select and Split', { 'Fn::Select': [5, { 'Fn::Split': [':', { 'Fn::GetAtt': ['Work', 'Arn'] }] }] }, 'work'],
    ['NoValue', [{ Ref: 'AWS::NoValue' }, 'kept'], ['kept']],
    ['nested objects', { a: [{ b: { Ref: 'AWS::Region' } }] }, { a: [{ b: 'us-east-1' }] }],
  ])('%s is followed', (_what, value, expected) => {
    expect(resolved(value)).toEqual(expected);
  });

  it('is followed into another stack', () => {
    write('other', {
      Resources: { Bus: { Type: 'AWS::Events::EventBus', Properties: { Name: 'baton' } } },
      Outputs: {
        Bus: { Value: { 'Fn::GetAtt': ['Bus', 'Arn'] }, Export: { Name: { 'Fn::Sub': '${AWS::StackName}:Bus' } } },
      },
    });
    expect(resolved({ 'Fn::ImportValue': 'other:Bus' })).toBe('arn:aws:events:us-east-1:000000000000:event-bus/baton');
  });

  it('is followed by its condition', () => {
    const Conditions = {
      Here: { 'Fn::Equals': [{ Ref: 'AWS::Region' }, 'us-east-1'] },
      Elsewhere: { 'Fn::Not': [{ Condition: 'Here' }] },
    };
    expect(resolved({ 'Fn::If': ['Here', 'yes', 'no'] }, { Conditions })).toBe('yes');
    expect(resolved({ 'Fn::If': ['Elsewhere', 'yes', 'no'] }, { Conditions })).toBe('no');
  });

  it('that cannot be followed is an error, never a guess', () => {
    expect(() => resolved({ Ref: 'Nobody' })).toThrow('one has no resource Nobody');
    expect(() => resolved({ 'Fn::GetAtt': ['Work', 'Colour'] })).toThrow('Work has no attribute Colour');
    expect(() => resolved({ 'Fn::ImportValue': 'nowhere' })).toThrow('no stack exports nowhere');
    expect(() => resolved({ 'Fn::Transform': {} })).toThrow('Fn::Transform is not known here');
  });
});
