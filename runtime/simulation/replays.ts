import type { Envelope } from '../../schemas/envelope.ts';
import type { Archive } from '../engine/archive.ts';
import type { ControlPlane, Scene } from './scene.ts';

/** Replays of one seed at the most. */
const REPLAYS_MAX = 4;
/** When they begin, in milliseconds: while tasks run, and long after. */
const BEGINS_WITHIN_MS = [120_000, 3_600_000, 20 * 3_600_000] as const;
/** How long an event may take during a replay, in milliseconds: slices of a minute come one after the other, in any order inside. */
const SLICE_MS = 5_000;
/** Times that a whole replay is repeated at the most. */
const TIMES_MAX = 3;

/** Somebody replays windows of the archive, again and again, at any time. */
export function replayAtAnyTime(scene: Scene, plane: ControlPlane, archive: Archive): void {
  const { time } = scene;
  const random = scene.random.fork('replays');
  const begin = time.nowMs();
  for (let number = random.int(1, REPLAYS_MAX); number > 0; number--) {
    const startMs = begin + random.int(10_000, random.pick(BEGINS_WITHIN_MS));
    time.at(startMs, () => {
      const isWhole = random.chance(0.5);
      const fromMs = isWhole ? 0 : begin + random.int(0, startMs - begin);
      const toMs = isWhole ? startMs : fromMs + random.int(1, startMs - fromMs);
      for (let again = random.int(1, TIMES_MAX); again > 0; again--)
        void replay(`replay-${number}-${again}`, fromMs, toMs);
    });
  }

  async function replay(name: string, fromMs: number, toMs: number): Promise<void> {
    scene.trace.line(`somebody starts ${name}`);
    let minute = 0;
    for await (const { events } of archive.slices(fromMs, toMs)) {
      for (const event of events) {
        const afterMs = minute * SLICE_MS + random.int(0, SLICE_MS);
        time.at(time.nowMs() + afterMs, () => void plane.publish(replayed(event, name)));
      }
      minute++;
    }
  }
}

const replayed = (event: Envelope, name: string): Envelope => ({ ...event, 'replay-name': name });
