import { randomUUID } from 'node:crypto';
import type { AwsAnswer, Input, Protocol } from './aws-service.ts';
import { element, leaf, xmlDocument } from './xml.ts';

/** What the query protocols of AWS differ in. */
export interface QueryDialect {
  readonly namespace: string;
  /** What the elements of a list are called in answers. */
  readonly item: 'item' | 'member';
  /** Puts the members of an answer and the id of the request together. */
  answer(operation: string, members: string, requestId: string): string;
  failure(error: string, requestId: string): string;
}

/** AWS Query: a form names the operation as its `Action`, its members with dots and numbers; answers are XML. */
export function queryProtocol({ namespace, item, answer, failure }: QueryDialect): Protocol {
  return {
    read({ body }) {
      const form = new URLSearchParams(body.toString('utf8'));
      const operation = form.get('Action') ?? undefined;
      const members = [...form].filter(([name]) => name !== 'Action' && name !== 'Version');
      return { operation, input: nested(members) };
    },
    write: (operation, output) => {
      const inner = answer(operation, membersOf(output, item), randomUUID());
      return xml(200, element(`${operation}Response`, {}, { xmlns: namespace, inner }));
    },
    fail: (code, status, message, _members, requestId) =>
      xml(
        status,
        failure(
          element('Error', { Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: message }),
          requestId,
        ),
      ),
  };
}

/** `Filter.1.Value.2=x` is `{ Filter: [{ Value: [, 'x'] }] }`; the word `member` before a number says nothing. */
function nested(members: readonly (readonly [string, string])[]): Input {
  const tree: Tree = new Map();
  for (const [name, value] of members) {
    const path = name.split('.').filter((part) => part !== 'member');
    let at = tree;
    for (const part of path.slice(0, -1)) {
      const next = at.get(part);
      const below: Tree = next instanceof Map ? next : new Map();
      at.set(part, below);
      at = below;
    }
    at.set(path.at(-1) ?? '', value);
  }
  return plain(tree) as Input;
}

type Tree = Map<string, Tree | string>;

function plain(tree: Tree | string): unknown {
  if (typeof tree === 'string') return tree;
  const keys = [...tree.keys()];
  const isList = keys.length > 0 && keys.every((key) => /^[1-9]\d*$/.test(key));
  if (isList) return [...tree].sort(([one], [other]) => Number(one) - Number(other)).map(([, value]) => plain(value));
  return Object.fromEntries([...tree].map(([key, value]) => [key, plain(value)]));
}

/** The members of an object as elements. */
function membersOf(value: object, item: string): string {
  return Object.entries(value)
    .map(([name, member]) => elementOf(name, member, item))
    .join('');
}

function elementOf(name: string, value: unknown, item: string): string {
  if (value === undefined) return '';
  if (Array.isArray(value))
    return element(name, {}, { inner: value.map((one) => elementOf(item, one, item)).join('') });
  if (typeof value === 'object' && value !== null) return element(name, {}, { inner: membersOf(value, item) });
  return leaf(name, value);
}

const xml = (status: number, root: string): AwsAnswer => ({
  status,
  headers: { 'content-type': 'text/xml' },
  body: Buffer.from(xmlDocument(root)),
});
