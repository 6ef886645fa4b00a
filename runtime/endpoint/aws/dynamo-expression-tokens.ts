import { refused } from './aws-error.ts';

/** Names and values that an expression's placeholders stand for, in plain JSON. */
export interface Placeholders {
  readonly names: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, unknown>>;
  /** Placeholders that an expression has used: DynamoDB refuses those that none does. */
  readonly used: Set<string>;
}

/** Where something stands in an item: names of maps, places in lists. */
export type Path = readonly (string | number)[];

/** What an expression computes with. */
export type Operand =
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'value'; readonly value: unknown };

/** The words of one expression, taken from left to right. */
export interface Tokens {
  /** The next word, not yet taken; undefined at the end. */
  peek(): string | undefined;
  next(): string;
  /** Takes the word if it is the next one; keywords in any case. */
  take(word: string): boolean;
  need(word: string): void;
  path(): Path;
  operand(): Operand;
  wrong(why: string): Error;
}

const WORD = /\s*([#:]?[A-Za-z_]\w*|\d+|<>|<=|>=|[=<>()[\],.+-])/y;
/** Attributes of a record whose names are reserved words: they need a placeholder (DynamoDB developer guide, reserved words). */
const RESERVED: ReadonlySet<string> = new Set(['BY', 'KEY', 'OPEN', 'VALUE']);

/** Reads an expression; `part` is its name in error messages, such as "ConditionExpression". */
export function tokensOf(part: string, text: string, placeholders: Placeholders): Tokens {
  const words = wordsOf();
  let at = 0;
  return { peek: () => words[at], next, take, need, path, operand, wrong };

  function wordsOf(): string[] {
    const found: string[] = [];
    WORD.lastIndex = 0;
    for (let end = 0; text.slice(end).trim() !== ''; end = WORD.lastIndex) {
      const word = WORD.exec(text)?.[1];
      if (word === undefined) throw wrong(`Syntax error; token: "${text.slice(end).trim()[0]}"`);
      found.push(word);
    }
    return found;
  }

  function next(): string {
    const word = words[at];
    if (word === undefined) throw wrong('Syntax error; token: "<EOF>"');
    at += 1;
    return word;
  }

  function take(word: string): boolean {
    if (words[at]?.toUpperCase() !== word.toUpperCase()) return false;
    at += 1;
    return true;
  }

  function need(word: string): void {
    if (!take(word)) throw wrong(`Syntax error; token: "${words[at] ?? '<EOF>'}", expected: "${word}"`);
  }

  function path(): Path {
    const steps: (string | number)[] = [name()];
    for (;;) {
      if (take('.')) steps.push(name());
      else if (take('[')) {
        steps.push(Number(next()));
        need(']');
      } else return steps;
    }
  }

  function name(): string {
    const word = next();
    if (word.startsWith('#')) return resolved(placeholders.names, word, 'name');
    if (!/^[A-Za-z_]/.test(word)) throw wrong(`Syntax error; token: "${word}"`);
    if (!RESERVED.has(word.toUpperCase())) return word;
    throw wrong(`Attribute name is a reserved keyword; reserved keyword: ${word}`);
  }

  function operand(): Operand {
    const word = words[at] ?? '';
    if (!word.startsWith(':')) return { kind: 'path', path: path() };
    at += 1;
    return { kind: 'value', value: resolved(placeholders.values, word, 'value') };
  }

  function resolved<Meaning>(from: Readonly<Record<string, Meaning>>, word: string, kind: string): Meaning {
    placeholders.used.add(word);
    const found = Object.entries(from).find(([placeholder]) => placeholder === word);
    if (found) return found[1];
    throw wrong(`An expression attribute ${kind} used in expression is not defined; attribute ${kind}: ${word}`);
  }

  function wrong(why: string): Error {
    return refused('ValidationException', `Invalid ${part}: ${why}`);
  }
}
