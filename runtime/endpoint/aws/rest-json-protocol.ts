import type { Protocol } from './aws-service.ts';
import { json, jsonObject } from './json-protocol.ts';

/** Method and path of an operation; a part in braces is a member of the input, as in AWS's models. */
export interface RestRoute {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  /** Members of the input that travel in the query, by the names that they have there. */
  readonly query?: Readonly<Record<string, string>>;
}

/** AWS REST JSON: method and path name the operation; path, query and body together are its input. */
export function restJsonProtocol(routes: readonly RestRoute[]): Protocol {
  const headers = { 'content-type': 'application/json' };
  return {
    read(call) {
      for (const { operation, method, path, query = {} } of routes) {
        const members = method === call.method ? membersOf(path, call.path) : undefined;
        if (!members) continue;
        const asked = Object.entries(query).flatMap(([name, member]) => {
          const value = call.query.get(name);
          return value === null ? [] : [[member, value]];
        });
        return { operation, input: { ...jsonObject(call.body), ...Object.fromEntries(asked), ...members } };
      }
      return { operation: undefined, input: {} };
    },
    write: (_operation, output) => ({ status: 200, headers, body: json(output) }),
    fail: (code, status, message, members) => ({
      status,
      headers: { ...headers, 'x-amzn-errortype': code },
      body: json({ Message: message, ...members }),
    }),
  };
}

function membersOf(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const members: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? '';
    const [, member] = /^\{(\w+)\}$/.exec(part) ?? [];
    if (member === undefined ? part !== value : value === '') return undefined;
    if (member !== undefined) members[member] = decoded(value);
  }
  return members;
}

/** A path part in clear; one that is not encoded well stands for itself. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
