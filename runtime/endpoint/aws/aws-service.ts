import type { IncomingHttpHeaders } from 'node:http';
import type * as z from 'zod';
import { refused } from './aws-error.ts';

/** Where a world says that it is: in ARNs and in events. */
export interface Place {
  readonly account: string;
  readonly region: string;
}

/** One HTTP request to AWS, read whole. */
export interface AwsCall {
  readonly method: string;
  /** As it was sent: still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface AwsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export type Input = Readonly<Record<string, unknown>>;

/** Takes the members of an operation's input, gives those of its output, by AWS's names. Throws AwsError. */
export type Operation = (input: Input) => Promise<object>;

/** How a service's inputs and outputs travel. Reading throws AwsError where AWS could not read either. */
export interface Protocol {
  /** Name of the operation, undefined where the request names none, and its input. */
  read(call: AwsCall): { readonly operation: string | undefined; readonly input: Input };
  write(operation: string, output: object): AwsAnswer;
  fail(code: string, status: number, message: string, members: Input, requestId: string): AwsAnswer;
}

/** A service of AWS: what signs for it, how it talks, and what it can do. */
export interface AwsService {
  /** The service in the credential scope of a signature. */
  readonly signingName: string;
  /** What stands before the dot of `X-Amz-Target`; undefined for REST services. */
  readonly targetPrefix?: string;
  readonly protocol: Protocol;
  readonly operations: Readonly<Record<string, Operation>>;
}

/** The input as an operation needs it. What does not fit is refused with every complaint, under the service's own code. */
export function parsedInput<Parsed>(schema: z.ZodType<Parsed>, input: unknown, code = 'ValidationException'): Parsed {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const complaints = issues.map(({ path, message }) => `Value at '${path.map(String).join('.')}': ${message}`);
  throw refused(
    code,
    `${issues.length} validation error${issues.length === 1 ? '' : 's'} detected: ${complaints.join('; ')}`,
  );
}

/** A part of a list, and the token that leads to the next one. `limit` undefined: all that is left. */
export function pageOf<Item>(
  items: readonly Item[],
  limit: number | undefined,
  token: string | undefined,
): { readonly page: readonly Item[]; readonly next: { readonly NextToken?: string } } {
  const from = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString());
  if (!Number.isInteger(from) || from < 0) throw refused('ValidationException', 'The token is not valid.');
  const to = limit === undefined ? items.length : from + limit;
  const next = to < items.length ? { NextToken: Buffer.from(String(to)).toString('base64url') } : {};
  return { page: items.slice(from, to), next };
}
