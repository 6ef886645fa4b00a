import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { fetchContext } from '../../handlers/fetch-context.ts';
import { hydrateTask } from '../../handlers/hydrate-task.ts';
import { settleTask } from '../../handlers/settle-task.ts';
import { wakeTask } from '../../handlers/wake-task.ts';
import { BatonError, type ErrorCode } from '../../runtime/errors.ts';
import type { Contexts } from '../../runtime/ports.ts';
import { CONTEXT_MAX_BYTES, SCREENED_CONTEXT_MAX_BYTES } from '../../schemas/context-text.ts';
import { runPayload } from '../../schemas/run-payload.ts';
import { anEvent, aRequest, aTask, aTaskId, at, testTimings } from '../builders.ts';
import { aScene, latestEvent, typesOf } from './scene.ts';

const ADDRESS = 'https://github.com/ada/engine/pull/7';
const TEXT = 'The roof leaks, says the canary.';

/** What stands at every address, and which were asked for. */
function someContexts(...texts: string[]) {
  const asked: string[] = [];
  const contexts: Contexts = {
    async fetch(address) {
      asked.push(address);
      return { outcome: 'fetched', text: texts[asked.length - 1] ?? texts.at(-1) ?? '' };
    },
  };
  return { contexts, asked };
}

/** Nothing can be fetched, for this trouble. */
const throwing = (code: ErrorCode, options: { notBefore?: string } = {}): Contexts => ({
  fetch: () => Promise.reject(new BatonError(code, 'GitHub is down', options)),
});

async function sceneOfAnAdmitted(fields: Partial<ReturnType<typeof aTask<'ADMITTED'>>> = {}) {
  const scene = aScene();
  const promptRef = await scene.payloads.put(aTaskId(), 'Mend the roof.');
  const task = await scene.has(aTask({ status: 'ADMITTED', promptRef, context: ADDRESS, ...fields }));
  return { scene, task, event: latestEvent(task) };
}

const kept = async (scene: ReturnType<typeof aScene>): Promise<unknown[]> =>
  (await scene.store.list('PAYLOAD#', { limit: 10 })).map(({ value }) => value);

describe('an admitted task that names a text', () => {
  it('has it fetched and stored, and then its input prepared with it', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const { contexts, asked } = someContexts(TEXT);
    const [fetched, ...more] = await scene.deliver(fetchContext, event, { instead: { contexts } });
    expect(asked).toEqual([ADDRESS]);
    expect([fetched?.['detail-type'], more]).toEqual(['ContextFetched', []]);
    expect(fetched?.detail.data).toEqual({ source: ADDRESS, bytes: TEXT.length });
    if (!fetched) throw new Error('nothing was told');
    expect(typesOf(await scene.deliver(hydrateTask, fetched))).toEqual(['TaskHydrated']);
    const task = await scene.task();
    if (task?.status !== 'HYDRATED') throw new Error('expected a hydrated task');
    const payload = runPayload.parse(JSON.parse((await scene.payloads.get(task.input)) ?? ''));
    expect(payload.context).toEqual({ source: ADDRESS, text: TEXT });
  });

  it('has its input not prepared before', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    expect(await scene.deliver(hydrateTask, event)).toEqual([]);
    expect(scene.ignored).toEqual(['awaits_its_context']);
  });

  it('says that the text must pass screening where the task must', async () => {
    const { scene, event } = await sceneOfAnAdmitted({ screening: 'required', screened: ['request'] });
    const [fetched] = await scene.deliver(fetchContext, event, { instead: someContexts(TEXT) });
    expect(fetched?.detail.data).toMatchObject({ screening: 'required' });
  });

  it('never says a word of it', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const events = await scene.deliver(fetchContext, event, { instead: someContexts(TEXT) });
    expect(JSON.stringify([events, await scene.task()])).not.toContain('canary');
    expect(await kept(scene)).toContain(TEXT);
  });

  it('gets the beginning of a text that is too long, and is told so', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const [fetched] = await scene.deliver(fetchContext, event, {
      instead: someContexts('ü'.repeat(CONTEXT_MAX_BYTES)),
    });
    const text = String((await kept(scene)).find((one) => String(one).startsWith('ü')));
    expect(fetched?.detail.data).toMatchObject({ bytes: Buffer.byteLength(text) });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(CONTEXT_MAX_BYTES);
    expect(Buffer.byteLength(text)).toBeGreaterThan(CONTEXT_MAX_BYTES - 200);
    expect(text).toMatch(/^ü+\n\n\[The rest is left out: the text is longer than 1 MiB\.\]\n$/);
  });

  it('fails when the text is not to be had', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const contexts: Contexts = { fetch: async () => ({ outcome: 'unavailable', message: 'GitHub answers 404.' }) };
    expect(typesOf(await scene.deliver(fetchContext, event, { instead: { contexts } }))).toEqual(['TaskFailed']);
    expect(await scene.task()).toMatchObject({
      status: 'FAILED',
      reason: { code: 'context_unavailable', message: 'GitHub answers 404.' },
    });
  });

  it('waits for a passing trouble to pass', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const contexts: Contexts = { fetch: () => Promise.reject(new BatonError('service_throttled', 'slow down')) };
    expect(await scene.deliver(fetchContext, event, { instead: { contexts } })).toEqual([]);
    expect(await scene.task()).toMatchObject({ status: 'ADMITTED', delay: { at: at(0), message: 'slow down' } });
    expect(scene.ignored).toEqual(['context_unreachable: slow down']);
    const told = await scene.deliver(fetchContext, event, { tries: 2, instead: someContexts(TEXT) });
    expect(typesOf(told)).toEqual(['ContextFetched']);
  });

  it('asks again when its alarm rings, and not before the time that it was told', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const down = throwing('service_throttled', { notBefore: at(1_800) });
    await scene.deliver(fetchContext, event, { instead: { contexts: down } });
    const { due, taskId } = (await scene.task()) ?? aTask({ status: 'ADMITTED' });
    expect(Date.parse(due.step ?? '')).toBeGreaterThanOrEqual(Date.parse(at(1_800)));
    expect(Date.parse(due.step ?? '')).toBeLessThan(Date.parse(at(1_800 + testTimings.BACKOFF_FIRST_S)));
    expect(scene.armed).toContain(due.step);
    scene.pass(1_900);
    const again = await scene.deliver(wakeTask, anEvent(alarmRang.of({ taskId, at: at(1_900) })));
    expect(again).toContainEqual(event);
    expect(typesOf(await scene.deliver(fetchContext, event, { instead: someContexts(TEXT) }))).toEqual([
      'ContextFetched',
    ]);
    expect(await scene.task()).not.toHaveProperty('delay');
  });

  it('asks again within an hour, whatever it was told', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    await scene.deliver(fetchContext, event, {
      instead: { contexts: throwing('service_throttled', { notBefore: at(86_400) }) },
    });
    const { due } = (await scene.task()) ?? {};
    expect(Date.parse(due?.step ?? '')).toBeLessThan(Date.parse(at(3_600 + testTimings.BACKOFF_FIRST_S)));
  });

  it('waits longer and longer, and not too long', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const waits: number[] = [];
    let now = 0;
    for (let n = 0; n < 20; n++) {
      await scene.deliver(fetchContext, event, { instead: { contexts: throwing('service_unavailable') } });
      const next = (Date.parse((await scene.task())?.due.step ?? '') - Date.parse(at(0))) / 1000;
      waits.push(next - now);
      scene.pass(next - now);
      now = next;
    }
    expect(waits[0]).toBeLessThanOrEqual(testTimings.BACKOFF_FIRST_S);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(testTimings.BACKOFF_FIRST_S / 2);
    expect(Math.max(...waits)).toBeLessThanOrEqual(testTimings.BACKOFF_MAX_S);
    expect(Math.min(...waits.slice(-5))).toBeGreaterThanOrEqual(testTimings.BACKOFF_MAX_S / 2);
  });

  it('is out of time with the reason why it waited', async () => {
    const { scene, event, task } = await sceneOfAnAdmitted();
    await scene.deliver(fetchContext, event, { instead: { contexts: throwing('service_unavailable') } });
    scene.pass((Date.parse(task.deadlineAt) - Date.parse(at(0))) / 1000);
    await scene.deliver(wakeTask, anEvent(alarmRang.of({ taskId: task.taskId, at: task.deadlineAt })));
    expect(await scene.task()).toMatchObject({
      status: 'TIMED_OUT',
      reason: { code: 'timed_out', message: expect.stringContaining('could not be fetched: GitHub is down') },
    });
  });

  it.each(['store_closed', 'service_denied'] as const)(
    'is not put off for what does not pass by itself: %s',
    async (code) => {
      const { scene, event } = await sceneOfAnAdmitted();
      await expect(scene.deliver(fetchContext, event, { instead: { contexts: throwing(code) } })).rejects.toMatchObject(
        {
          code,
        },
      );
      expect(await scene.task()).not.toHaveProperty('delay');
    },
  );

  it('that moved on while GitHub kept silent is not put off', async () => {
    const { scene, event, task } = await sceneOfAnAdmitted();
    const contexts: Contexts = {
      async fetch() {
        await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: task.taskId }));
        throw new BatonError('service_unavailable', 'GitHub is down');
      },
    };
    expect(await scene.deliver(fetchContext, event, { instead: { contexts } })).toEqual([]);
    expect(await scene.task()).not.toHaveProperty('delay');
  });

  it('gets no more of a text than can be screened, where it must be', async () => {
    const { scene, event } = await sceneOfAnAdmitted({ screening: 'required', screened: ['request'] });
    await scene.deliver(fetchContext, event, { instead: someContexts('ü'.repeat(CONTEXT_MAX_BYTES / 2)) });
    const text = String((await kept(scene)).find((one) => String(one).startsWith('ü')));
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(SCREENED_CONTEXT_MAX_BYTES);
    expect(Buffer.byteLength(text)).toBeGreaterThan(SCREENED_CONTEXT_MAX_BYTES - 200);
    expect(text).toMatch(/\[The rest is left out: the text is longer than 256 KiB, and more cannot be screened/);
  });

  it('told three times fetches once for all of its attempts', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const { contexts, asked } = someContexts(TEXT, 'other words');
    const told: string[][] = [];
    for (let n = 0; n < 3; n++) told.push(typesOf(await scene.deliver(fetchContext, event, { instead: { contexts } })));
    expect(told).toEqual([['ContextFetched'], [], []]);
    expect(asked).toHaveLength(1);
    expect(await kept(scene)).toHaveLength(2);
  });

  it('told twice at once keeps the text of one, even if they found different words', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const instead = someContexts(TEXT, 'other words');
    const told = await Promise.all([
      scene.deliver(fetchContext, event, { instead }),
      scene.deliver(fetchContext, event, { instead }),
    ]);
    expect(told.flat()).toHaveLength(1);
    const { contextRef = '' } = (await scene.task()) ?? {};
    expect(await kept(scene)).toHaveLength(2);
    expect(await scene.payloads.get(contextRef)).toBeDefined();
  });

  it('is not fetched for by a replay', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const { contexts, asked } = someContexts(TEXT);
    await scene.deliver(fetchContext, { ...event, 'replay-name': 'yesterday' }, { instead: { contexts } });
    expect(asked).toEqual([]);
  });

  it('that is cancelled while its text is stored leaves none behind', async () => {
    const { scene, task, event } = await sceneOfAnAdmitted();
    const put: typeof scene.payloads.put = async (...asked) => {
      const ref = await scene.payloads.put(...asked);
      await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: task.taskId }));
      return ref;
    };
    const instead = { ...someContexts(TEXT), payloads: { ...scene.payloads, put } };
    await scene.deliver(fetchContext, event, { instead });
    expect((await scene.task())?.status).toBe('CANCELLED');
    expect(await kept(scene)).toEqual(['Mend the roof.']);
  });
});

describe('a fetch that died after storing the text', () => {
  it('and came back when the task had settled leaves no payload behind', async () => {
    const { scene, event, task } = await sceneOfAnAdmitted();
    await scene.payloads.put(task.taskId, 'the text that nobody named');
    await scene.has(aTask({ status: 'CANCELLED', settledAt: at(1), version: 9, context: ADDRESS }));
    await scene.deliver(fetchContext, event, { tries: 2, instead: someContexts(TEXT) });
    expect(await kept(scene)).toEqual([]);
  });

  it('and found other words the next time leaves none behind when the task settles', async () => {
    const { scene, event, task } = await sceneOfAnAdmitted();
    await scene.payloads.put(task.taskId, 'the text that nobody named');
    await scene.deliver(fetchContext, event, { tries: 2, instead: someContexts(TEXT) });
    const [ended] = await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: task.taskId }));
    if (!ended) throw new Error('the task did not end');
    await scene.deliver(settleTask, ended);
    expect(await kept(scene)).toEqual([]);
  });
});

describe('a task whose text was fetched before', () => {
  it('is left alone', async () => {
    const { scene, event } = await sceneOfAnAdmitted({ contextRef: 'known' });
    const { contexts, asked } = someContexts(TEXT);
    expect(await scene.deliver(fetchContext, event, { instead: { contexts } })).toEqual([]);
    expect([asked, scene.ignored]).toEqual([[], ['needs_no_context']]);
  });
});
