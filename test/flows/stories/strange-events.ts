import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../../schemas/envelope.ts';
import type { Stories } from '../every-world.ts';
import { eventually } from '../scene.ts';

const UNKNOWN = `t${'0'.repeat(24)}`;
let events = 0;
const event = (source: string, type: string, detail: unknown): Envelope => ({
  version: '0',
  id: `strange-${++events}`,
  'detail-type': type,
  source,
  account: '000000000000',
  time: new Date().toISOString(),
  region: 'local',
  resources: [],
  detail,
});

export const strangeEvents: Stories = (scene, { poisonTries }) => {
  /** What ECS says about a run of this world. */
  const ofEcs = (taskId: string) => ({
    clusterArn: scene().world.clusterArn,
    startedBy: `baton/${scene().world.stage}/${taskId}/1`,
    lastStatus: 'STOPPED',
  });

  describe('a malformed event on the bus', () => {
    const malformed = new Map<string, Envelope>();
    const cases: [string, string, () => object, number][] = [
      ['baton.agent', 'RunReported', () => ({ data: { taskId: 7 } }), poisonTries],
      // From a queue: at once, in any world.
      ['baton.request', 'TaskCancelRequested', () => ({ data: {} }), 1],
      ['baton.request', 'TaskCancelRequested', () => ({}), 1],
      ['aws.ecs', 'ECS Task State Change', () => ofEcs('x'), 1],
    ];
    const nameOf = (source: string, type: string, detail: () => object) => `${source} ${type} ${detail}`;

    beforeAll(async () => {
      for (const [source, type, detail] of cases) {
        malformed.set(nameOf(source, type, detail), event(source, type, detail()));
      }
      await scene().world.publish([...malformed.values()]);
    });

    it.each(cases)('%s %s is given up after the tries of this world, and kept', async (source, type, detail, tries) => {
      const id = malformed.get(nameOf(source, type, detail))?.id ?? '';
      const letters = await eventually(() => {
        const found = scene().deadLetters.filter((letter) => letter.event.id === id);
        return found.length > 0 ? found : undefined;
      }, 'the dead letter');
      await scene().quiet();
      for (const letter of letters) {
        expect(letter).toMatchObject({ tries, error: { code: 'malformed_event' } });
      }
      expect((await scene().world.keptLetters()).filter((kept) => kept.id === id)).toHaveLength(letters.length);
    });

    it('that asks for a task is answered with a stored rejection', async () => {
      const asking = event('baton.request', 'TaskRequested', {
        data: { repository: '', prompt: ' ', idempotencyKey: 'bad', surprise: 1 },
      });
      await scene().world.publish([asking]);
      const rejected = await eventually(
        () => scene().events.find((one) => one['detail-type'] === 'TaskRejected'),
        'the rejection',
      );
      const { taskId } = (rejected.detail as { data: { taskId: string } }).data;
      await scene().quiet();
      await expect(scene().world.view(taskId)).rejects.toMatchObject({
        code: 'rejected',
        message: expect.stringMatching(/repository.*prompt|prompt.*repository/),
      });
      const request = { repository: scene().remote, prompt: 'Good now.', idempotencyKey: 'bad' };
      await expect(scene().world.submit(request)).rejects.toMatchObject({ code: 'rejected' });
    });
  });

  describe('an event about a task that nobody knows', () => {
    const cases: [string, string, () => object][] = [
      ['baton.request', 'TaskCancelRequested', () => ({ data: { taskId: UNKNOWN } })],
      ['baton.agent', 'RunReported', () => ({ data: { taskId: UNKNOWN, attempt: 1, nativeId: 'x', seq: 1 } })],
      [
        'baton.agent',
        'RunProgressed',
        () => ({ data: { taskId: UNKNOWN, attempt: 1, nativeId: 'x', seq: 1, text: 'x' } }),
      ],
      [
        'aws.ecs',
        'ECS Task State Change',
        () => ({
          ...ofEcs(UNKNOWN),
          taskArn: 'arn:x',
          taskDefinitionArn: 'arn:d',
          desiredStatus: 'STOPPED',
          version: 5,
        }),
      ],
      [
        'baton',
        'TaskAdmitted',
        () => ({
          metadata: { taskId: UNKNOWN, attempt: 1, version: 2, id: 'y' },
          data: { slotKey: 'x' },
        }),
      ],
    ];

    it.each(cases)('%s %s is noted and changes nothing else', async (source, type, detail) => {
      await scene().quiet();
      const before = await scene().world.recordCount();
      const deadBefore = scene().deadLetters.length;
      await scene().world.publish([event(source, type, detail())]);
      await scene().quiet();
      const noted = await eventually(async () => {
        const { ignored } = await scene().world.journal(UNKNOWN);
        return ignored.find(({ cause }) => cause.type === type);
      }, 'the note');
      expect(noted.reason).not.toBe('');
      expect(scene().deadLetters).toHaveLength(deadBefore);
      expect(await scene().world.recordCount()).toBe(before);
    });
  });

  describe('an event of a type that nobody knows', () => {
    it('is dropped', async () => {
      await scene().quiet();
      await scene().world.publish([event('somebody.else', 'Something Happened', { a: 1 })]);
      expect(scene().world.isQuiet()).toBe(true);
    });
  });
};
