import { describe, expect, it } from '@jest/globals';
import { follower, isOverFor, type News } from '../../cli/follow.ts';
import { eventIn, type HeardEvent, type WorldClient } from '../../cli/world-client.ts';
import { BatonError } from '../../runtime/errors.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import { aView, later, stepsTo } from './a-view.ts';

/** A world that gives one view after the other, and then the last for ever; an error is thrown. */
function aWorld(views: (TaskView | Error)[], events: HeardEvent[] = []): WorldClient {
  const refuse = () => Promise.reject(new Error('not asked for'));
  return {
    url: 'http://127.0.0.1:1',
    facts: refuse,
    submit: refuse,
    tasks: refuse,
    explain: refuse,
    cancel: refuse,
    log: refuse,
    repositories: refuse,
    repository: refuse,
    configure: refuse,
    workers: refuse,
    deadLetters: refuse,
    replays: { start: refuse, view: refuse, cancel: refuse },
    redrive: refuse,
    task: async () => {
      const view = views.length > 1 ? views.shift() : views[0];
      if (view === undefined || view instanceof Error) throw view ?? new Error('no view');
      return view;
    },
    async *events() {
      yield* events;
    },
  };
}

const SUBMITTED = aView({ history: stepsTo('SUBMITTED') });
const RUNNING = aView({ history: stepsTo('SUBMITTED', 'ADMITTED', 'RUNNING') });
const COMPLETED = aView({
  history: stepsTo('SUBMITTED', 'ADMITTED', 'RUNNING', 'COMPLETED'),
  settled: true,
  endedAt: later(3000),
});

const progress = (seq: number, text: string, ms: number): HeardEvent => ({
  id: `p${seq}`,
  source: 'baton.agent',
  'detail-type': 'RunProgressed',
  time: later(ms),
  detail: { data: { taskId: RUNNING.taskId, attempt: 1, seq, text } },
});

const told = (news: News[]): string[] => news.map((one) => (one.kind === 'step' ? one.step.to : one.text));

describe('following a task', () => {
  it('tells every step once, whoever is asked, and answers the end', async () => {
    const news: News[] = [];
    const following = follower(SUBMITTED, (one) => news.push(one));
    const gone = new BatonError('no_world', 'gone');
    await expect(following.follow(aWorld([RUNNING, gone]), isOverFor(0))).rejects.toBe(gone);
    expect(await following.follow(aWorld([RUNNING, COMPLETED]), isOverFor(0))).toEqual(COMPLETED);
    expect(told(news)).toEqual(['SUBMITTED', 'ADMITTED', 'RUNNING', 'COMPLETED']);
  });

  it('tells progress in its place, and what comes twice once', async () => {
    const news: News[] = [];
    const heard = [progress(1, 'reading', 2100), progress(1, 'reading', 2100), progress(2, 'writing', 2200)];
    await follower(RUNNING, (one) => news.push(one)).follow(aWorld([RUNNING, COMPLETED], heard), isOverFor(0));
    expect(told(news)).toEqual(['SUBMITTED', 'ADMITTED', 'RUNNING', 'reading', 'writing', 'COMPLETED']);
  });
});

describe('what is replayed', () => {
  it('is no news, even to who has just begun to look', async () => {
    const news: News[] = [];
    const heard = [
      { ...progress(1, 'long ago', 2100), 'replay-name': 'friday' },
      {
        ...progress(2, 'set off by that', 2100),
        detail: { ...progress(2, '', 0).detail, metadata: { replayOf: 'friday' } },
      },
      progress(3, 'now', 2200),
    ];
    await follower(RUNNING, (one) => news.push(one)).follow(aWorld([RUNNING, COMPLETED], heard), isOverFor(0));
    expect(told(news)).toEqual(['SUBMITTED', 'ADMITTED', 'RUNNING', 'now', 'COMPLETED']);
  });
});

describe('a block of server-sent events', () => {
  it('is an event, or nothing', () => {
    const event = progress(1, 'x', 0);
    expect(eventIn(`id: 1\nevent: RunProgressed\ndata: ${JSON.stringify(event)}`)).toEqual(event);
    expect(eventIn(': alive')).toBeUndefined();
    expect(eventIn('data: {"half":')).toBeUndefined();
  });
});
