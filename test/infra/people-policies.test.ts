import { describe, expect, it } from '@jest/globals';
import type { Resource } from '../loopback/template.ts';
import { statementsIn, synthesised } from './scene.ts';

const deployment = synthesised({ stage: 'test' });
const policyOf = (who: string) =>
  statementsIn(
    deployment.all('AWS::IAM::ManagedPolicy').find(({ id }) => id.startsWith(who))?.properties['PolicyDocument'],
  );
const table = deployment.one('AWS::DynamoDB::Table').arn;
const readers = policyOf('ReaderPolicy');
const operators = policyOf('OperatorPolicy');

describe('the policies for people', () => {
  it('are two, and neither is attached to anybody by itself', () => {
    const made = deployment.all('AWS::IAM::ManagedPolicy').map(({ properties }) => properties);
    expect(made).toHaveLength(2);
    for (const { Roles, Users, Groups } of made)
      expect([Roles, Users, Groups]).toEqual([undefined, undefined, undefined]);
  });

  it.each([
    ['readers', readers],
    ['operators', operators],
  ])('give %s no payload, no secret, no write to a record and no event', (_who, statements) => {
    const actions = statements.flatMap((statement) => statement.actions);
    expect(actions.length).toBeGreaterThan(4);
    expect(actions.filter((action) => /^(s3|secretsmanager|iam|ecs):|PutEvents|:\*/.test(action))).toEqual([]);
    expect(actions.filter((action) => /^dynamodb:(Put|Update|Delete|Batch)/.test(action))).toEqual([]);
    expect(statements.filter(({ resources }) => resources.includes('*'))).toEqual([]);
  });

  it('let readers see tasks, in the table and by its index', () => {
    expect(readers.find(({ actions }) => actions.includes('dynamodb:Query'))?.resources).toEqual([
      table,
      `${table}/index/by-place`,
    ]);
  });

  it('let operators replay the archive, and redrive what is dead in this stage', () => {
    const dead = ({ properties }: Resource) => String(properties['QueueName']).endsWith('-dead');
    const deadLetters = deployment
      .all('AWS::SQS::Queue')
      .filter(dead)
      .map(({ arn }) => arn);
    const allowed = (action: string) => operators.find(({ actions }) => actions.includes(action))?.resources;
    expect(allowed('events:StartReplay')).toContain(deployment.one('AWS::Events::Archive').arn);
    expect([...(allowed('sqs:ReceiveMessage') ?? [])].sort()).toEqual(deadLetters.sort());
    expect(allowed('lambda:InvokeFunction')).toEqual(deployment.all('AWS::Lambda::Function').map(({ arn }) => arn));
    expect(allowed('sqs:SendMessage')).toEqual([
      deployment.one('AWS::SQS::Queue', 'QueueName', 'baton-test-alarms').arn,
    ]);
  });
});
