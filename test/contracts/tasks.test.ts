import { beforeEach, describe, expect, it } from '@jest/globals';
import { taskAdmitted } from '../../events/task-admitted.ts';
import { cancelTask } from '../../lifecycle/cancel.ts';
import { closeStop } from '../../lifecycle/close-stop.ts';
import { ignore, type Move, mark, repeat, step } from '../../lifecycle/move.ts';
import { hasRun, runOf } from '../../lifecycle/states.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import { taskKey } from '../../runtime/records.ts';
import { runsOver } from '../../runtime/runs.ts';
import { alarmId, tasksOver } from '../../runtime/tasks.ts';
import { because } from '../../schemas/reason.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import { aCause, aKnownRun, aTask, aTaskId, at, testTimings } from '../builders.ts';
import { onEveryStore } from './stores.ts';

const taskId = aTaskId();
const reason = because('cancelled', 'Enough.');
const admit = (task: Task): Move => step('admit', {}, [taskAdmitted.of({ slotKey: task.slotKey })]);
const rejection = (cause: string): Rejection => ({
  status: 'REJECTED',
  taskId,
  userId: 'ada',
  requestHash: 'hash',
  reason: { code: 'bad_request', message: 'no' },
  at: at(0),
  cause: aCause(cause),
});

/** The methods of a store, bound, so that one of them can be stood before. */
const methodsOf = (store: RecordStore): RecordStore => ({
  get: (key) => store.get(key),
  put: (...args) => store.put(...args),
  delete: (key) => store.delete(key),
  list: (...args) => store.list(...args),
  query: (options) => store.query(options),
  durable: () => store.durable(),
  close: () => store.close(),
});

onEveryStore((present) => {
  let seconds = 0;
  /** Alarms and writes in the order in which they were asked for. */
  let log: string[] = [];
  let store: RecordStore;
  beforeEach(() => {
    seconds = 0;
    log = [];
    store = { ...methodsOf(present.store), put };
  });

  function put(...args: Parameters<RecordStore['put']>): ReturnType<RecordStore['put']> {
    log.push(`put ${args[0].split('#')[0]}`);
    return present.store.put(...args);
  }
  function open(over: RecordStore = store) {
    const clock = { now: () => at(seconds) };
    const runs = runsOver({ store: over, clock, secret: () => 'secret' });
    const alarms = { arm: async (_taskId: string, when: string) => void log.push(`arm ${when}`) };
    return { tasks: tasksOver({ store: over, alarms, runs, clock, timings: () => testTimings }), runs };
  }
  const stored = async (): Promise<Task> => (await present.store.get(taskKey(taskId)))?.value as Task;
  async function has<T extends Task>(task: T): Promise<T> {
    await present.store.put(taskKey(taskId), task, 'any', { by: task.userId, at: task.submittedAt, open: true });
    return task;
  }

  describe('accepting', () => {
    // X7
    it('the same task a hundred times at once writes it once', async () => {
      const { tasks } = open();
      const task = aTask({ status: 'SUBMITTED' });
      const answers = await Promise.all(Array.from({ length: 100 }, () => tasks.accept(task)));
      expect(answers.filter(({ kind }) => kind === 'moved')).toHaveLength(1);
      expect(answers.filter((answer) => answer.kind === 'already' && !answer.reused)).toHaveLength(99);
    });

    it('another task under the same id is reported, and the first stands', async () => {
      const { tasks } = open();
      await tasks.accept(aTask({ status: 'SUBMITTED' }));
      const second = await tasks.accept(aTask({ status: 'SUBMITTED', requestHash: 'other' }));
      expect(second).toMatchObject({ kind: 'already', reused: true });
      expect((await stored()).requestHash).toBe('hash');
    });

    it('and rejecting at once leave one of them standing', async () => {
      const { tasks } = open();
      const [accepted, rejected] = await Promise.all([
        tasks.accept(aTask({ status: 'SUBMITTED' })),
        tasks.reject(rejection('cause-1')),
      ]);
      expect([accepted.kind === 'moved', rejected.kind === 'said']).toContain(false);
      expect([accepted.kind === 'moved', rejected.kind === 'said']).toContain(true);
    });

    it('sets the alarm clock before it writes', async () => {
      await open().tasks.accept(aTask({ status: 'SUBMITTED' }));
      expect(log).toEqual([`arm ${at(20)}`, 'put TASK']);
    });

    it('lists the task by its user, as open', async () => {
      await open().tasks.accept(aTask({ status: 'SUBMITTED' }));
      expect(await present.store.query({ by: 'ada', open: true, limit: 9 })).toHaveLength(1);
    });
  });

  describe('a rejection', () => {
    it('stands, and is no task', async () => {
      const { tasks } = open();
      expect((await tasks.reject(rejection('cause-1'))).kind).toBe('said');
      expect(await tasks.get(taskId)).toBeUndefined();
      expect(await tasks.accept(aTask({ status: 'SUBMITTED' }))).toMatchObject({
        kind: 'already',
        outcome: { kind: 'refused', reason: 'rejected_before' },
      });
    });

    it('tells the same request from another', async () => {
      const { tasks } = open();
      await tasks.reject(rejection('cause-1'));
      expect(await tasks.reject(rejection('cause-1'))).toMatchObject({ reason: 'rejected_already' });
      expect(await tasks.reject(rejection('cause-2'))).toMatchObject({ reason: 'answered_already' });
    });
  });

  describe('deciding', () => {
    it('a step moves the task and hands over its facts as stored', async () => {
      const task = await has(aTask({ status: 'SUBMITTED' }));
      const outcome = await open().tasks.decide(taskId, aCause('slot'), admit);
      expect(outcome).toMatchObject({
        kind: 'moved',
        events: [
          {
            id: `${taskId}#2#TaskAdmitted`,
            detail: { metadata: { version: 2, causationId: 'slot', correlationId: task.correlationId } },
          },
        ],
      });
      expect((await stored()).status).toBe('ADMITTED');
    });

    it('the same cause twice moves once, and knows what it said', async () => {
      await has(aTask({ status: 'SUBMITTED' }));
      const { tasks } = open();
      const first = await tasks.decide(taskId, aCause('slot'), admit);
      const second = await tasks.decide(taskId, aCause('slot'), admit);
      expect(second.kind).toBe('already');
      expect(second).toMatchObject({ committedAt: at(0), events: 'events' in first ? first.events : [] });
    });

    it('the same cause fifty times at once moves once', async () => {
      await has(aTask({ status: 'SUBMITTED' }));
      const { tasks } = open();
      const outcomes = await Promise.all(Array.from({ length: 50 }, () => tasks.decide(taskId, aCause('slot'), admit)));
      expect(outcomes.filter(({ kind }) => kind === 'moved')).toHaveLength(1);
      expect((await stored()).version).toBe(2);
    });

    it('a step of which only the answer was lost, and another wrote since, is told as made', async () => {
      await has(aTask({ status: 'SUBMITTED' }));
      let first = true;
      const forgetful: RecordStore = {
        ...methodsOf(present.store),
        put: async (...words) => {
          const written = await put(...words);
          if (!first || !words[0].startsWith('TASK#')) return written;
          first = false;
          await open().tasks.decide(taskId, aCause('another'), () => mark({ due: { deadline: at(50) } }));
          return { outcome: 'conflict', current: await present.store.get(words[0]), unsure: true };
        },
      };
      const outcome = await open(forgetful).tasks.decide(taskId, aCause('slot'), admit);
      expect(outcome).toMatchObject({ kind: 'moved', events: [{ id: `${taskId}#2#TaskAdmitted` }] });
      expect((await stored()).version).toBe(2);
    });

    it('by many at once loses no change', async () => {
      await has(aTask({ status: 'RUNNING' }));
      const { tasks } = open();
      await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          tasks.decide(taskId, aCause(`stop-${n}`), (task) => {
            const run = runOf(task);
            return run ? mark({ run: { ...run, stopRequests: (run.stopRequests ?? 0) + 1 } }) : ignore('no_run');
          }),
        ),
      );
      expect(runOf(await stored())?.stopRequests).toBe(20);
    });

    it('looks again at what another wrote, and gives up in the end', async () => {
      const task = await has(aTask({ status: 'RUNNING' }));
      let looks = 0;
      const decision = (): Move => mark({ due: { deadline: at(++looks) } });
      const writtenByAnother: RecordStore = {
        ...store,
        put: async (...args) => {
          await present.store.put(taskKey(taskId), task, 'any');
          return present.store.put(...args);
        },
      };
      await expect(open(writtenByAnother).tasks.decide(taskId, aCause(), decision)).rejects.toMatchObject({
        code: 'contention',
        retry: 'soon',
      });
      expect(looks).toBe(32);
    });

    it('a mark never raises the version', async () => {
      await has(aTask({ status: 'RUNNING' }));
      await open().tasks.decide(taskId, aCause(), () => mark({ run: aKnownRun({ stopRequests: 7 }) }));
      expect(await stored()).toMatchObject({ version: 5, run: { stopRequests: 7 } });
    });

    it('nothing writes nothing', async () => {
      await has(aTask({ status: 'RUNNING' }));
      const { tasks } = open();
      expect(await tasks.decide(taskId, aCause(), () => ignore('stale'))).toMatchObject({
        kind: 'refused',
        reason: 'stale',
      });
      expect(await tasks.decide(taskId, aCause(), () => repeat([]))).toMatchObject({ kind: 'already' });
      expect(log).toEqual([]);
    });

    it('about a task that nobody knows is refused', async () => {
      expect(await open().tasks.decide(taskId, aCause(), admit)).toEqual({ kind: 'refused', reason: 'unknown_task' });
    });

    it('is kept over a restart', async () => {
      await has(aTask({ status: 'SUBMITTED' }));
      await open().tasks.decide(taskId, aCause('slot'), admit);
      await present.store.durable();
      const reopened = await present.reopen();
      const again = await open(reopened).tasks.decide(taskId, aCause('slot'), admit);
      expect(again).toMatchObject({ kind: 'already', task: { status: 'ADMITTED' } });
    });
  });

  describe('the alarm clock', () => {
    it('is set before the step is written', async () => {
      await has(aTask({ status: 'SUBMITTED' }));
      await open().tasks.decide(taskId, aCause('slot'), admit);
      expect(log).toEqual([`arm ${at(20)}`, 'put TASK']);
      expect((await stored()).armedAt).toBe(at(20));
    });

    it('that cannot be set leaves the task as it was', async () => {
      const task = await has(aTask({ status: 'SUBMITTED' }));
      const clock = { now: () => at(0) };
      const alarms = { arm: () => Promise.reject(new Error('no clock')) };
      const runs = runsOver({ store, clock, secret: () => 's' });
      const tasks = tasksOver({ store, alarms, runs, clock, timings: () => testTimings });
      await expect(tasks.decide(taskId, aCause(), admit)).rejects.toThrow('no clock');
      expect(await stored()).toEqual(task);
    });

    it('is not set again when it rings early enough', async () => {
      await has(aTask({ status: 'SUBMITTED', armedAt: at(5) }));
      await open().tasks.decide(taskId, aCause('slot'), admit);
      expect(log).toEqual(['put TASK']);
    });

    it('that is a little late is not set again by everybody who meets it on its way', async () => {
      await has(aTask({ status: 'RUNNING', armedAt: at(20) }));
      seconds = 21;
      const { tasks } = open();
      for (let number = 0; number < 20; number++) {
        await tasks.decide(taskId, aCause(`news-${number}`), () => ignore('nothing_new'));
      }
      expect(log).toEqual([]);
    });

    it('that is late by more than a retry takes to come is set again: who wrote last may have ended before it rang', async () => {
      await has(aTask({ status: 'RUNNING', armedAt: at(20) }));
      seconds = 20 + testTimings.REPUBLISH_AGE_S;
      await open().tasks.decide(taskId, aCause('news'), () => ignore('nothing_new'));
      expect(log).toEqual([`arm ${at(20)}`]);
    });

    it('whose time came before the write that it was set for is set again at once', async () => {
      await has(aTask({ status: 'SUBMITTED' }));
      const slow = {
        ...methodsOf(present.store),
        put: (...words: Parameters<RecordStore['put']>) => {
          seconds = 25;
          return put(...words);
        },
      };
      await open(slow).tasks.decide(taskId, aCause('slot'), admit);
      expect(log).toEqual([`arm ${at(20)}`, 'put TASK', `arm ${at(20)}`]);
    });

    it('is set again when it has rung, also when nothing was due', async () => {
      await has(aTask({ status: 'RUNNING', armedAt: at(20) }));
      seconds = 20;
      await open().tasks.decide(taskId, { id: alarmId(taskId, at(20)), type: 'AlarmRang' }, () =>
        ignore('nothing_is_due'),
      );
      expect(log).toEqual([`arm ${at(3600)}`, 'put TASK']);
      expect(await stored()).toMatchObject({ version: 5, armedAt: at(3600) });
    });

    it("that rang for somebody else's time sets nothing", async () => {
      await has(aTask({ status: 'RUNNING', armedAt: at(3600) }));
      await open().tasks.decide(taskId, { id: alarmId(taskId, at(20)), type: 'AlarmRang' }, () =>
        ignore('nothing_is_due'),
      );
      expect(log).toEqual([]);
    });
  });

  describe('the record of a run', () => {
    it('forbids claims once the task is stopping', async () => {
      const { tasks, runs } = open();
      await has(aTask({ status: 'RUNNING' }));
      await runs.open(taskId, 1);
      await tasks.decide(taskId, aCause('cancel'), (task) => cancelTask(task, reason));
      expect(await runs.get(taskId, 1)).toMatchObject({ noClaim: true });
      expect((await runs.get(taskId, 1))?.closed).toBeUndefined();
    });

    // Promise 3: nothing of the old attempt counts once a next one may be admitted.
    it('is closed before the stop is', async () => {
      const { tasks, runs } = open();
      const ended = { at: at(1), proof: 'proven' as const };
      await has(aTask({ status: 'STOPPING', intent: 'lost', run: aKnownRun({ ended }) }));
      await runs.open(taskId, 1);
      log = [];
      await tasks.decide(taskId, aCause('ended'), (task, record) =>
        closeStop(task, record, at(1), testTimings, 'event'),
      );
      expect(log.filter((entry) => entry.startsWith('put'))).toEqual(['put RUN', 'put TASK']);
      expect(await runs.get(taskId, 1)).toMatchObject({ noClaim: true, closed: true });
    });

    it('is read for the decision, of the current attempt only', async () => {
      const { tasks, runs } = open();
      await has(aTask({ status: 'RUNNING' }));
      await runs.open(taskId, 1);
      let seen: number | undefined;
      await tasks.decide(taskId, aCause(), (task, record) => {
        seen = record?.attempt;
        expect(hasRun(task)).toBe(true);
        return ignore('just_looking');
      });
      expect(seen).toBe(1);
    });
  });
});
