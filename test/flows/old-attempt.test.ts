import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../schemas/envelope.ts';
import { eventually, linesOf, openScene, type Scene } from './scene.ts';

// What is told of an attempt that is over changes nothing by a decision that is the same in every world.
describe('embedded', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene.close());

  // F26
  describe('signals of an attempt that is over', () => {
    it('come once more, and do not judge the run of the next one', async () => {
      const [starts, gate] = [join(scene.folder, 'starts'), join(scene.folder, 'gate')];
      const taskId = await scene.submit(
        `echo start >> ${starts}; if [ $(wc -l < ${starts}) -ge 2 ]; then while [ ! -e ${gate} ]; do sleep 0.05; done; else sleep 300; fi`,
      );
      await eventually(() => linesOf(starts)[0], 'the first start');
      await eventually(async () => ((await scene.world.interrupt(taskId, 'host')) ? true : undefined), 'the first run');
      await scene.until(taskId, ({ attempt, status }) => attempt === 2 && status === 'RUNNING', 'to run again');
      await eventually(() => linesOf(starts)[1], 'the second start');
      await scene.quiet();
      const before = await scene.world.view(taskId);

      const old = signalsOf(taskId, 1);
      expect(old.map((event) => event['detail-type'])).toEqual(
        expect.arrayContaining(['ECS Task State Change', 'RunClaimed', 'RunStarted', 'RunLost', 'RunEnded']),
      );
      await scene.world.publish(old.map(again));
      const { nativeId = '' } = claimOf(old);
      await scene.world.publish([signal('RunReported', { taskId, attempt: 1, nativeId, seq: 99 })]);
      await scene.world.publish([
        signal('RunProgressed', { taskId, attempt: 1, nativeId, seq: 100, text: 'old news' }),
      ]);
      await eventually(async () => {
        const { ignored } = await scene.world.journal(taskId);
        return ignored.some(({ cause }) => cause.type === 'RunProgressed') ? true : undefined;
      }, 'the last of them');
      await scene.quiet();

      const after = await scene.world.view(taskId);
      expect(after).toMatchObject({ status: 'RUNNING', attempt: 2, version: before.version, run: before.run });
      expect(after.progress?.text).not.toBe('old news');
      expect(scene.factsOf(taskId).filter((type) => type === 'RunStopRequested')).toEqual([]);
      writeFileSync(gate, '');
      expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(linesOf(starts)).toHaveLength(2);
    });
  });

  /** What was said about an attempt, by the task's own facts, by its runner and by its back end. */
  function signalsOf(taskId: string, attempt: number): Envelope[] {
    const startedBy = `baton/${scene.world.stage}/${taskId}/${attempt}`;
    return scene.events.filter(({ source, detail }) => {
      const { metadata, data, ...native } = detail as Detail;
      if (source === 'aws.ecs') return native.startedBy === startedBy;
      if (source === 'baton.agent') return data?.taskId === taskId && data.attempt === attempt;
      return source === 'baton' && metadata?.taskId === taskId && metadata.attempt === attempt;
    });
  }
});

interface Detail {
  readonly startedBy?: string;
  readonly metadata?: { readonly taskId?: string; readonly attempt?: number };
  readonly data?: { readonly taskId?: string; readonly attempt?: number; readonly nativeId?: string };
}

/** As the bus would bring it a second time: EventBridge gives its own id to what is put again. */
const again = (event: Envelope, index: number): Envelope => ({ ...event, id: `${event.id}-again-${index}` });

const claimOf = (events: readonly Envelope[]): { nativeId?: string } =>
  events
    .filter((event) => event['detail-type'] === 'RunClaimed')
    .map(({ detail }) => (detail as { data: { nativeId: string } }).data)[0] ?? {};

let serial = 0;
function signal(type: string, data: Record<string, unknown>): Envelope {
  serial += 1;
  return {
    version: '0',
    id: `old-signal-${serial}`,
    'detail-type': type,
    source: 'baton.agent',
    account: '000000000000',
    time: new Date().toISOString(),
    region: 'local',
    resources: [],
    detail: {
      metadata: {
        id: `old-signal-${serial}`,
        taskId: data['taskId'],
        attempt: data['attempt'],
        correlationId: data['taskId'],
        causationId: `old-signal-${serial}`,
        occurredAt: new Date().toISOString(),
        schemaVersion: 1,
      },
      data,
    },
  };
}
