import type { ServerResponse } from 'node:http';
import type { Envelope } from '../../schemas/envelope.ts';
import type { RecordStore } from '../ports.ts';
import { shownEvent } from './shown-event.ts';

/** A client that reads slower than events come is dropped when this much waits for it, in bytes; it may connect again. */
export const STREAM_BUFFER_MAX_BYTES = 4 * 1024 * 1024;
/** A comment this often tells client and proxies that the stream lives. */
const KEEP_ALIVE_MS = 15_000;

export interface EventStreams {
  /** Sends every event published from now on, or those of one task, until the client leaves. */
  open(response: ServerResponse, taskId: string | undefined): void;
  close(): void;
}

interface Client {
  readonly response: ServerResponse;
  readonly taskId: string | undefined;
}

/** Server-sent events of what the bus is given. An event is shown when it and what led to it are on disk, in order. */
export function eventStreams(
  listen: (hear: (event: Envelope) => void) => () => void,
  store: Pick<RecordStore, 'durable'>,
): EventStreams {
  const clients = new Set<Client>();
  let unlisten: (() => void) | undefined;
  let heard: Envelope[] = [];
  let sending = false;
  const keepAlive = setInterval(() => sendAll(() => ': alive\n\n'), KEEP_ALIVE_MS);
  keepAlive.unref();

  return {
    open(response, taskId) {
      if (response.destroyed) return;
      const client = { response, taskId };
      clients.add(client);
      unlisten ??= listen(hear);
      response.once('close', () => leave(client));
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      response.write(': connected\n\n');
    },
    close() {
      clearInterval(keepAlive);
      unlisten?.();
      for (const { response } of clients) response.end();
      clients.clear();
    },
  };

  function leave(client: Client): void {
    clients.delete(client);
    if (clients.size > 0) return;
    unlisten?.();
    unlisten = undefined;
    heard = [];
  }

  function hear(event: Envelope): void {
    heard.push(event);
    if (sending) return;
    sending = true;
    // The bus writes its row in this very turn, after it has told us.
    setImmediate(() => void send().catch(() => undefined));
  }

  async function send(): Promise<void> {
    try {
      while (heard.length > 0) {
        const batch = heard;
        heard = [];
        await store.durable();
        for (const event of batch) show(event);
      }
    } finally {
      sending = false;
    }
  }

  function show(event: Envelope): void {
    const about = taskOf(event);
    const text = `id: ${oneLine(event.id)}\nevent: ${oneLine(event['detail-type'])}\ndata: ${JSON.stringify(shownEvent(event))}\n\n`;
    sendAll(({ taskId }) => (taskId === undefined || taskId === about ? text : undefined));
  }

  function sendAll(textFor: (client: Client) => string | undefined): void {
    for (const client of clients) {
      const text = textFor(client);
      if (text === undefined) continue;
      client.response.write(text);
      if (client.response.writableLength > STREAM_BUFFER_MAX_BYTES) client.response.destroy();
    }
  }
}

const oneLine = (text: string): string => text.replace(/[\r\n]/g, ' ');

/** The task that an event is about; a request that has no task yet is about none. */
function taskOf(event: Envelope): string | undefined {
  const detail = event.detail as { metadata?: { taskId?: string }; data?: { taskId?: string }; startedBy?: string };
  return detail.metadata?.taskId ?? detail.data?.taskId ?? detail.startedBy?.split('/')[2];
}
