import type { Envelope } from '../../schemas/envelope.ts';
import type { LocalFleetOptions } from './local-fleet-records.ts';

/** The way of native events to the bus: best effort, as their sources promise no more. */
export interface Delivery {
  /** Once, and nobody waits for it. */
  publish(event: Envelope): void;
  /** What is on its way is lost. */
  close(): void;
}

export function delivery({
  bus,
  weather,
  warn = () => undefined,
}: Pick<LocalFleetOptions, 'bus' | 'weather' | 'warn'>): Delivery {
  const delayed = new Set<NodeJS.Timeout>();
  let closed = false;

  return {
    publish(event) {
      const { copies = 1, delayMs = 0 } = weather?.(event) ?? {};
      if (delayMs === 0) return deliver(event, copies);
      const timer = setTimeout(() => {
        delayed.delete(timer);
        deliver(event, copies);
      }, delayMs);
      timer.unref();
      delayed.add(timer);
    },
    close() {
      closed = true;
      for (const timer of delayed) clearTimeout(timer);
    },
  };

  function deliver(event: Envelope, copies: number): void {
    if (copies === 0 || closed) return;
    const events = Array.from({ length: copies }, () => event);
    bus(events).catch((error) => warn(`${event['detail-type']} was lost`, error));
  }
}
