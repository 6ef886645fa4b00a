import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { WEBHOOK_ID_HEADER } from '../schemas/webhook-body.ts';

export interface Received {
  readonly id: string | undefined;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** A status, or no answer at all, ever. */
export type Answer = number | 'silence';

export interface WebhookReceiver {
  readonly url: string;
  /** What came, oldest first. */
  readonly received: readonly Received[];
  /** Answers in this order, the last one for ever after. 204 unless something is said. */
  answers(...answers: Answer[]): void;
  /** Resolves when so many have come. */
  until(count: number): Promise<void>;
  close(): Promise<void>;
}

/** A real receiver on this machine. */
export const webhookReceiver = (): Promise<WebhookReceiver> =>
  listening(
    (take) => createServer(take),
    (port) => `http://127.0.0.1:${port}`,
  );

/** A receiver over whatever server; `addressOf` says where it is found. */
export async function listening(
  serverOf: (take: RequestListener) => Server,
  addressOf: (port: number) => string,
): Promise<WebhookReceiver> {
  const received: Received[] = [];
  const waiting: { count: number; come(): void }[] = [];
  let answers: Answer[] = [204];
  const server = serverOf(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    const { headers, url = '' } = request;
    received.push({ id: headers[WEBHOOK_ID_HEADER] as string | undefined, path: url, headers, body: JSON.parse(text) });
    reply(response, (answers.length > 1 ? answers.shift() : answers[0]) ?? 204);
    for (const one of waiting) if (received.length >= one.count) one.come();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: addressOf((server.address() as AddressInfo).port),
    received,
    answers(...given) {
      answers = given;
    },
    until: (count) =>
      received.length >= count ? Promise.resolve() : new Promise((come) => waiting.push({ count, come })),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function reply(response: ServerResponse, answer: Answer): void {
  if (answer === 'silence') return;
  response.writeHead(answer, answer >= 300 && answer < 400 ? { location: '/elsewhere' } : {});
  response.end(answer === 204 ? undefined : 'nobody reads this');
}
