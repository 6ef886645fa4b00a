/**
 * Bytes of an item as DynamoDB counts them: names and texts in UTF-8, 3 and 1 per element for lists and maps, 1 for true, false and null,
 * about half a byte per digit for numbers (developer guide, "item sizes and formats").
 */
export function sizeOf(item: unknown): number {
  return sum(Object.entries(item as object).map(([name, value]) => Buffer.byteLength(name) + valueSize(value)));
}

function valueSize(value: Record<string, unknown>): number {
  const [type, content] = Object.entries(value)[0] ?? [];
  switch (type) {
    case 'S':
      return Buffer.byteLength(String(content));
    case 'N':
      return Math.ceil(String(content).length / 2) + 1;
    case 'L':
      return 3 + sum((content as Record<string, unknown>[]).map((one) => 1 + valueSize(one)));
    case 'M':
      return (
        3 + sum(Object.entries(content as object).map(([name, one]) => 1 + Buffer.byteLength(name) + valueSize(one)))
      );
    default:
      return 1;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
