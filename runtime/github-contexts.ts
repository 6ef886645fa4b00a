import { Octokit } from '@octokit/core';
import * as z from 'zod';
import { bytesOf, CONTEXT_MAX_BYTES } from '../schemas/context-text.ts';
import { partsOfReference } from '../schemas/github-reference.ts';
import { shortText } from '../schemas/json.ts';
import { BatonError, type ErrorCode } from './errors.ts';
import type { Contexts, FetchedContext } from './ports.ts';

/** Where GitHub's REST API is. */
export const GITHUB_API = 'https://api.github.com';

/** Seconds for the whole text, however many pages it has: below the 30 of a function. GitHub itself gives an answer up after ten. */
const TEXT_MAX_S = 20;
/** Seconds of peace at the least, where GitHub does not say how many (its own advice), and at the most: its limits are by the hour. */
const QUIET_MIN_S = 1;
const QUIET_S = 60;
const QUIET_MAX_S = 3_600;
/** Remarks of one page, as many as GitHub gives. */
const PAGE_SIZE = 100;
/** Pages of one kind of remark at the most; the text is cut long before, unless its remarks are very short. */
const PAGES_MAX = 20;

export interface GithubContextsOptions {
  /** Who asks; undefined asks as a stranger, who may read what is public. `again` after GitHub refused the last one. */
  readonly token?: (again: boolean) => Promise<string | undefined>;
  /** Default: GITHUB_API. */
  readonly url?: string | undefined;
  /** Ends what is under way; it is asked again another time. */
  readonly until?: AbortSignal;
  /** Seconds for one text; default TEXT_MAX_S. */
  readonly maxSeconds?: number;
}

/**
 * Issues and pull requests of GitHub as text: title, description, and all remarks in the order of their time. Rate limits, silence and
 * troubles of GitHub itself throw `service_throttled` or `service_unavailable`, which are tried again.
 */
export function githubContexts(options: GithubContextsOptions): Contexts {
  const { token = async () => undefined, url = GITHUB_API, until: over, maxSeconds = TEXT_MAX_S } = options;
  const octokit = new Octokit({ baseUrl: url, userAgent: 'baton', log: SILENT });
  /** Until then, in milliseconds, GitHub is left in peace: who goes on asking is locked out. */
  let quietUntilMs = 0;

  return {
    async fetch(address) {
      const parts = partsOfReference(address);
      // What a path takes for a step upwards is no name.
      if (!parts || /^\.+$/.test(parts.repository))
        return unavailable(`${address} is no address of a GitHub issue or pull request.`);
      const { owner, repository: repo, number } = parts;
      if (Date.now() < quietUntilMs) throw tooFast(address, quietUntilMs);
      const ends = AbortSignal.any([AbortSignal.timeout(maxSeconds * 1000), ...(over ? [over] : [])]);
      try {
        return { outcome: 'fetched', text: await text({ address, owner, repo, number, ends }) };
      } catch (error) {
        if (over?.aborted) throw passing('store_closed', `The world ends while GitHub is asked (${address})`);
        const refusal = refusalOf(error);
        if (!refusal || !isTooFast(refusal)) return outcomeOf(address, error, refusal);
        quietUntilMs = quietUntil(refusal, Date.now());
        throw tooFast(address, quietUntilMs);
      }
    },
  };

  async function text({ address, owner, repo, number, ends }: Place): Promise<string> {
    const at = { owner, repo, number };
    const first = issue.parse(await get('GET /repos/{owner}/{repo}/issues/{number}', at, ends));
    const lists = first.pull_request
      ? ['issues/{number}/comments', 'pulls/{number}/reviews', 'pulls/{number}/comments']
      : ['issues/{number}/comments'];
    const head = [`# ${first.title}`, headOf(first.pull_request ? 'Pull request' : 'Issue', first, address)];
    const remarks: Remark[] = [];
    const left: string[] = [];
    let bytes = 0;
    for (const list of lists) {
      for (let page = 1; page <= PAGES_MAX && bytes <= CONTEXT_MAX_BYTES; page++) {
        const asked = { ...at, per_page: PAGE_SIZE, page };
        const found = z.array(remark).parse(await get(`GET /repos/{owner}/{repo}/${list}`, asked, ends));
        const said = found.filter(({ body }) => body);
        remarks.push(...said);
        bytes += said.reduce((sum, { body }) => sum + bytesOf(body ?? ''), 0);
        if (found.length < PAGE_SIZE) break;
        if (page === PAGES_MAX) left.push(`[Remarks beyond ${PAGES_MAX * PAGE_SIZE} are left out.]`);
      }
    }
    // One kind after the other stands there already; where times are the same, so it stays.
    remarks.sort((a, b) => (timeOf(a) === timeOf(b) ? 0 : timeOf(a) < timeOf(b) ? -1 : 1));
    return [...head, first.body ?? '', ...remarks.map(remarkText), ...left].filter((part) => part !== '').join('\n\n');
  }

  async function get(route: string, parameters: object, ends: AbortSignal): Promise<unknown> {
    const ask = async (again: boolean): Promise<unknown> => {
      const known = await token(again);
      const headers = known === undefined ? {} : { authorization: `Bearer ${known}` };
      const { data } = await octokit.request(route, { ...parameters, headers, request: { signal: ends } });
      return data;
    };
    try {
      return await ask(false);
    } catch (error) {
      // The token may have been renewed since it was read.
      if (refusalOf(error)?.status === 401) return ask(true);
      throw error;
    }
  }
}

interface Place {
  readonly address: string;
  readonly owner: string;
  readonly repo: string;
  readonly number: number;
  readonly ends: AbortSignal;
}

/** What it says goes nowhere: it may quote what it was asked. */
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const writer = z.object({ login: z.string() }).nullish();
const issue = z.object({
  title: z.string(),
  body: z.string().nullish(),
  state: z.string(),
  user: writer,
  created_at: z.string(),
  pull_request: z.object({}).nullish(),
});
const remark = z.object({
  body: z.string().nullish(),
  user: writer,
  /** Absent in a review, which has its own. */
  created_at: z.string().nullish(),
  submitted_at: z.string().nullish(),
  /** The file that a remark of a review is about. */
  path: z.string().nullish(),
});
type Remark = z.infer<typeof remark>;

const headOf = (what: string, { state, user, created_at }: z.infer<typeof issue>, address: string): string =>
  `${what} ${address}, ${state}, by ${nameOf(user)}, ${created_at}`;

const remarkText = ({ body, path, user, ...times }: Remark): string =>
  `## ${nameOf(user)}, ${timeOf(times)}${path ? `, about ${path}` : ''}\n\n${body ?? ''}`;

const timeOf = ({ created_at, submitted_at }: Pick<Remark, 'created_at' | 'submitted_at'>): string =>
  created_at ?? submitted_at ?? '';

/** An account that is gone has no name. */
const nameOf = (user: z.infer<typeof writer>): string => user?.login ?? 'ghost';

const unavailable = (message: string): FetchedContext => ({ outcome: 'unavailable', message: shortText(message) });

/** What an error of GitHub means for whoever asked. Nothing of its body is told on; it may hold anything. */
function outcomeOf(address: string, error: unknown, refusal: Refusal | undefined): FetchedContext {
  if (error instanceof BatonError) throw error;
  if (!refusal) {
    const why = error instanceof z.ZodError ? 'its answer cannot be read' : 'it does not answer';
    throw passing('service_unavailable', `GitHub: ${why} (${address})`);
  }
  const { status } = refusal;
  if (status >= 500) throw passing('service_unavailable', `GitHub answers ${status} (${address})`);
  return unavailable(`GitHub answers ${status} to ${address}: ${MEANINGS[status] ?? 'it refuses the request'}.`);
}

const MEANINGS: Readonly<Record<number, string>> = {
  401: 'it does not take the token',
  403: 'the token may not read it',
  404: 'it is not there, or the token may not see it',
  410: 'it was deleted',
  451: 'it is blocked for legal reasons',
};

/** No cause: the errors of the client hold the request that they are about. */
const passing = (code: ErrorCode, message: string): BatonError => new BatonError(code, message);

interface Refusal {
  readonly status: number;
  /** GitHub says in its message that it is the secondary limit, where no header may tell so. */
  readonly isSecondary: boolean;
  readonly headers: Readonly<Record<string, string | number | undefined>>;
}

/** Status and headers of an answer that is an error; undefined where nothing answered. */
function refusalOf(error: unknown): Refusal | undefined {
  const { response } = (error ?? {}) as { response?: Partial<Refusal> & { data?: { message?: unknown } } };
  if (response?.status === undefined) return undefined;
  const { status, headers = {}, data } = response;
  return { status, headers, isSecondary: /secondary rate/i.test(String(data?.message ?? '')) };
}

/** GitHub says 403 as well as 429 to who asks too often, and tells it by headers or its message (GitHub REST API, "Rate limits"). */
const isTooFast = ({ status, headers, isSecondary }: Refusal): boolean =>
  status === 429 ||
  (status === 403 && (isSecondary || headers['retry-after'] !== undefined || remainingOf(headers) === '0'));

const remainingOf = (headers: Refusal['headers']): string | undefined => headers['x-ratelimit-remaining']?.toString();

/** When GitHub may be asked again, in milliseconds: as it says, and within bounds that no header moves. */
function quietUntil({ headers, isSecondary }: Refusal, nowMs: number): number {
  const after = nowMs + Number(headers['retry-after']) * 1000;
  // The end of the hour says nothing about the secondary limit while requests of that hour are left.
  const isTold = !isSecondary || remainingOf(headers) === '0';
  const reset = isTold ? Number(headers['x-ratelimit-reset']) * 1000 : Number.NaN;
  const told = [after, reset].find(Number.isFinite) ?? nowMs + QUIET_S * 1000;
  return Math.min(Math.max(told, nowMs + QUIET_MIN_S * 1000), nowMs + QUIET_MAX_S * 1000);
}

function tooFast(address: string, untilMs: number): BatonError {
  const notBefore = new Date(untilMs).toISOString();
  return new BatonError('service_throttled', `GitHub takes no more requests until ${notBefore} (${address})`, {
    notBefore,
  });
}
