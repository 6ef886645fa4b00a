import { describe, expect, it } from '@jest/globals';
import { parseRepository, withoutCredentials } from '../../agent/repository.ts';

describe('a repository string', () => {
  it.each([
    ['/srv/git/project', 'path'],
    ['/srv/with: colon::and more', 'path'],
    ['file:///srv/git/project', 'path'],
    ['https://example.org/project.git', 'network'],
    ['https://user:secret@example.org/project.git', 'network'],
    ['ssh://git@example.org:2222/project.git', 'network'],
    ['git@example.org:team/project.git', 'network'],
    ['example.org:project', 'network'],
  ])('%s is a %s-like address', (address, kind) => {
    expect(parseRepository(address)).toEqual({ kind, address });
  });

  it.each([
    '',
    '  ',
    '-u./payload',
    '--upload-pack=x',
    'ext::sh -c id',
    'fd::7',
    'anything::x',
    'ftp://example.org/x',
    'javascript://x',
    'ssh://-oProxyCommand=id/x',
    'ssh://user@-oProxyCommand=id/x',
    '-host:path',
    'user@-host:path',
    'relative/path',
    './here',
    '/with\nnewline',
    '/with\u0000nul',
  ])('%j is refused with a reason', (address) => {
    expect(parseRepository(address)).toEqual({ refused: expect.any(String) });
  });

  it('is shown without its credentials', () => {
    expect(withoutCredentials('fatal: https://user:secret@host/x and ssh://token@host/y, me@host:z')).toBe(
      'fatal: https://***@host/x and ssh://***@host/y, me@host:z',
    );
  });
});
