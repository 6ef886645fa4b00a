import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';
import type { RunPayload } from '../../schemas/run-payload.ts';

export type Verb = 'payload' | 'claim' | 'confirm' | 'heartbeat' | 'first-word' | 'report' | 'saved-work' | 'events';

export interface Call {
  readonly verb: Verb;
  readonly token: string | undefined;
  readonly body: Record<string, unknown>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A small real server that speaks the runner's part of the API, counts calls, and can refuse, go away and move. */
export interface ApiStub {
  readonly calls: Call[];
  of(verb: Verb): Call[];
  /** Replaces the answer to one verb; `times` calls long, then the usual one again. */
  answer(verb: Verb, answer: Answer, times?: number): void;
  goAway(): Promise<void>;
  /** Comes back on another port and says so in the world file. */
  comeBack(): Promise<void>;
}

export const FENCED: Answer = {
  status: 409,
  body: { error: { code: 'fenced', message: 'another run holds it', remedy: '' } },
};

export async function startApi(worldFile: string, payload: () => RunPayload): Promise<ApiStub> {
  const calls: Call[] = [];
  const planned = new Map<Verb, { answer: Answer; times: number }>();
  let server: Server | undefined;
  const comeBack = async (): Promise<void> => {
    const next = createServer((request, response) => {
      void readCall(request).then((call) => {
        calls.push(call);
        const { status, body } = takePlanned(planned, call.verb) ?? usual(call, payload());
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => next.listen(0, '127.0.0.1', resolve));
    server = next;
    const { port } = next.address() as AddressInfo;
    const world = {
      pid: process.pid,
      url: `http://127.0.0.1:${port}`,
      startedAt: new Date().toISOString(),
      version: '0',
    };
    writeFileSync(`${worldFile}.new`, JSON.stringify(world));
    renameSync(`${worldFile}.new`, worldFile);
  };
  await comeBack();
  return {
    calls,
    of: (verb) => calls.filter((call) => call.verb === verb),
    answer: (verb, answer, times = Number.POSITIVE_INFINITY) => void planned.set(verb, { answer, times }),
    comeBack,
    goAway: async () => {
      const old = server;
      server = undefined;
      if (!old) return;
      old.closeAllConnections();
      await new Promise<void>((resolve) => old.close(() => resolve()));
    },
  };
}

function takePlanned(planned: Map<Verb, { answer: Answer; times: number }>, verb: Verb): Answer | undefined {
  const plan = planned.get(verb);
  if (!plan || plan.times <= 0) return undefined;
  plan.times -= 1;
  return plan.answer;
}

function usual(call: Call, payload: RunPayload): Answer {
  if (call.verb === 'payload') return { status: 200, body: payload };
  if (call.token !== payload.runToken)
    return { status: 403, body: { error: { code: 'bad_token', message: 'no', remedy: '' } } };
  if (call.verb === 'claim') return { status: 200, body: { outcome: 'claimed' } };
  if (call.verb === 'report') return { status: 200, body: { outcome: 'stored' } };
  return { status: call.verb === 'events' ? 202 : 200, body: {} };
}

const verbs = z.enum(['claim', 'confirm', 'heartbeat', 'first-word', 'report', 'saved-work', 'events']);

async function readCall(request: IncomingMessage): Promise<Call> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const last = (request.url ?? '').split('/').at(-1);
  return {
    verb: request.method === 'GET' ? 'payload' : verbs.parse(last),
    token: request.headers.authorization?.replace(/^Bearer /, ''),
    body: text === '' ? {} : z.record(z.string(), z.unknown()).parse(JSON.parse(text)),
  };
}
