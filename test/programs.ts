import { randomUUID } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const inDist = (name: string): string => join(root, 'dist', name);
const node = (file: string): string[] => [process.execPath, file];

/** The bundles of `dist/` as commands: those that a user would start, built from the present sources before the first test. */
export const programs = {
  supervisor: node(inDist('supervisor.js')),
  /** What stands for `docker` on one machine. */
  containers: node(inDist('local-containers.js')),
  runner: node(inDist('runner.js')),
  runnerOnAws: node(inDist('runner-aws.js')),
};

/** The file of a bundle of `dist/`. */
export const bundleFile = (name: 'runner' | 'runner-aws'): string => inDist(`${name}.js`);

/** What is in the names of the programs that tests of this run bundled into `dist/`, which the run takes away (test/house/nothing-left.mjs). */
export const testProgramsMark = (temporaryFolder: string): string => `.${basename(temporaryFolder)}.`;

/** The file of a program that only tests have. It is bundled once for a run, beside the real bundles, which it may start. */
export function testProgram(entry: URL): string {
  const source = fileURLToPath(entry);
  const outfile = inDist(`.${basename(source, '.ts')}${testProgramsMark(process.env['TMPDIR'] ?? '')}mjs`);
  if (existsSync(outfile)) return outfile;
  const draft = `${outfile}.${randomUUID()}.tmp`;
  buildSync({
    entryPoints: [source],
    outfile: draft,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['libsql'],
  });
  renameSync(draft, outfile);
  return outfile;
}
