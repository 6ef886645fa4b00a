/** What a repository string may be, and how it may be shown. */
export type Repository = { readonly kind: 'path' | 'network'; readonly address: string };

const SCHEMES = new Set(['file', 'git', 'http', 'https', 'ssh', 'git+ssh', 'ssh+git']);

/**
 * Reads a repository as an absolute path, a URL, or git's `host:path`. What git would take for an option, for a remote helper
 * (`ext::`, `fd::`, any `name::`) or for a host that is an option is refused with a sentence.
 */
export function parseRepository(address: string): Repository | { readonly refused: string } {
  if (address.trim() === '') return { refused: 'it is empty' };
  if (hasControlCharacter(address)) return { refused: 'it holds a control character' };
  if (address.startsWith('-')) return { refused: 'it begins with "-"' };
  if (address.startsWith('/')) return { kind: 'path', address };
  if (/^[^/]*::/.test(address)) return { refused: 'transports of the form "name::" are not allowed' };
  const url = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(?:[^/@]*@)?([^/]*)/.exec(address);
  if (url) {
    const [, scheme = '', host = ''] = url;
    if (!SCHEMES.has(scheme.toLowerCase())) return { refused: `the transport "${scheme}" is not allowed` };
    if (host.startsWith('-')) return { refused: 'its host begins with "-"' };
    return { kind: scheme.toLowerCase() === 'file' ? 'path' : 'network', address };
  }
  const host = /^(?:[^/@:]*@)?([^/:]+):./.exec(address)?.[1];
  if (host === undefined) return { refused: 'it is neither an absolute path nor a URL' };
  if (host.startsWith('-')) return { refused: 'its host begins with "-"' };
  return { kind: 'network', address };
}

/** The same text without user names and passwords in URLs. */
export const withoutCredentials = (text: string): string =>
  text.replace(/([A-Za-z][A-Za-z0-9+.-]*:\/\/)[^/\s@]+@/g, '$1***@');

const hasControlCharacter = (text: string): boolean =>
  [...text].some((character) => character < ' ' || character === '\u007f');
