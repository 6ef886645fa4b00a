/** A value that an element can hold; undefined leaves the element out. */
type Leaf = unknown;

/** `<name>` with one element for each member. */
export function element(
  name: string,
  members: Readonly<Record<string, Leaf>>,
  { xmlns, inner = '' }: { readonly xmlns?: string; readonly inner?: string } = {},
): string {
  const parts = Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([member, value]) => leaf(member, value));
  const space = xmlns === undefined ? '' : ` xmlns="${xmlns}"`;
  return `<${name}${space}>${parts.join('')}${inner}</${name}>`;
}

/** `<name>` around a text. */
export const leaf = (name: string, value: Leaf): string => `<${name}>${escaped(String(value))}</${name}>`;

export const xmlDocument = (root: string): string => `<?xml version="1.0" encoding="UTF-8"?>\n${root}`;

/** What stands inside each element of that name, as it is written or in clear. Enough for bodies whose elements do not nest in themselves. */
export function textsOf(xml: string, name: string, form: 'written' | 'decoded' = 'written'): string[] {
  const found = [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))];
  return found.map(([, inner = '']) => (form === 'decoded' ? unescaped(inner) : inner));
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** Control characters are written as numbers: XML parsers drop or change them. */
const escaped = (text: string): string =>
  text.replace(/[&<>"'\p{Cc}]/gu, (char) => {
    const name = Object.keys(ENTITIES).find((one) => ENTITIES[one] === char);
    return name === undefined ? `&#x${char.charCodeAt(0).toString(16)};` : `&${name};`;
  });

/** What names no character stands for itself. */
const unescaped = (text: string): string =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= CODE_POINT_MAX ? String.fromCodePoint(code) : whole;
  });

/** The last code point of Unicode. */
const CODE_POINT_MAX = 0x10ffff;
