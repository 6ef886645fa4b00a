import { isIP } from 'node:net';
import { WEBHOOK_ID_HEADER } from '../schemas/webhook-body.ts';
import { BatonError } from './errors.ts';
import type { Webhooks } from './ports.ts';

/** Seconds for a whole answer. A receiver that is well takes what it is sent, and works on it later; a function has 30. */
export const WEBHOOK_TIMEOUT_S = 10;

/** Answers below 500 that pass: time-out, too early, too many requests (RFC 9110, 8470, 6585). */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

export interface WebhooksOptions {
  /** Where to may be posted: `public` is https to names of the public internet; `local` besides http to this machine, and https to anywhere. */
  readonly allowed: 'public' | 'local';
  readonly timeoutSeconds?: number;
  /** Gives up what is under way. */
  readonly until?: AbortSignal;
  readonly fetch?: typeof fetch;
}

/** Posts JSON. Follows no redirect, reads no answer beyond its status, and never says an address, which may hold a secret. */
export function webhooksOver({
  allowed,
  timeoutSeconds = WEBHOOK_TIMEOUT_S,
  until,
  fetch: send = fetch,
}: WebhooksOptions): Webhooks {
  return {
    async post(target, body, { id }) {
      const complaint = complaintAbout(target, allowed);
      if (complaint !== undefined) return { outcome: 'refused', message: complaint };
      const { host } = new URL(target);
      const status = await statusOf(target, host, JSON.stringify(body), id);
      if (status >= 200 && status < 300) return { outcome: 'delivered' };
      if (status >= 500 || PASSING.has(status)) {
        throw new BatonError('channel_unavailable', `${host} answered ${status}.`);
      }
      const redirect = status < 400 ? ', and redirects are not followed: give the address that it leads to' : '';
      return { outcome: 'refused', message: `${host} answered ${status}${redirect}.` };
    },
  };

  async function statusOf(target: string, host: string, body: string, id: string): Promise<number> {
    const late = AbortSignal.timeout(timeoutSeconds * 1000);
    const signal = until ? AbortSignal.any([late, until]) : late;
    try {
      const { status, body: answer } = await send(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'baton', [WEBHOOK_ID_HEADER]: id },
        body,
        redirect: 'manual',
        signal,
      });
      // Nobody reads it; the connection is free again.
      await answer?.cancel().catch(() => undefined);
      return status;
    } catch (error) {
      const why = late.aborted ? `did not answer within ${timeoutSeconds} s` : `cannot be reached: ${codeOf(error)}`;
      throw new BatonError('channel_unavailable', `${host} ${why}.`);
    }
  }
}

/** Why nothing is posted to an address; undefined where it may be. */
function complaintAbout(target: string, allowed: WebhooksOptions['allowed']): string | undefined {
  if (!URL.canParse(target)) return 'The address is no URL.';
  const { protocol, hostname, username, password } = new URL(target);
  if (username !== '' || password !== '') return 'The address has a user name or password, which nothing is sent with.';
  if (protocol !== 'https:' && !(allowed === 'local' && protocol === 'http:' && isThisMachine(hostname))) {
    return allowed === 'local'
      ? 'The address is not https, and http is for this machine alone.'
      : 'The address is not https.';
  }
  return allowed === 'public' && !isPublicName(hostname)
    ? 'The address has no public name: no IP address, and nothing inside a network, is posted to.'
    : undefined;
}

/** `new URL` writes every notation of an IPv4 address as four decimals, and IPv6 in brackets. */
const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');

function isThisMachine(hostname: string): boolean {
  const name = bare(hostname);
  return name === 'localhost' || name === '::1' || /^127\.\d+\.\d+\.\d+$/.test(name);
}

/** Names that only a network of one's own knows (RFC 6761, 6762, 9476 and ICANN's `internal`). */
const PRIVATE = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|arpa|alt|test|invalid|onion)$/;

function isPublicName(hostname: string): boolean {
  const name = bare(hostname);
  return isIP(name) === 0 && name.includes('.') && !PRIVATE.test(name);
}

/** The code of what failed below `fetch`, whose own message says nothing. */
function codeOf(error: unknown): string {
  const { cause } = (error ?? {}) as { cause?: { code?: unknown } };
  return typeof cause?.code === 'string' ? cause.code : 'no answer';
}
