import { describe, expect, it } from '@jest/globals';
import type { EventPattern } from '../../rules/event-pattern.ts';
import { ruleIndex } from '../../runtime/rule-index.ts';

const indexOf = (patterns: Record<string, EventPattern>): ((event: unknown) => string[]) =>
  ruleIndex(Object.entries(patterns).map(([name, pattern]) => ({ name, pattern })));

describe('an index of rules', () => {
  const index = indexOf({
    'by kind': { source: ['baton'], 'detail-type': ['TaskFailed', 'TaskCompleted'] },
    'by source': { source: [{ prefix: 'baton' }] },
    'by user': { source: ['baton'], detail: { data: { userId: ['ada'] } } },
    'by container': { source: ['aws.ecs'], detail: { containers: { name: ['agent'], exitCode: [0] } } },
    'by either': { $or: [{ source: ['baton'] }, { detail: { data: { userId: ['ada', 'bob'] } } }] },
    'by absence': { detail: { data: { userId: [{ exists: false }] } } },
    'by address': { detail: { address: ['::1'] } },
  });

  it.each<[string, unknown, string[]]>([
    ['its kind', { source: 'baton', 'detail-type': 'TaskFailed' }, ['by kind', 'by source', 'by either', 'by absence']],
    ['a user', { source: 'baton', detail: { data: { userId: 'ada' } } }, ['by source', 'by user', 'by either']],
    ['nothing', {}, ['by absence']],
    ['several sources', { source: ['x', 'baton'] }, ['by source', 'by either', 'by absence']],
    [
      'several users',
      { source: 'baton', detail: { data: { userId: ['eve', 'ada'] } } },
      ['by source', 'by user', 'by either'],
    ],
    ['users in an array of objects', { source: 'x', detail: { data: [{ userId: 'bob' }] } }, ['by either']],
    ['a user by a name with dots', { source: 'x', 'detail.data': { userId: 'ada' } }, ['by either']],
    [
      'one user nested, one by a name with dots',
      { source: 'x', detail: { data: { userId: 'eve' }, 'data.userId': 'ada' } },
      ['by either'],
    ],
    [
      'an element of both',
      { source: 'aws.ecs', detail: { containers: [{ name: 'agent', exitCode: 0 }] } },
      ['by container', 'by absence'],
    ],
    [
      'two elements of one each',
      { source: 'aws.ecs', detail: { containers: [{ name: 'agent' }, { exitCode: 0 }] } },
      ['by absence'],
    ],
    ['an address in another spelling', { detail: { address: '0::1' } }, ['by absence', 'by address']],
  ])('finds the rules of an event with %s, in their order', (_, event, names) => {
    expect(index(event)).toEqual(names);
  });

  it('forgets the event before', () => {
    expect(index({ source: 'baton' })).toContain('by source');
    expect(index({ detail: { data: { userId: 'eve' } } })).toEqual([]);
  });

  it('of a pattern that EventBridge refuses is not made', () => {
    expect(() => indexOf({ wrong: { source: [] } })).toThrow(expect.objectContaining({ code: 'invalid_pattern' }));
  });
});
