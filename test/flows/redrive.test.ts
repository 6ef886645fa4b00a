import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { type DeadLetterView, deadLetterView, redriven } from '../../schemas/world-api.ts';
import { type CliScene, openCliScene } from '../cli/scene.ts';
import type { LoopbackWorld } from '../loopback/aws-on-loopback.ts';
import { REGION } from '../loopback/template.ts';
import { onLoopback, openLoopbackScene } from './every-world.ts';
import { eventually, type FlowScene } from './scene.ts';

/** The function whose process dies at each of its writes, until somebody mends it. */
const BROKEN = 'admit-task';
/** Seconds until a task's own alarm would bring it forward: nobody but the operator shall, however slow the machine is. */
const NO_ALARM_S = 600;

onLoopback(() => {
  let scene: FlowScene<LoopbackWorld>;
  let cli: CliScene;
  let isBroken = false;
  beforeAll(async () => {
    scene = await openLoopbackScene({
      timings: { STEP_RETRY_S: NO_ALARM_S },
      dieAt({ caller, name }) {
        if (!isBroken || name !== 'dynamodb.PutItem') return undefined;
        return scene.world.functions.functionOf(caller)?.endsWith(`-${BROKEN}`) ? 'before' : undefined;
      },
    });
    cli = openCliScene();
  });
  afterAll(async () => {
    await cli.close();
    await scene.close();
  });

  /** The real command line, told where AWS is as any tool of AWS is told. */
  async function redrive(...words: string[]) {
    const { code, stdout, stderr } = await cli.run(['redrive', '--stage', scene.world.stage, ...words], {
      environment: {
        AWS_ENDPOINT_URL: scene.world.url,
        AWS_REGION: REGION,
        AWS_ACCESS_KEY_ID: 'any',
        AWS_SECRET_ACCESS_KEY: 'any',
      },
    });
    return { code, stdout, stderr };
  }
  async function letters(...words: string[]): Promise<DeadLetterView[]> {
    const { code, stdout, stderr } = await redrive(...words, '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return z.array(deadLetterView).parse(JSON.parse(stdout));
  }

  describe('a step whose function dies at each try', () => {
    it('is a dead letter, seen by whoever looks as often as they look, and goes on when it is redriven', async () => {
      expect(await letters()).toEqual([]);
      isBroken = true;
      const taskId = await scene.submit('true');
      await eventually(() => scene.deadLetters[0], 'the dead letter');
      isBroken = false;
      const [letter, ...others] = await letters();
      expect(letter).toMatchObject({
        rule: BROKEN,
        taskId,
        tries: 3,
        event: { 'detail-type': 'TaskSubmitted' },
        error: { code: 'Runtime.ExitError', remedy: expect.any(String) },
      });
      expect(others).toEqual([]);
      expect(await letters()).toEqual([letter]);
      expect(await letters('--rule', 'cancel-task')).toEqual([]);
      expect((await scene.world.view(taskId)).status).toBe('SUBMITTED');

      const before = scene.world.logged().length;
      const told = await redrive(letter?.id.slice(0, 13) ?? '', '--json');
      expect(told.code).toBe(0);
      expect(z.array(redriven).parse(JSON.parse(told.stdout))).toEqual([
        { id: letter?.id, rule: BROKEN, outcome: 'sent' },
      ]);
      await scene.until(taskId, ({ status }) => status !== 'SUBMITTED', 'to be admitted');
      await scene.settled(taskId);
      const took = scene.world
        .logged()
        .slice(before)
        .filter((line) => line.includes(`"eventId":"${letter?.event.id}"`))
        .map((line) => JSON.parse(line).rule);
      // The same event, to that function and to no other.
      expect([...new Set(took)]).toEqual([BROKEN]);
      expect(await letters()).toEqual([]);
    });
  });

  describe('an event that can never be handled', () => {
    it('is a dead letter again when it is redriven, and is lost by none of it', async () => {
      const malformed = {
        version: '0' as const,
        id: 'poison-1',
        'detail-type': 'TaskCancelRequested',
        source: 'baton.request',
        account: '000000000000',
        time: new Date().toISOString(),
        region: REGION,
        resources: [],
        detail: { data: { taskId: 7 } },
      };
      await scene.world.publish([malformed]);
      const [first] = await eventually(async () => {
        const found = await letters('--rule', 'cancel-task');
        return found.length > 0 ? found : undefined;
      }, 'the dead letter');
      expect(first).toMatchObject({ tries: 1, event: { id: 'poison-1' }, error: { code: 'malformed_event' } });
      expect((await redrive('--all')).stdout).toBe(`${first?.id}  cancel-task  handed over again\n`);
      const again = await eventually(async () => {
        const [found] = await letters();
        return found && found.id !== first?.id ? found : undefined;
      }, 'the dead letter again');
      expect(again).toMatchObject({ rule: 'cancel-task', event: { id: 'poison-1' }, error: first?.error });
      expect((await redrive()).stdout).toContain('malformed_event: Mend the producer');
      expect(await redrive('nothing')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('no dead letter nothing'),
      });
    });
  });
});
