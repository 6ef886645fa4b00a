import { describe, expect, it } from '@jest/globals';
import { type BusStatement, busStatements, type Writers } from '../../infra/bus-policy.ts';
import { settingsFrom } from '../../infra/settings.ts';
import { synthesised, withEveryBackEnd, withPeople } from './scene.ts';

const people = {
  handler: 'arn:aws:iam::000000000000:role/handlers/handler',
  runner: 'arn:aws:iam::000000000000:role/runner',
  producer: 'arn:aws:iam::111111111111:role/producer',
  operator: 'arn:aws:iam::000000000000:role/operator',
  ada: 'arn:aws:iam::000000000000:role/ada',
  bob: 'arn:aws:iam::000000000000:role/bob',
  stranger: 'arn:aws:iam::000000000000:role/administrator',
} as const;
type Person = keyof typeof people;

const writers: Writers = {
  handlers: 'arn:aws:iam::000000000000:role/handlers/*',
  runners: [people.runner],
  producers: [people.producer],
  operators: [people.operator],
  requesters: [
    { name: 'ada', arn: people.ada },
    { name: 'bob', arn: people.bob },
  ],
};
const nobody: Writers = { handlers: '', runners: [], producers: [], operators: [], requesters: [] };

interface Entry {
  readonly source: string;
  readonly type: string;
}

/** IAM's judgement on one entry of PutEvents: a deny wins; an allow may come from the bus or from the identity. */
function mayPut(person: Person, entry: Entry, given: Writers, options: { identityAllows: boolean }): boolean {
  const statements = busStatements(given).map(([, statement]) => statement);
  const applying = statements.filter((statement) => applies(statement, people[person], entry));
  if (applying.some(({ Effect }) => Effect === 'Deny')) return false;
  return options.identityAllows || applying.some(({ Effect }) => Effect === 'Allow');
}

function applies({ Principal, Condition }: BusStatement, principal: string, { source, type }: Entry): boolean {
  if (Principal !== '*' && !Principal.AWS.includes(principal)) return false;
  const keys: Readonly<Record<string, string>> = {
    'events:source': source,
    'events:detail-type': type,
    'aws:PrincipalArn': principal,
  };
  return Object.entries(Condition).every(([operator, wanted]) =>
    Object.entries(wanted).every(([key, values]) => {
      const isOne = [values]
        .flat()
        .some((value) =>
          value.endsWith('*') && operator.includes('Like')
            ? keys[key]?.startsWith(value.slice(0, -1))
            : value === keys[key],
        );
      return operator.includes('Not') ? !isOne : isOne;
    }),
  );
}

const REQUEST = { source: 'baton.request', type: 'TaskRequested' };
const CANCEL = { source: 'baton.request', type: 'TaskCancelRequested' };
const CONFIGURE = { source: 'baton.request', type: 'RepositoryConfigRequested' };
const FACT = { source: 'baton', type: 'TaskCompleted' };
const REPORT = { source: 'baton.agent', type: 'RunReported' };
const OWN = { source: 'baton.request.ada', type: 'TaskRequested' };
const OWN_CANCEL = { source: 'baton.request.ada', type: 'TaskCancelRequested' };
const OWN_CONFIGURE = { source: 'baton.request.ada', type: 'RepositoryConfigRequested' };
const STRAY = { source: 'baton.request.eve', type: 'TaskRequested' };
const ALARM = { source: 'baton.alarm', type: 'AlarmRang' };
const entries = { REQUEST, CANCEL, CONFIGURE, FACT, REPORT, OWN, OWN_CANCEL, OWN_CONFIGURE, STRAY, ALARM };

/** Who may put what, when the identity's own policy allows everything. */
const ALLOWED: { readonly [Who in Person]: readonly (keyof typeof entries)[] } = {
  handler: ['FACT'],
  runner: ['REPORT'],
  producer: ['REQUEST', 'CANCEL'],
  operator: ['CANCEL', 'CONFIGURE'],
  ada: ['OWN', 'OWN_CANCEL'],
  bob: [],
  stranger: [],
};

describe('the bus', () => {
  it.each(Object.entries(ALLOWED) as [Person, readonly string[]][])(
    'takes from %s, whatever its own policy says, only %j',
    (person, allowed) => {
      const taken = Object.entries(entries).filter(([, entry]) =>
        mayPut(person, entry, writers, { identityAllows: true }),
      );
      expect(taken.map(([name]) => name)).toEqual(allowed);
    },
  );

  it.each([
    ['producer', REQUEST],
    ['producer', CANCEL],
    ['operator', CANCEL],
    ['operator', CONFIGURE],
    ['ada', OWN],
  ] as const)('lets %s put %j without a policy of its own, from any account', (person, entry) => {
    expect(mayPut(person, entry, writers, { identityAllows: false })).toBe(true);
  });

  it('lets one requester not speak for another', () => {
    for (const entry of [OWN, OWN_CANCEL]) expect(mayPut('bob', entry, writers, { identityAllows: true })).toBe(false);
    const his = { source: 'baton.request.bob', type: 'TaskRequested' };
    expect(mayPut('bob', his, writers, { identityAllows: false })).toBe(true);
  });

  it('that names nobody takes nothing', () => {
    for (const person of Object.keys(people) as Person[]) {
      for (const entry of Object.values(entries))
        expect(mayPut(person, entry, nobody, { identityAllows: true })).toBe(false);
    }
  });
});

describe('the policy of a bus with as many requesters as there may be', () => {
  it('is what EventBridge takes: ids of 64 characters, 10,240 in all', () => {
    const account = (name: string) => `arn:aws:iam::123456789012:role/${name}`;
    const names = [...'abcde'].map((letter) => letter.repeat(40));
    const roles = (count: number) =>
      Array.from({ length: count }, (_, at) => account(`baton-choreography-${'x'.repeat(40)}${at}`));
    const statements = busStatements({
      handlers: account(`baton-${'s'.repeat(16)}/handlers/ap-northeast-1/*`),
      runners: roles(3),
      producers: roles(2),
      operators: roles(2),
      requesters: names.map((name) => ({ name, arn: account(name) })),
    });
    expect(statements.filter(([id]) => id.length > 64)).toEqual([]);
    const Resource = 'arn:aws:events:eu-central-1:123456789012:event-bus/baton';
    const whole = statements.map(([Sid, statement]) => ({ Sid, Action: 'events:PutEvents', Resource, ...statement }));
    expect(JSON.stringify({ Version: '2012-10-17', Statement: whole }).length).toBeLessThan(10_240);
    expect(() => settingsFrom({ requesters: names.map((name) => `${name}=${account(name)}`).join() })).not.toThrow();
  });
});

describe('the deployed bus policy', () => {
  const deployed = synthesised({ ...withEveryBackEnd, ...withPeople });
  const statements = deployed
    .all('AWS::Events::EventBusPolicy')
    .map(
      ({ properties }) => properties['Statement'] as BusStatement & { Sid: string; Resource: string; Action: string },
    );
  const bus = deployed.one('AWS::Events::EventBus');
  const named = (sid: string) => statements.find(({ Sid }) => Sid === sid);
  const rolesOf = (idPart: RegExp) =>
    deployed
      .all('AWS::IAM::Role')
      .filter(({ id }) => idPart.test(id))
      .map(({ arn }) => arn)
      .sort();

  it('binds facts to the functions and agents to the roles of runs', () => {
    const functions = deployed.all('AWS::Lambda::Function').map(({ properties }) => String(properties['Role']));
    const pattern = String(named('OnlyHandlersSayFacts')?.Condition['ArnNotLike']?.['aws:PrincipalArn']);
    expect(pattern).toMatch(/^arn:aws:iam::000000000000:role\/baton\/handlers\/us-east-1\/\*$/);
    const fitting = deployed.all('AWS::IAM::Role').filter(({ arn }) => arn.startsWith(pattern.slice(0, -1)));
    expect(fitting.map(({ arn }) => arn).sort()).toEqual(functions.sort());
    const principals = (sid: string) =>
      [named(sid)?.Condition['ArnNotEquals']?.['aws:PrincipalArn'] ?? []].flat().sort();
    const runners = rolesOf(/^(AgentcoreRole|EcsTaskRole|FleetRole)/);
    expect(runners).toHaveLength(3);
    expect(principals('OnlyRunnersSpeakAsAgents')).toEqual(runners);
  });

  it('names the people of the settings', () => {
    expect(named('ProducersAsk')?.Principal).toEqual({ AWS: withPeople.producers.split(',') });
    expect(named('OperatorsOperate')?.Principal).toEqual({ AWS: [withPeople.operators] });
    expect(named('RequestersAsk')?.Principal).toEqual({ AWS: ['arn:aws:iam::123456789012:role/ada'] });
  });

  it('is about putting on this bus and nothing else', () => {
    for (const { Action, Resource } of statements) expect([Action, Resource]).toEqual(['events:PutEvents', bus.arn]);
  });

  it('without a back end lets nobody speak as an agent', () => {
    const [only] = synthesised()
      .all('AWS::Events::EventBusPolicy')
      .map(({ properties }) => properties['Statement'] as BusStatement & { Sid: string })
      .filter(({ Sid }) => Sid === 'OnlyRunnersSpeakAsAgents');
    expect(only).toMatchObject({
      Effect: 'Deny',
      Principal: '*',
      Condition: { StringEquals: { 'events:source': 'baton.agent' } },
    });
    expect(only?.Condition).not.toHaveProperty('ArnNotEquals');
  });
});
