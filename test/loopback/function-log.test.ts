import { describe, expect, it } from '@jest/globals';
import { functionLog } from './function-log.ts';

const line = (fields: object) =>
  JSON.stringify({
    message: 'handled',
    timestamp: '2026-01-01T00:00:00.000Z',
    rule: 'settle-task',
    taskId: 't1',
    event: 'TaskCompleted',
    causeId: 'cause-1',
    function_request_id: 'request-1',
    ...fields,
  });

describe("what functions say about a task's deliveries", () => {
  it('is counted where it was a duplicate, and kept where it was ignored', () => {
    const log = functionLog();
    log.take(line({ outcome: 'moved' }));
    log.take(line({ outcome: 'duplicate' }));
    log.take(line({ outcome: 'already' }));
    log.take(line({ outcome: 'refused', reasons: ['task_has_ended'] }));
    log.take(line({ taskId: 't2', outcome: 'duplicate' }));
    expect(log.journal('t1')).toEqual({
      duplicates: 2,
      ignored: [
        {
          at: '2026-01-01T00:00:00.000Z',
          cause: { id: 'cause-1', type: 'TaskCompleted' },
          reason: 'task_has_ended',
        },
      ],
    });
    expect(log.journal('t3')).toEqual({ duplicates: 0, ignored: [] });
  });

  it('names the error of an invocation that failed', () => {
    const log = functionLog();
    log.take(line({ message: 'failed', outcome: 'failed', error: { code: 'contention', message: 'too many' } }));
    expect(log.failure('request-1')).toEqual({ rule: 'settle-task', code: 'contention', message: 'too many' });
    expect(log.failure('request-2')).toBeUndefined();
  });

  it('is no matter when it is no line of ours', () => {
    const log = functionLog();
    for (const text of ['', 'Killed', '{"_aws":{}}', '{ broken']) expect(() => log.take(text)).not.toThrow();
  });
});
