import { describe, expect, it } from '@jest/globals';
import { alarmEvent } from '../../../runtime/alarm-event.ts';
import { type DeadMessage, foundLetter } from '../../../runtime/aws/found-letter.ts';
import { deadLetterView } from '../../../schemas/world-api.ts';
import { aRequest, aTaskId, at } from '../../builders.ts';

const taskId = aTaskId();
const event = aRequest('TaskCancelRequested', { taskId, prompt: 'a secret wish' }, 'event-1');

const aMessage = (body: unknown, attributes: DeadMessage['attributes'] = {}): DeadMessage => ({
  messageId: 'message-1',
  body: typeof body === 'string' ? body : JSON.stringify(body),
  sentAtMs: Date.parse(at(60)),
  attributes,
});

describe('a dead letter', () => {
  it.each([
    [
      'that EventBridge could not hand over',
      aMessage(event, {
        RULE_ARN: 'arn:aws:events:us-east-1:000000000000:rule/baton/baton-cancel-task',
        ERROR_CODE: 'NO_PERMISSIONS',
        ERROR_MESSAGE: 'The queue refuses events.',
        RETRY_ATTEMPTS: '184',
      }),
      { tries: 185, error: { code: 'NO_PERMISSIONS', message: 'The queue refuses events.' } },
    ],
    [
      'that a function gave up at once',
      aMessage(event, { ERROR_CODE: 'malformed_event', ERROR_MESSAGE: 'detail is wrong', RETRY_ATTEMPTS: '0' }),
      { tries: 1, error: { code: 'malformed_event', remedy: expect.stringMatching(/Mend the producer/) } },
    ],
    [
      'that its queue gave up after a day',
      aMessage(event),
      { error: { code: 'tries_exhausted', remedy: expect.stringMatching(/log of the function/) } },
    ],
    [
      'of Lambda, whose function failed at each try',
      aMessage({
        version: '1.0',
        timestamp: '2026-01-01T00:00:30.000Z',
        requestContext: { requestId: 'r', condition: 'RetriesExhausted', approximateInvokeCount: 3 },
        requestPayload: event,
        responseContext: { statusCode: 200, functionError: 'Unhandled' },
        responsePayload: { errorType: 'service_denied', errorMessage: 'S3 GetObject: AccessDenied' },
      }),
      { tries: 3, at: '2026-01-01T00:00:30.000Z', error: { code: 'service_denied', message: expect.any(String) } },
    ],
    [
      'of Lambda, whose function was never asked',
      aMessage({
        requestContext: { condition: 'EventAgeExceeded', approximateInvokeCount: 0 },
        requestPayload: event,
        responsePayload: null,
      }),
      { error: { code: 'EventAgeExceeded' } },
    ],
  ])('%s is the event as it was, with its cause, age and task, and without its prompt', (_, message, told) => {
    const found = foundLetter(message, 'cancel-task');
    expect(JSON.parse(found.event ?? '')).toEqual(event);
    expect(deadLetterView.parse(found.view)).toMatchObject({
      id: 'message-1',
      rule: 'cancel-task',
      taskId,
      event: { id: 'event-1', 'detail-type': 'TaskCancelRequested' },
      at: at(60),
      ...told,
    });
    expect(JSON.stringify(found.view)).not.toContain('a secret wish');
  });

  it.each([
    ['as the message that it was to send', JSON.stringify(alarmEvent(taskId, at(0)))],
    [
      'as the call that it could not make',
      JSON.stringify({ QueueUrl: 'https://x/baton-alarms', MessageBody: JSON.stringify(alarmEvent(taskId, at(0))) }),
    ],
  ])('of Scheduler is the wake-up, kept %s', (_, body) => {
    const found = foundLetter(aMessage(body, { SCHEDULE_ARN: 'arn:s', ERROR_CODE: 'AccessDenied' }), 'wake-task');
    expect(JSON.parse(found.event ?? '')).toEqual(alarmEvent(taskId, at(0)));
    expect(found.view).toMatchObject({ taskId, error: { code: 'AccessDenied' } });
  });

  it.each(['{ broken', '"text"', '{}', 'null', '{"requestContext":{},"requestPayload":7}'])(
    'that holds no event (%s) says so, and has nothing to deliver',
    (body) => {
      const found = foundLetter(aMessage(body), 'cancel-task');
      expect(found.event).toBeUndefined();
      expect(deadLetterView.parse(found.view)).toMatchObject({ id: 'message-1', error: { code: 'no_event' } });
    },
  );

  it('whose event is as wrong as can be is shown all the same', () => {
    const wrong = { id: 'x', 'detail-type': 'Y', detail: { metadata: 7, data: null, startedBy: {} } };
    expect(deadLetterView.parse(foundLetter(aMessage(wrong), 'cancel-task').view)).not.toHaveProperty('taskId');
  });
});
