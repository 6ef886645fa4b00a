import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { alarmRang } from '../../../events/alarm-rang.ts';
import type { Alarms } from '../../ports.ts';
import { refused } from './aws-error.ts';
import type { Place } from './aws-service.ts';
import type { TakingQueue } from './sqs.ts';

/** The envelope that every alarm clock sends. */
const alarm = z.looseObject({
  source: z.literal(alarmRang.source),
  'detail-type': z.literal(alarmRang.type),
  detail: z.looseObject({ data: alarmRang.schema }),
});

export interface AlarmQueueOptions {
  readonly name: string;
  readonly place: Place;
  /** Address of the world. */
  readonly url: string;
  readonly alarms: Alarms;
}

/** The alarm queue of a world that has a clock instead: what is sent sets the clock, and rings when its task's time has come. */
export function alarmQueue({ name, place: { region, account }, url, alarms }: AlarmQueueOptions): TakingQueue {
  return {
    name,
    arn: `arn:aws:sqs:${region}:${account}:${name}`,
    url: `${url}/${account}/${name}`,
    async send({ body }) {
      const sent = alarm.safeParse(jsonOf(body));
      if (!sent.success) {
        throw refused('InvalidMessageContents', `The queue ${name} takes ${alarmRang.type} events and nothing else.`);
      }
      const { taskId, at } = sent.data.detail.data;
      await alarms.arm(taskId, at);
      return randomUUID();
    },
    // Whatever was sent is in the clock already.
    attributes: () => ({ ApproximateNumberOfMessages: '0', ApproximateNumberOfMessagesNotVisible: '0' }),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
