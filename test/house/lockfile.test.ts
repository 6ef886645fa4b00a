import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const lockfile = readFileSync(new URL('../../yarn.lock', import.meta.url), 'utf8');
const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

describe('the lockfile', () => {
  it('names no URL and no host, so that it installs from any registry', () => {
    const suspicious = lockfile
      .split('\n')
      .filter((line) => /:\/\/|__archiveUrl|registry\.|localhost|\d+\.\d+\.\d+\.\d+:/i.test(line));
    expect(suspicious).toEqual([]);
  });

  it('resolves every package from the npm protocol', () => {
    const resolutions = lockfile.split('\n').filter((line) => line.startsWith('  resolution: '));
    expect(resolutions.length).toBeGreaterThan(100);
    const foreign = resolutions.filter(
      (line) =>
        !/^ {2}resolution: "(@[\w.-]+\/)?[\w.-]+@(npm:[\w.+-]+|patch:.*#optional!builtin<[\w/]+>.*|workspace:\.)"$/.test(
          line,
        ),
    );
    expect(foreign).toEqual([]);
  });
});

describe('the manifest', () => {
  it('pins every package exactly', () => {
    const { dependencies, devDependencies, optionalDependencies, resolutions } = manifest;
    const pins = { ...dependencies, ...devDependencies, ...optionalDependencies, ...resolutions };
    const loose = Object.entries(pins).filter(([, version]) => !/^\d+\.\d+\.\d+(-[a-z0-9.]+)?$/.test(String(version)));
    expect(loose).toEqual([]);
  });

  it('has no pre- and post-scripts, which Yarn would ignore', () => {
    const names = Object.keys(manifest.scripts);
    expect(names.filter((name) => names.some((other) => name === `pre${other}` || name === `post${other}`))).toEqual(
      [],
    );
  });
});
