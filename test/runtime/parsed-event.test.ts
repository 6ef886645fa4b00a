import { describe, expect, it } from '@jest/globals';
import { runReported } from '../../events/run-reported.ts';
import { taskRequested } from '../../events/task-requested.ts';
import { taskSubmitted } from '../../events/task-submitted.ts';
import { workerRegistered } from '../../events/worker-registered.ts';
import { parsedEvent } from '../../runtime/parsed-event.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { anArn, aRequest, aTaskId } from '../builders.ts';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const requested = (metadata: unknown, source = 'baton.request'): Envelope => ({
  ...aRequest('TaskRequested', { repository: '/srv/r', prompt: 'p' }),
  source,
  detail: { metadata, data: { repository: '/srv/r', prompt: 'p' } },
});
const metadataOf = (event: Envelope): unknown =>
  (parsedEvent(event, [taskRequested]).detail as { metadata?: unknown }).metadata;

describe('what an event from outside says about itself', () => {
  it('is taken where it fits', () => {
    const said = { id: 'wish-1', correlationId: 'c', traceparent: TRACE };
    expect(metadataOf(requested(said))).toEqual(said);
  });

  it.each([
    ['longer than it may be', { id: 'wish-1', correlationId: 'c'.repeat(500_000) }, { id: 'wish-1' }],
    ['no trace context', { traceparent: 'x'.repeat(300_000) }, {}],
    ['of another type', { id: 7, attempt: 'one', correlationId: 'c' }, { correlationId: 'c' }],
    ['unknown', { galaxy: 'far away' }, {}],
    ['no object', 'a text', {}],
  ])('counts as not said where it is %s', (_, said, kept) => {
    expect(metadataOf(requested(said))).toEqual(kept);
  });

  it('does not choose the id of its wish where it asks in one name only', () => {
    expect(metadataOf(requested({ id: 'somebody-elses', correlationId: 'c' }, 'baton.request.bob'))).toEqual({
      correlationId: 'c',
    });
  });

  it('does not choose the id of what a runner says: it could take that of a fact, or of an alarm', () => {
    const data = { taskId: aTaskId(), attempt: 2, nativeId: anArn(), seq: 7 };
    const metadata = { id: `${aTaskId()}#3#TaskAdmitted`, taskId: aTaskId(), correlationId: 'c' };
    const word: Envelope = {
      ...requested(metadata, 'baton.agent'),
      'detail-type': 'RunReported',
      detail: { metadata, data },
    };
    const { detail } = parsedEvent(word, [runReported]);
    expect(detail).toEqual({ metadata: { ...metadata, id: `${anArn()}#2#7` }, data });
  });

  it('of a machine is called by the machine, which boots once', () => {
    const [one, other] = ['i-0abcdef1', 'i-0abcdef2'].map((worker) => {
      const word: Envelope = {
        ...requested({}, 'baton.agent'),
        'detail-type': 'WorkerRegistered',
        detail: { metadata: { id: 'a name of its own' }, data: { fleet: 'main', worker } },
      };
      return (parsedEvent(word, [workerRegistered]).detail as { metadata: { id: string } }).metadata.id;
    });
    expect([one, other]).toEqual(['i-0abcdef1#WorkerRegistered', 'i-0abcdef2#WorkerRegistered']);
  });

  it('is as it is when a handler says it', () => {
    const own: Envelope = { ...requested({ id: 'x', version: 3 }), source: 'baton', 'detail-type': 'TaskSubmitted' };
    expect(parsedEvent(own, [taskSubmitted])).toBe(own);
  });
});
