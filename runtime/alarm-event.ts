import { alarmRang } from '../events/alarm-rang.ts';
import type { BatonEvent } from '../schemas/envelope.ts';
import { alarmId } from './tasks.ts';

/** What every alarm clock delivers when it rings: the embedded one to the bus, SQS and Scheduler to the alarm queue. */
export function alarmEvent(taskId: string, at: string): BatonEvent {
  const id = alarmId(taskId, at);
  return {
    version: '0',
    id,
    'detail-type': alarmRang.type,
    source: alarmRang.source,
    account: '000000000000',
    time: at,
    region: 'local',
    resources: [],
    detail: {
      metadata: {
        id,
        taskId,
        correlationId: taskId,
        causationId: id,
        occurredAt: at,
        schemaVersion: alarmRang.version,
      },
      data: { taskId, at },
    },
  };
}
