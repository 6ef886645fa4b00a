import { type Compute, losesEvents, signals } from '../../schemas/compute.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { TaskRequest } from '../../schemas/task-request.ts';
import { taskIdFor } from '../task-id.ts';
import { HARMFUL } from './outside-ports.ts';
import type { ControlPlane, Scene } from './scene.ts';

/** Time in which the requests of one seed come in, in milliseconds. */
const REQUESTS_WITHIN_MS = 600_000;
/** Or, where what runs start from changes, the time in which somebody comes back, in milliseconds: longer than anything of before is kept. */
const LATE_MS = 5 * 3_600_000;
/** Latest repetition of a request, in milliseconds: also after its task has settled. */
const REPEATED_WITHIN_MS = 12 * 3_600_000;

/** What the tasks of one seed work on. */
export const REPOSITORIES = ['https://example.org/sample.git', 'https://example.org/other.git'] as const;

/** Who may ask in one seed. */
export const USERS = ['user-1', 'user-2', 'user-3'] as const;

/** Time-outs that are asked for, in seconds. Where runs beat or are asked about, each beat is a write and each look a wake-up: hours of it show nothing new. */
const TIMEOUTS_S = { events: [60, 900, 3_600, 4 * 3_600, 8 * 3_600], heartbeats: [60, 300, 900, 2_400] } as const;

/**
 * Sends what producers and people send: requests, the same again, bad ones, and cancels. Answers the ids of all requests. `usual` is the
 * back end of a request that names none.
 */
export function startWorkload(scene: Scene, plane: ControlPlane, tasks: number, usual: Compute): readonly string[] {
  const { time, trace } = scene;
  const random = scene.random.fork('workload');
  /** What came later draws from its own, so that the tasks of before stay as they were. */
  const toFleet = scene.random.fork('workload of fleets');
  const users = random.int(1, USERS.length);
  let sent = 0;

  const send = (atMs: number, type: string, data: object): string => {
    const id = `request-${++sent}`;
    time.at(atMs, () => {
      trace.line(`client sends ${type} ${id}`);
      void plane.publish(requestEvent(id, type, data));
    });
    return id;
  };

  return Array.from({ length: tasks }, (_, number) => {
    const isLate = (scene.has('new-base') || scene.has('changed-users')) && random.chance(0.3);
    const withinMs = isLate ? LATE_MS : random.chance(0.5) ? 1_000 : REQUESTS_WITHIN_MS;
    const fromMs = time.nowMs() + random.int(0, withinMs);
    const userId = `user-${random.int(1, users)}`;
    const key = random.chance(0.8) ? `key-${number}` : undefined;
    const other = random.chance(0.15) ? 'agentcore' : random.chance(0.15) ? 'ecs' : undefined;
    const compute = toFleet.chance(0.1) ? 'ec2' : other;
    const request: TaskRequest = {
      repository: random.pick(REPOSITORIES),
      prompt: random.chance(0.03) ? ' ' : random.chance(0.1) ? `do ${number} and ${HARMFUL}` : `do ${number}`,
      userId,
      ...(key === undefined ? {} : { idempotencyKey: key }),
      ...(compute === undefined ? {} : { compute }),
      timeoutSeconds: random.pick(TIMEOUTS_S[losesEvents[compute ?? usual] ? 'heartbeats' : signals[compute ?? usual]]),
      attempts: random.chance(0.2) ? 10 : random.int(1, 4),
      ...(scene.has('agent-retries') && random.chance(0.6) ? { retryAgentFailure: true } : {}),
      ...(random.chance(0.15) ? { priority: random.int(1, 9) } : {}),
      ...(random.chance(0.1) ? { context: `https://github.com/example/sample/issues/${number + 1}` } : {}),
    };
    const first = send(fromMs, 'TaskRequested', request);
    const taskId = taskIdFor(userId, key === undefined ? { eventId: first } : { key });
    if (scene.has('duplicate') && key !== undefined) {
      while (random.chance(0.4)) {
        const withinMs = random.pick([100, 60_000, REPEATED_WITHIN_MS]);
        const changed = random.chance(0.3) ? { prompt: `do ${number} otherwise` } : {};
        send(fromMs + random.int(0, withinMs), 'TaskRequested', { ...request, ...changed });
      }
    }
    if (scene.has('cancel') && random.chance(0.5)) {
      const withinMs = random.pick([5_000, 60_000, 4 * 3_600_000]);
      send(fromMs + random.int(0, withinMs), 'TaskCancelRequested', { taskId, reason: 'changed my mind' });
    }
    return taskId;
  });
}

export const requestEvent = (id: string, type: string, data: object): Envelope => ({
  version: '0',
  id,
  'detail-type': type,
  source: 'baton.request',
  account: '000000000000',
  time: '',
  region: 'local',
  resources: [],
  detail: { data },
});
