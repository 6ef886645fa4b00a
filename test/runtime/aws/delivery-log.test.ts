import { beforeAll, describe, expect, test } from '@jest/globals';
import { screeningBlocked } from '../../../events/screening-blocked.ts';
import { admitTask } from '../../../rules/admit-task.ts';
import { screenTask } from '../../../rules/screen-task.ts';
import { startRunOnEcs } from '../../../rules/start-run-on-ecs.ts';
import { type DeliveryLog, deliveryLog } from '../../../runtime/aws/delivery-log.ts';
import { logJournal } from '../../../runtime/aws/log-journal.ts';
import { BatonError } from '../../../runtime/errors.ts';
import { noteEvents } from '../../../runtime/published.ts';
import { aCause, aTask, at } from '../../builders.ts';

let log: DeliveryLog;
beforeAll(() => {
  process.env['POWERTOOLS_LOG_LEVEL'] = 'SILENT';
  log = deliveryLog(admitTask);
});

describe('an error that leaves a function', () => {
  test('is told by name, message and cause alone: Lambda logs every other property', () => {
    const cause = new Error('below');
    const foreign = Object.assign(new TypeError('no such thing', { cause }), { Item: { value: 'a stored record' } });
    const told = log.failed(foreign);
    expect(told).toMatchObject({ name: 'TypeError', message: 'no such thing', stack: foreign.stack, cause });
    expect(Object.keys(told)).toEqual(['name']);
  });

  test('stays what it is when it is one of ours', () => {
    const ours = new BatonError('contention', 'too many at once');
    expect(log.failed(ours)).toBe(ours);
  });

  test('says what did not fit when it is the parser that refused the event', () => {
    const refused = Object.assign(new Error('Failed to parse schema'), { name: 'ParseError' });
    refused.cause = [
      { path: ['detail', 'data'], message: 'is not there' },
      { path: [], message: 'is too old' },
    ];
    expect(log.failed(refused)).toMatchObject({
      code: 'malformed_event',
      message: 'detail.data: is not there; is too old',
    });
  });
});

describe('the journal of a delivery', () => {
  const cause = aCause();

  test('calls it moved when nothing was noted', () => {
    expect(logJournal().outcome(0)).toBe('moved');
  });

  test('tells a duplicate from one whose facts were published again', () => {
    const journal = logJournal();
    journal.duplicate('t', cause);
    expect([journal.outcome(0), journal.outcome(1)]).toEqual(['duplicate', 'already']);
  });

  test('tells a refusal, with its reason, from a replay that is ignored', () => {
    const refused = logJournal();
    refused.ignored('t', cause, 'task_has_moved_on');
    expect([refused.outcome(0), refused.reasons()]).toEqual(['refused', ['task_has_moved_on']]);
    const replayed = logJournal();
    replayed.ignored('t', cause, 'replay');
    expect(replayed.outcome(0)).toBe('ignored');
  });
});

// G5: whoever watches the metrics tells an attack from a guardrail that does not answer.
describe('a text that was blocked', () => {
  const told = (outcome: 'blocked' | 'failed') => {
    const counted: string[] = [];
    const screened = deliveryLog(screenTask);
    screened.metrics.addMetric = (name) => {
      counted.push(name);
      return screened.metrics;
    };
    const task = aTask({ status: 'FAILED' });
    const fact = screeningBlocked.of({ of: 'request', outcome, findings: [] });
    screened.handled(logJournal(), noteEvents(task, [{ id: 'blocked', fact }], aCause(), at(0)));
    return counted;
  };

  test('is counted, and besides where nobody could look', () => {
    expect(told('blocked')).toEqual(['Moved', 'Published', 'ScreeningBlocked']);
    expect(told('failed')).toEqual(['Moved', 'Published', 'ScreeningBlocked', 'ScreeningFailed']);
  });
});

// Nobody else is told that a task cannot start.
describe('a start that is put off', () => {
  const told = (reason: string) => {
    const counted: string[] = [];
    const start = deliveryLog(startRunOnEcs);
    start.metrics.addMetric = (name) => {
      counted.push(name);
      return start.metrics;
    };
    const journal = logJournal();
    journal.ignored('t', aCause(), reason);
    start.handled(journal, []);
    return counted;
  };

  test('is counted, and one that was refused for another reason is not', () => {
    expect(told('definition_is_not_ready: Rate exceeded')).toEqual(['Refused', 'StartDelayed']);
    expect(told('start_is_put_off: No worker')).toEqual(['Refused', 'StartDelayed']);
    expect(told('unknown status "Quiesced"')).toEqual(['Refused', 'UnknownStatus']);
    expect(told('task_has_moved_on')).toEqual(['Refused']);
  });
});
