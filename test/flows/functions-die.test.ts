import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../runtime/simulation/random.ts';
import { supervisorRecord } from '../../schemas/supervised-run.ts';
import type { TaskSummary, TaskView } from '../../schemas/task-view.ts';
import type { LoopbackWorld } from '../loopback/aws-on-loopback.ts';
import { onLoopback, openLoopbackScene } from './every-world.ts';
import { eventually, type FlowScene, insist, linesOf, lives } from './scene.ts';

const TASKS = 4;
/** Tasks that may run at the same time. */
const LIMIT = 2;
/** Another seed draws other moments; the machine's own pace draws along. */
const SEED = 'functions-die';
/** A function's process dies at this share of its calls to AWS, half of them before the call and half after it. */
const DEATHS_PER_CALL = 0.04;
/** Pause between two rounds of killing at any moment, in milliseconds, and the share of the processes that die in one. */
const ROUND_MS = 1_000;
const DEATHS_PER_ROUND = 0.08;
/** Killing ends after so long, in milliseconds, if more died than there are tasks; then what was given up is redriven, as by an operator, and all must end. */
const KILLING_MS = 10_000;
/** Pause between two looks whether all have settled, in milliseconds. */
const LOOK_MS = 250;
/** An operator looks through all dead-letter queues, which costs more than a look at the tasks. */
const LOOKS_PER_REDRIVE = 8;
/** The whole story, in milliseconds. */
const STORY_MAX_MS = 300_000;

onLoopback(() => {
  describe(`${TASKS} tasks on two back ends whose functions are killed at random moments while every event is delivered twice`, () => {
    it(
      'each reach one end with one terminal fact, and leave no slot, no process and no payload behind',
      async () => {
        const random = seededRandom(SEED);
        let killing = true;
        const scene = await openLoopbackScene({
          computes: ['agentcore', 'ecs'],
          limit: LIMIT,
          copies: 2,
          crowdedMs: 0,
          dieAt() {
            if (!killing || !random.chance(DEATHS_PER_CALL)) return undefined;
            return random.chance(0.5) ? 'before' : 'after';
          },
        });
        const deaths = () => scene.world.troubles().filter((trouble) => trouble.includes('Runtime.ExitError')).length;
        try {
          const starts = join(scene.folder, 'starts');
          const tally = join(scene.folder, 'tally');
          const expected = new Map<string, 'COMPLETED' | 'FAILED'>();
          const over = async () => expected.size === TASKS && (await scene.world.unsettled()) === 0;
          const killer = killRounds(over);
          const asked = Array.from({ length: TASKS }, async (_none, number) => {
            const fails = number % 5 === 3;
            const agent =
              `echo ${number} $BATON_PROMPT_FILE >> ${starts}; echo + >> ${tally}; sleep 0.2; echo - >> ${tally}; ` +
              (fails ? 'exit 3' : `echo ${number} > out.txt`);
            const compute = number % 2 === 0 ? 'agentcore' : 'ecs';
            const request = { idempotencyKey: `task-${number}`, compute } as const;
            const taskId = await insist(() => scene.submit(agent, request), STORY_MAX_MS);
            expected.set(taskId, fails ? 'FAILED' : 'COMPLETED');
          });
          await Promise.all(asked);
          await killer;
          let redriven = 0;
          let looks = 0;
          let left: TaskSummary[] = [];
          await eventually(
            async () => {
              await sleep(LOOK_MS);
              if (looks++ % LOOKS_PER_REDRIVE === 0) redriven += await scene.world.redrive();
              left = await scene.world.list({ settled: false });
              return left.length === 0 ? true : undefined;
            },
            () =>
              `all to settle after ${deaths()} deaths and ${redriven} redriven; ${JSON.stringify(left)}; ${scene.world.troubles().slice(-20).join('; ')}`,
            STORY_MAX_MS - KILLING_MS,
          );

          expect(deaths()).toBeGreaterThan(TASKS);
          for (const [taskId, status] of expected) {
            const task = await scene.world.view(taskId);
            expect({ taskId, status: task.status, ends: endsOf(task) }).toEqual({ taskId, status, ends: [status] });
            expect(terminalFactIds(scene, taskId)).toHaveLength(1);
          }
          expect(await scene.world.list()).toHaveLength(TASKS);
          // The prompt file lies in the run directory, so a line names its attempt: each was started once at most.
          const started = linesOf(starts);
          expect(new Set(started).size).toBe(started.length);
          expect(mostAtOnce(linesOf(tally))).toBeLessThanOrEqual(LIMIT);
          expect(await scene.world.record('SLOT#user:local')).toMatchObject({ holders: {}, waiters: {} });
          await eventually(async () => ((await scene.world.payloadCount()) === 0 ? true : undefined), 'no payload');
          expect(livingRuns(join(scene.folder, 'data', 'runs'))).toEqual([]);

          async function killRounds(isOver: () => Promise<boolean>): Promise<void> {
            const endsAtMs = Date.now() + KILLING_MS;
            // A busy machine makes fewer calls in that time, and has fewer deaths.
            while ((Date.now() < endsAtMs || deaths() <= TASKS) && !(await isOver())) {
              await sleep(ROUND_MS);
              scene.world.functions.killSome(random.next, DEATHS_PER_ROUND);
            }
            killing = false;
          }
        } finally {
          await scene.close();
        }
      },
      STORY_MAX_MS + 60_000,
    );
  });
});

const TERMINAL = ['COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT'];
const endsOf = ({ history }: TaskView): string[] => history.map(({ to }) => to).filter((to) => TERMINAL.includes(to));

const TERMINAL_FACTS = ['TaskCompleted', 'TaskFailed', 'TaskCancelled', 'TaskTimedOut'];

function terminalFactIds({ events }: FlowScene<LoopbackWorld>, taskId: string): string[] {
  const ids = events
    .filter((event) => event.source === 'baton' && TERMINAL_FACTS.includes(event['detail-type']))
    .map((event) => (event.detail as { metadata: { id: string; taskId: string } }).metadata)
    .filter((metadata) => metadata.taskId === taskId)
    .map(({ id }) => id);
  return [...new Set(ids)];
}

function mostAtOnce(tally: readonly string[]): number {
  let now = 0;
  let most = 0;
  for (const sign of tally) {
    now += sign === '+' ? 1 : -1;
    most = Math.max(most, now);
  }
  return most;
}

/** Supervisors and runners that still live. */
function livingRuns(runsDir: string): number[] {
  return readdirSync(runsDir).flatMap((run) => {
    const file = join(runsDir, run, 'supervisor.json');
    if (!existsSync(file)) return [];
    const { pid, childPid } = supervisorRecord.parse(JSON.parse(readFileSync(file, 'utf8')));
    return [pid, childPid].filter((one) => one !== undefined && lives(one));
  });
}
