import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { type ControlPlane, Fenced, type Patience, Refused, type RunIdentity } from './control-plane.ts';
import { payloadFrom } from './payload.ts';
import { type Tried, untilAnswered } from './until-answered.ts';

/**
 * The control plane of the embedded world, over its HTTP API. Its address is read from the world file before every try,
 * because the world may be gone for a while and come back on another port. The payload is given to who sends its secret.
 */
export function httpControlPlane(worldFile: string, payloadSecret?: string): ControlPlane {
  const post = (run: RunIdentity, verb: string, body: object, patience: Patience): Promise<unknown> =>
    ask(worldFile, patience, `/baton/v1/runs/${encodeURIComponent(run.taskId)}/${run.attempt}/${verb}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${run.runToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ nativeId: run.nativeId, ...body }),
    });
  return {
    payload: async (reference, patience) => {
      const answer = await ask(worldFile, patience, `/baton/v1/payloads/${encodeURIComponent(reference)}`, {
        ...(payloadSecret === undefined ? {} : { headers: { authorization: `Bearer ${payloadSecret}` } }),
      });
      return payloadFrom(answer);
    },
    // The world may be killed between what it wrote and what it answers: the claim is known by its id, which every try sends.
    claim: async (run, patience) =>
      outcomeOf(await post(run, 'claim', { claimId: randomUUID() }, patience)) === 'already' ? 'already' : 'claimed',
    confirm: async (run, patience) => {
      await post(run, 'confirm', {}, patience);
    },
    heartbeat: async (run, patience) => {
      await post(run, 'heartbeat', {}, patience);
    },
    firstWord: async (run, patience) => {
      await post(run, 'first-word', {}, patience);
    },
    report: async (run, report, patience) =>
      outcomeOf(await post(run, 'report', { report }, patience)) === 'already' ? 'already' : 'stored',
    saveWork: async (run, savedWork, patience) => {
      await post(run, 'saved-work', { savedWork }, patience);
    },
    event: async (run, event, patience) => {
      await post(run, 'events', event, patience);
    },
  };
}

const world = z.object({ url: z.url() });
const errorAnswer = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
const outcomeAnswer = z.object({ outcome: z.string() });

interface Request {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

const ask = (worldFile: string, patience: Patience, path: string, request: Request): Promise<unknown> =>
  untilAnswered(patience, (timeoutMs) => tryOnce(worldFile, timeoutMs, path, request));

async function tryOnce(worldFile: string, timeoutMs: number, path: string, request: Request): Promise<Tried<unknown>> {
  let status: number;
  let body: unknown;
  try {
    const { url } = world.parse(JSON.parse(await readFile(worldFile, 'utf8')));
    const answer = await fetch(new URL(path, url), {
      ...request,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    status = answer.status;
    const text = await answer.text();
    body = text === '' ? {} : JSON.parse(text);
  } catch (error) {
    return { tryAgain: sentenceOf(error) };
  }
  if (status >= 200 && status < 300) return { answer: body };
  const told = errorAnswer.safeParse(body);
  // An answer that is not in Baton's form comes from somebody else who was given the port meanwhile.
  if (!told.success) return { tryAgain: `status ${status} from a stranger` };
  const { code, message } = told.data.error;
  if (status === 409) throw new Fenced(message);
  if (status >= 500 || status === 408 || status === 429) return { tryAgain: `${code}: ${message}` };
  throw new Refused(`${code}: ${message}`);
}

function outcomeOf(answer: unknown): string | undefined {
  const parsed = outcomeAnswer.safeParse(answer);
  return parsed.success ? parsed.data.outcome : undefined;
}

const sentenceOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
};
