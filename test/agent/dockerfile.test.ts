import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const lines = readFileSync(new URL('../../agent/Dockerfile', import.meta.url), 'utf8')
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));
const valuesOf = (instruction: string): string[] =>
  lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));

// No container engine is at hand in these tests: the image was read, not built.
describe('the image of the agent', () => {
  it('runs the bundle that the build makes', () => {
    const builds = readFileSync(new URL('../../scripts/build.mjs', import.meta.url), 'utf8');
    const [from = '', to = ''] = (valuesOf('COPY')[0] ?? '').split(' ');
    expect(builds).toContain(`'${/^dist\/(.+)\.js$/.exec(from)?.[1]}':`);
    expect(JSON.parse(valuesOf('ENTRYPOINT')[0] ?? '[]')).toEqual(['/opt/baton/node', '--disable-sigusr1', to]);
    // The bundle is an ES module, and no package.json beside it says so.
    expect(to).toMatch(/\.mjs$/);
  });

  it('works a batch by default, and waits for no request', () => {
    expect(JSON.parse(valuesOf('CMD')[0] ?? '[]')).toEqual(['run']);
    expect(valuesOf('EXPOSE')).toEqual([]);
  });

  it('is not root when it runs, and root for nothing after that', () => {
    const user = lines.findIndex((line) => line.startsWith('USER '));
    expect(valuesOf('USER')).toEqual(['node']);
    expect(lines.slice(user).filter((line) => line.startsWith('RUN ') || line.startsWith('COPY '))).toEqual([]);
  });

  it('runs by a program that the agent cannot read, so that it cannot look into its environment', () => {
    expect(valuesOf('RUN')).toContainEqual(expect.stringMatching(/^install -D --mode=0711 .* \/opt\/baton\/node$/));
  });

  it('pins its base by version, and brings git', () => {
    expect(valuesOf('FROM')).toEqual([expect.stringMatching(/:\d+-bookworm-slim$/)]);
    expect(valuesOf('RUN').join(' ')).toMatch(/\bgit\b/);
  });
});
