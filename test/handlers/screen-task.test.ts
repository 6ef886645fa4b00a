import { describe, expect, it } from '@jest/globals';
import { admitTask } from '../../handlers/admit-task.ts';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { hydrateTask } from '../../handlers/hydrate-task.ts';
import { screenTask } from '../../handlers/screen-task.ts';
import { causalTree } from '../../lifecycle/causal-tree.ts';
import type { Screening } from '../../runtime/ports.ts';
import type { ScreenedText, ScreeningVerdict } from '../../schemas/screening.ts';
import type { Task } from '../../schemas/task.ts';
import { aRequest, aTask, aTaskId } from '../builders.ts';
import { aScene, latestEvent, typesOf } from './scene.ts';

/** Stands in every text that is screened here, and may stand nowhere else. */
const CANARY = 'canary-4711';
const ADDRESS = 'https://github.com/ada/engine/issues/7';

/** A screening that says this of every text, and remembers what it was asked. */
function aScreening(verdict: ScreeningVerdict) {
  const asked: { taskId: string; of: ScreenedText; text: string }[] = [];
  const screening: Screening = {
    async screen(what) {
      asked.push(what);
      return verdict;
    },
  };
  return { screening, asked };
}

/** The event that a transition of the task has just told, as `accept` and `fetch-context` tell it. */
const told = (task: Task, type: 'TaskSubmitted' | 'ContextFetched') => {
  const [entry] = task.history.slice(-1);
  if (!entry) throw new Error('a task has a history');
  const facts = [{ id: `${task.taskId}#${task.version}#${type}`, type, schemaVersion: 1, data: {} }];
  return latestEvent({ ...task, history: [{ ...entry, version: task.version, facts }] } as Task);
};

/** A task of which one text awaits screening. */
async function sceneOf(of: ScreenedText) {
  const scene = aScene();
  const promptRef = await scene.payloads.put(aTaskId(), `Mend the roof. ${CANARY}`);
  const contextRef = await scene.payloads.put(aTaskId(), `The roof leaks. ${CANARY}`);
  const task =
    of === 'request'
      ? await scene.has(aTask({ status: 'SUBMITTED', promptRef, screening: 'required' }))
      : await scene.has(
          aTask({
            status: 'ADMITTED',
            promptRef,
            screening: 'required',
            screened: ['request'],
            context: ADDRESS,
            contextRef,
          }),
        );
  return { scene, task, event: told(task, of === 'request' ? 'TaskSubmitted' : 'ContextFetched') };
}

const BLOCKED: ScreeningVerdict = {
  outcome: 'blocked',
  findings: [{ policy: 'content', filter: 'PROMPT_ATTACK', confidence: 'MEDIUM' }],
};

// G2: both texts are screened, each before anything acts on it.
describe.each([
  { of: 'request', status: 'SUBMITTED', text: `Mend the roof. ${CANARY}`, next: admitTask, answers: ['TaskAdmitted'] },
  {
    of: 'context',
    status: 'ADMITTED',
    text: `The roof leaks. ${CANARY}`,
    next: hydrateTask,
    answers: ['TaskHydrated'],
  },
] as const)('a task whose $of awaits screening', ({ of, status, text, next, answers }) => {
  it('goes no further without it', async () => {
    const { scene, event } = await sceneOf(of);
    expect(await scene.deliver(next, event)).toEqual([]);
    expect((await scene.task())?.status).toBe(status);
  });

  it('has exactly that text screened, and goes on when it passes', async () => {
    const { scene, event } = await sceneOf(of);
    const { screening, asked } = aScreening({ outcome: 'passed' });
    const [passed, ...more] = await scene.deliver(screenTask, event, { instead: { screening } });
    expect(asked).toEqual([{ taskId: aTaskId(), of, text }]);
    expect([passed?.['detail-type'], passed?.detail.data, more]).toEqual(['TaskScreened', { of }, []]);
    expect(await scene.task()).toMatchObject({ status, screened: expect.arrayContaining([of]) });
    if (!passed) throw new Error('nothing was told');
    expect(typesOf(await scene.deliver(next, passed))).toEqual(answers);
  });

  // G5
  it('ends when the guardrail finds something, and says which filter, how sure, and where', async () => {
    const { scene, event } = await sceneOf(of);
    const { screening } = aScreening(BLOCKED);
    const events = await scene.deliver(screenTask, event, { instead: { screening } });
    expect(typesOf(events)).toEqual(['ScreeningBlocked', 'TaskFailed']);
    expect(events[0]?.detail.data).toEqual({
      of,
      outcome: 'blocked',
      findings: [{ policy: 'content', filter: 'PROMPT_ATTACK', confidence: 'MEDIUM' }],
    });
    expect(await scene.task()).toMatchObject({
      status: 'FAILED',
      detectedBy: 'event',
      reason: { code: 'guardrail_blocked', message: expect.stringContaining('PROMPT_ATTACK (MEDIUM)') },
    });
  });

  // G3
  it('ends when nobody can screen it', async () => {
    const { scene, event } = await sceneOf(of);
    const { screening } = aScreening({ outcome: 'failed', message: 'ThrottlingException' });
    const events = await scene.deliver(screenTask, event, { instead: { screening } });
    expect(typesOf(events)).toEqual(['ScreeningBlocked', 'TaskFailed']);
    expect(events[0]?.detail.data).toEqual({ of, outcome: 'failed', findings: [], message: 'ThrottlingException' });
    expect(await scene.task()).toMatchObject({ status: 'FAILED', reason: { code: 'screening_failed' } });
    expect(await scene.record()).toBeUndefined();
  });

  it('stays where it is while screening throws, so that it is tried again', async () => {
    const { scene, event } = await sceneOf(of);
    const screening: Screening = { screen: () => Promise.reject(new Error('a defect')) };
    await expect(scene.deliver(screenTask, event, { instead: { screening } })).rejects.toThrow('a defect');
    expect((await scene.task())?.status).toBe(status);
  });

  it('ends when the text is gone', async () => {
    const { scene, event } = await sceneOf(of);
    await scene.payloads.forget(aTaskId());
    const { screening, asked } = aScreening({ outcome: 'passed' });
    await scene.deliver(screenTask, event, { instead: { screening } });
    expect(asked).toEqual([]);
    expect(await scene.task()).toMatchObject({ status: 'FAILED', reason: { code: 'screening_failed' } });
  });

  it.each([
    ['passes', { outcome: 'passed' } as const, [['TaskScreened'], [], []]],
    ['is blocked', BLOCKED, [['ScreeningBlocked', 'TaskFailed'], [], []]],
  ])('told three times, it %s once', async (_, verdict, expected) => {
    const { scene, event } = await sceneOf(of);
    const { screening } = aScreening(verdict);
    const told: string[][] = [];
    for (let n = 0; n < 3; n++) told.push(typesOf(await scene.deliver(screenTask, event, { instead: { screening } })));
    expect(told).toEqual(expected);
    expect((await scene.task())?.screened ?? []).toHaveLength(
      verdict.outcome === 'passed' ? (of === 'context' ? 2 : 1) : of === 'context' ? 1 : 0,
    );
  });

  it('is not screened by a replay', async () => {
    const { scene, event } = await sceneOf(of);
    const { screening, asked } = aScreening({ outcome: 'passed' });
    const replayed = { ...event, 'replay-name': 'yesterday' };
    expect(await scene.deliver(screenTask, replayed, { instead: { screening } })).toEqual([]);
    expect(asked).toEqual([]);
  });

  it.each([BLOCKED, { outcome: 'failed', message: 'down' } as const])(
    'ends as long as no run has it, though another delivery passed it meanwhile: $outcome',
    async (worse) => {
      const { scene, event } = await sceneOf(of);
      const told: string[] = [];
      const slow: Screening = {
        async screen() {
          const [passed] = await scene.deliver(screenTask, event, { instead: aScreening({ outcome: 'passed' }) });
          if (!passed) throw new Error('it did not pass');
          told.push(...typesOf(await scene.deliver(of === 'request' ? admitTask : hydrateTask, passed)));
          return worse;
        },
      };
      told.push(...typesOf(await scene.deliver(screenTask, event, { instead: { screening: slow } })));
      expect(told).toEqual([of === 'request' ? 'TaskAdmitted' : 'TaskHydrated', 'ScreeningBlocked', 'TaskFailed']);
      const task = await scene.task();
      expect(task?.status).toBe('FAILED');
      const unlinked = task && causalTree(task, []).unlinked.map(({ type }) => type);
      expect(unlinked).not.toContain('TextScreened');
    },
  );

  it('goes on where a run has it already', async () => {
    const { scene, event, task } = await sceneOf(of);
    const slow: Screening = {
      async screen() {
        await scene.has(aTask({ status: 'STARTING', version: task.version + 4 }));
        return BLOCKED;
      },
    };
    expect(await scene.deliver(screenTask, event, { instead: { screening: slow } })).toEqual([]);
    expect((await scene.task())?.status).toBe('STARTING');
    expect(scene.ignored).toEqual(['task_has_moved_on']);
  });

  it('that is cancelled while it is screened stays cancelled', async () => {
    const { scene, event } = await sceneOf(of);
    const screening: Screening = {
      async screen() {
        await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: aTaskId() }));
        return { outcome: 'passed' };
      },
    };
    expect(await scene.deliver(screenTask, event, { instead: { screening } })).toEqual([]);
    expect(scene.ignored).toEqual(['task_has_moved_on']);
    expect((await scene.task())?.status).toBe('CANCELLED');
  });

  it.each([BLOCKED, { outcome: 'failed', message: 'down' } as const, { outcome: 'passed' } as const])(
    'never says a word of the text: $outcome',
    async (verdict) => {
      const { scene, event } = await sceneOf(of);
      const { screening } = aScreening(verdict);
      const events = await scene.deliver(screenTask, event, { instead: { screening } });
      expect(events).not.toHaveLength(0);
      expect(JSON.stringify([events, await scene.task(), scene.ignored])).not.toContain(CANARY);
    },
  );
});

describe('a task that needs no screening', () => {
  it('is left alone', async () => {
    const scene = aScene();
    const task = await scene.has(aTask({ status: 'SUBMITTED' }));
    const { screening, asked } = aScreening({ outcome: 'passed' });
    expect(await scene.deliver(screenTask, told(task, 'TaskSubmitted'), { instead: { screening } })).toEqual([]);
    expect([asked, scene.ignored]).toEqual([[], ['needs_no_screening']]);
  });
});
