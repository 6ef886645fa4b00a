import { addressDigits, cidrBlock, isInBlock } from '../../runtime/ip-address.ts';

/**
 * EventBridge's matching written down for reading, not for speed, and without a line of the real matcher (addresses excepted,
 * which have a reference of their own): every way to choose alternatives, and every way to choose one value for each path.
 */
export function referenceFits(pattern: Record<string, unknown>, event: unknown): boolean {
  const fields = fieldsOf(event);
  return writings(pattern, []).some((written) => {
    const wanted = new Map(written);
    const paths = [...wanted.keys()].sort();
    return canChoose(
      paths.map((path) => [path, wanted.get(path) ?? []] as const),
      fields,
      {},
    );
  });
}

type Leaf = readonly [path: string, matchers: readonly unknown[]];

/** Every sequence of leaves that a pattern writes when a branch is taken at each `$or`. */
function writings(pattern: Record<string, unknown>, above: readonly string[]): Leaf[][] {
  let sequences: Leaf[][] = [[]];
  for (const [name, wanted] of Object.entries(pattern)) {
    const choices =
      name === '$or'
        ? (wanted as Record<string, unknown>[]).flatMap((branch) => writings(branch, above))
        : Array.isArray(wanted)
          ? [[[[...above, name].join('.'), wanted] as const]]
          : writings(wanted as Record<string, unknown>, [...above, name]);
    sequences = sequences.flatMap((before) => choices.map((choice) => [...before, ...choice]));
  }
  return sequences;
}

interface Field {
  readonly path: string;
  readonly value: unknown;
  /** Array (by its place in the event) → the element that the value is in. */
  readonly elements: Readonly<Record<string, number>>;
}

function fieldsOf(value: unknown, path: string[] = [], place = '$', elements: Field['elements'] = {}): Field[] {
  if (Array.isArray(value)) {
    return value.flatMap((element, index) => {
      const isInside = typeof element === 'object' && element !== null;
      return fieldsOf(element, path, `${place}[${index}]`, isInside ? { ...elements, [place]: index } : elements);
    });
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([name, below]) =>
      fieldsOf(below, [...path, name], `${place}/${name}`, elements),
    );
  }
  return [{ path: path.join('.'), value, elements }];
}

function canChoose([leaf, ...more]: readonly Leaf[], fields: readonly Field[], chosen: Field['elements']): boolean {
  if (!leaf) return true;
  const [path, matchers] = leaf;
  const open = fields.filter((field) => field.path === path && agrees(field.elements, chosen));
  if (open.length === 0) return matchers.some(isAbsence) && canChoose(more, fields, chosen);
  return open.some(
    ({ value, elements }) =>
      matchers.some((matcher) => valueFits(matcher, value)) && canChoose(more, fields, { ...chosen, ...elements }),
  );
}

const agrees = (one: Field['elements'], other: Field['elements']): boolean =>
  Object.entries(one).every(([array, element]) => !(array in other) || other[array] === element);

const isAbsence = (matcher: unknown): boolean => JSON.stringify(matcher) === '{"exists":false}';

function valueFits(matcher: unknown, value: unknown): boolean {
  if (typeof matcher !== 'object' || matcher === null) {
    const digits = typeof matcher === 'string' ? addressDigits(matcher) : undefined;
    return digits === undefined
      ? matcher === value
      : typeof value === 'string' && addressDigits(value)?.startsWith(digits) === true;
  }
  const [[operator, operand] = ['', undefined]] = Object.entries(matcher) as [string, unknown][];
  if (operator === 'exists') return operand === true;
  if (operator === 'numeric') return typeof value === 'number' && numbersFit(operand as unknown[], value);
  if (operator === 'anything-but') return !exclusions(operand).some((excluded) => valueFits(excluded, value));
  if (typeof value !== 'string') return false;
  if (operator === 'cidr') return inBlock(String(operand), value);
  if (operator === 'wildcard') return wildcardFits([...String(operand)], [...value]);
  const everything = (text: string): string[] =>
    Array.from({ length: text.length + 1 }, (_, end) => text.slice(0, end));
  // event-ruler compares texts with the quotes around them.
  if (operator === 'prefix') {
    if (typeof operand === 'object') return everything(value).some((start) => sameButCase(caseOperand(operand), start));
    return `"${value}"`.startsWith(`"${operand}`);
  }
  if (operator === 'suffix') {
    if (typeof operand === 'object') {
      return everything(value).some((start) => sameButCase(caseOperand(operand), value.slice(start.length)));
    }
    return `"${value}"`.endsWith(`${operand}"`);
  }
  return sameButCase(String(operand), value);
}

const caseOperand = (operand: unknown): string => String((operand as Record<string, unknown>)['equals-ignore-case']);

/** "anything-but" as a list of conditions of which none may hold. Plain texts are texts there, addresses too. */
function exclusions(operand: unknown): unknown[] {
  if (typeof operand === 'object' && operand !== null && !Array.isArray(operand)) {
    return Object.entries(operand).flatMap(([operator, texts]) => [texts].flat().map((text) => ({ [operator]: text })));
  }
  return [operand].flat().map((one) => (typeof one === 'string' ? { wildcard: one.replace(/[\\*]/g, '\\$&') } : one));
}

function numbersFit([operator, bound, ...more]: unknown[], value: number): boolean {
  const limit = Number(bound);
  const fits = {
    '=': value === limit,
    '<': value < limit,
    '<=': value <= limit,
    '>': value > limit,
    '>=': value >= limit,
  }[String(operator)];
  return fits === true && (more.length === 0 || numbersFit(more, value));
}

function inBlock(text: string, value: string): boolean {
  const block = cidrBlock(text);
  const digits = addressDigits(value);
  return block !== undefined && digits !== undefined && isInBlock(digits, block);
}

function wildcardFits([first, ...pattern]: string[], text: string[]): boolean {
  if (first === undefined) return text.length === 0;
  if (first === '*')
    return Array.from({ length: text.length + 1 }, (_, skip) => skip).some((skip) =>
      wildcardFits(pattern, text.slice(skip)),
    );
  const [literal, rest] = first === '\\' ? [pattern[0], pattern.slice(1)] : [first, pattern];
  return text[0] === literal && wildcardFits(rest, text.slice(1));
}

/** Unit by unit, each in lower or in upper case; half of a character beyond U+FFFF is a question mark. */
function sameButCase(wanted: string, text: string): boolean {
  if (wanted === '') return text === '';
  const unit = wanted.charAt(0);
  const isHalf = unit >= '\uD800' && unit <= '\uDFFF';
  const forms = isHalf ? ['?'] : [unit.toLowerCase(), unit.toUpperCase()];
  return forms.some((form) => text.startsWith(form) && sameButCase(wanted.slice(1), text.slice(form.length)));
}
