/** Lowest and highest address of a block, both included, as upper-case hexadecimal digits. */
export interface Block {
  readonly lowest: string;
  readonly highest: string;
}

/** The block of "10.0.0.0/24" or "2001:db8::/64"; undefined if it is none. A full mask (/32, /128) is none to EventBridge. */
export function cidrBlock(text: string): Block | undefined {
  const [, address = '', mask = ''] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const digits = addressDigits(address);
  if (digits === undefined || mask === '') return undefined;
  const bits = digits.length * 4;
  const free = bits - Number(mask);
  if (free < 1) return undefined;
  const span = 1n << BigInt(free);
  const lowest = (BigInt(`0x${digits}`) / span) * span;
  return { lowest: hex(lowest, digits.length), highest: hex(lowest + span - 1n, digits.length) };
}

/** An address as 8 (IPv4) or 32 (IPv6) upper-case hexadecimal digits; undefined if the text is none. Mapped IPv4 is IPv4. */
export function addressDigits(text: string): string | undefined {
  if (IPV4.test(text)) {
    const parts = text.split('.').map(Number);
    return parts.every((part) => part <= 255) ? parts.map((part) => hex(BigInt(part), 2)).join('') : undefined;
  }
  const digits = IPV6.test(text) ? ipv6Digits(text) : undefined;
  return digits?.startsWith(MAPPED) ? digits.slice(MAPPED.length) : digits;
}

/**
 * Whether an address lies in a block, digit by digit as event-ruler compares: the first digits decide, so an IPv6 address whose
 * first digits lie in an IPv4 block counts too.
 */
export function isInBlock(digits: string, { lowest, highest }: Block): boolean {
  if (digits.length < lowest.length) {
    return digits > lowest.slice(0, digits.length) && digits < highest.slice(0, digits.length);
  }
  const compared = digits.slice(0, lowest.length);
  return compared >= lowest && compared <= highest;
}

const IPV4 = /^\d{1,12}\.\d{1,12}\.\d{1,12}\.\d{1,12}$/;
const IPV6 = /^[0-9a-f:]*:[0-9a-f:]*$/i;
/** First digits of an IPv4 address that is written as IPv6. */
const MAPPED = '0'.repeat(20) + 'F'.repeat(4);
const GROUPS = 8;

function ipv6Digits(text: string): string | undefined {
  const [before = '', after, ...more] = text.split('::');
  const left = groupsOf(before);
  const right = groupsOf(after ?? '');
  const missing = GROUPS - left.length - right.length;
  if (more.length > 0 || (after === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...left, ...Array<string>(missing).fill('0'), ...right];
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))
    ? groups.map((group) => group.padStart(4, '0').toUpperCase()).join('')
    : undefined;
}

const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':'));

const hex = (number: bigint, digits: number): string => number.toString(16).toUpperCase().padStart(digits, '0');
