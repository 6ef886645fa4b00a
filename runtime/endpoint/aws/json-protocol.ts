import { refused } from './aws-error.ts';
import type { AwsAnswer, AwsCall, Input, Protocol } from './aws-service.ts';

/** AWS JSON 1.0 and 1.1: everything is `POST /`, the header `X-Amz-Target` names the operation. */
export function jsonProtocol(version: '1.0' | '1.1'): Protocol {
  const headers = { 'content-type': `application/x-amz-json-${version}` };
  return {
    read: (call) => ({ operation: targetOf(call)?.operation, input: jsonObject(call.body) }),
    write: (_operation, output) => ({ status: 200, headers, body: json(output) }),
    fail: (code, status, message, members): AwsAnswer => ({
      status,
      headers: { ...headers, 'x-amzn-errortype': code },
      body: json({ __type: code, message, ...members }),
    }),
  };
}

/** Service and operation that a JSON call is for. */
export function targetOf({ headers }: Pick<AwsCall, 'headers'>): { prefix: string; operation: string } | undefined {
  const [, prefix, operation] = /^([^.]+)\.([^.]+)$/.exec(String(headers['x-amz-target'] ?? '')) ?? [];
  return prefix === undefined || operation === undefined ? undefined : { prefix, operation };
}

/** The object in a body; none is an empty one. */
export function jsonObject(body: Buffer): Input {
  if (body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw refused('SerializationException', 'The body is not JSON in UTF-8.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refused('SerializationException', 'The body is not a JSON object.');
  }
  return { ...value };
}

export const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
