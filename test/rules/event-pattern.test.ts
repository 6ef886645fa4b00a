import { describe, expect, it } from '@jest/globals';
import { type EventPattern, eventPatternOf } from '../../rules/event-pattern.ts';
import { observeEcsTask } from '../../rules/observe-ecs-task.ts';
import { settleTask } from '../../rules/settle-task.ts';
import { startRunOnEcs } from '../../rules/start-run-on-ecs.ts';
import { takeProgress } from '../../rules/take-progress.ts';
import { compilePattern } from '../../runtime/matcher.ts';
import { whyInvalid } from '../../runtime/pattern-validity.ts';
import { anEcsTask } from '../builders.ts';

describe('the EventBridge pattern of a rule', () => {
  it('names source and type of what the rule is on', () => {
    expect(eventPatternOf(takeProgress)).toEqual({ source: ['baton.agent'], 'detail-type': ['RunProgressed'] });
  });

  it('names each source once', () => {
    expect(eventPatternOf(settleTask).source).toEqual(['baton']);
    expect(eventPatternOf(settleTask)['detail-type']).toContain('TaskCompleted');
  });

  it('chooses a back end by what the fact says', () => {
    expect(eventPatternOf(startRunOnEcs).detail).toEqual({ data: { compute: ['ecs'] } });
  });
});

describe('what ECS says', () => {
  const { detail } = eventPatternOf(observeEcsTask);
  const isHeard = (fields: Parameters<typeof anEcsTask>[0]): boolean =>
    detail !== undefined && compilePattern(detail)(anEcsTask(fields));

  it.each([
    ['of a run that runs', {}, true],
    ['of a run that stopped', { lastStatus: 'STOPPED' }, true],
    ['of a run that is warned', { lastStatus: 'RUNNING', stopCode: 'SpotInterruption' }, true],
    ['of a run on its way down', { lastStatus: 'DEACTIVATING', stopCode: 'SpotInterruption' }, false],
    ['of a run on its way up', { lastStatus: 'PENDING' }, false],
    ["of somebody else's task", { startedBy: 'ecs-svc/1' }, false],
  ])('%s is heard: %p', (_, fields, heard) => {
    expect(isHeard(fields)).toBe(heard);
  });
});

describe('settling', () => {
  const { detail } = eventPatternOf(settleTask);
  const hears = (data: object): boolean => detail !== undefined && compilePattern(detail)({ data });

  it('hears the end of a task, and the end of the compute of an ended task', () => {
    expect(hears({ result: {} })).toBe(true);
    expect(hears({ status: 'COMPLETED' })).toBe(true);
  });

  it('leaves the end of compute in STOPPING to who closes the stop', () => {
    expect(hears({ status: 'STOPPING' })).toBe(false);
  });
});

describe('the pattern of a rule', () => {
  it('may use every operator of EventBridge', () => {
    const pattern: EventPattern = {
      a: ['x', 1, true, null, { prefix: 'x' }, { suffix: 'x' }, { 'equals-ignore-case': 'x' }, { wildcard: 'x*' }],
      b: [{ prefix: { 'equals-ignore-case': 'x' } }, { suffix: { 'equals-ignore-case': 'x' } }, { exists: false }],
      c: [{ numeric: ['=', 1] }, { numeric: ['>', 1, '<=', 2] }, { cidr: '10.0.0.0/8' }, { 'anything-but': [1, 2] }],
      d: [{ 'anything-but': { prefix: 'x' } }, { 'anything-but': { wildcard: ['x*', '*y'] } }],
      $or: [{ e: ['x'] }, { f: { g: ['y'] } }],
    };
    expect(whyInvalid(pattern)).toBeUndefined();
  });

  it('does not compile with the commonest mistakes', () => {
    const mistakes: EventPattern[] = [
      // @ts-expect-error A leaf is a list.
      { a: 'x' },
      // @ts-expect-error Texts have prefixes.
      { a: [{ prefix: 1 }] },
    ];
    for (const pattern of mistakes) expect(whyInvalid(pattern)).toBeDefined();
  });
});
