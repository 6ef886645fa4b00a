import { describe, expect, it } from '@jest/globals';
import { shortText, TEXT_MAX_CHARS } from '../../schemas/json.ts';
import { because, reasons, remedyFor } from '../../schemas/reason.ts';
import { leaseOf, parseLease } from '../../schemas/slot.ts';
import { statuses, task as taskSchema } from '../../schemas/task.ts';
import { aTask, aTaskId } from '../builders.ts';

describe('a task record', () => {
  it.each(statuses)('of status %s survives a JSON round trip', (status) => {
    const task = aTask({ status });
    expect(taskSchema.parse(JSON.parse(JSON.stringify(task)))).toEqual(task);
  });

  it.each([
    ['HYDRATED', 'input'],
    ['STARTING', 'run'],
    ['FINALIZING', 'exitCode'],
    ['STOPPING', 'intent'],
    ['STOPPING', 'reason'],
    ['COMPLETED', 'result'],
    ['FAILED', 'reason'],
    ['CANCELLED', 'endedAt'],
  ] as const)('of status %s is not valid without its %s', (status, field) => {
    const { [field]: _gone, ...rest } = aTask({ status }) as Record<string, unknown>;
    expect(taskSchema.safeParse(rest).success).toBe(false);
  });

  it('keeps fields of a newer version out of harm', () => {
    expect(taskSchema.safeParse({ ...aTask({ status: 'QUEUED' }), fromTheFuture: true }).success).toBe(true);
  });

  it('is not valid in a status that is not known', () => {
    expect(taskSchema.safeParse({ ...aTask({ status: 'QUEUED' }), status: 'ASLEEP' }).success).toBe(false);
  });
});

describe('a lease', () => {
  it('names task and attempt, and is read back', () => {
    expect(parseLease(leaseOf(aTaskId(), 12))).toEqual({ taskId: aTaskId(), attempt: 12 });
  });
});

describe('a reason', () => {
  it.each(Object.keys(reasons))('%s tells what to do next', (code) => {
    expect(remedyFor(code)).toMatch(/^[A-Z].*\.$/);
  });

  it('of the agent itself points to the log', () => {
    expect(remedyFor('its_own')).toContain('log');
  });

  it('without end is cut to what a fact may carry', () => {
    expect(because('killed', 'x'.repeat(9999)).message).toHaveLength(TEXT_MAX_CHARS);
    expect(shortText('short')).toBe('short');
  });
});
