import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';

/** The store's writer thread and the processes that are made to be killed, bundled from the present sources, where packages resolve. */
export function bundleStore(): { workerUrl: URL; writer: string; lockHolder: string; remove: () => void } {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  mkdirSync(join(root, 'dist'), { recursive: true });
  const outdir = mkdtempSync(join(root, 'dist', '.store-test-'));
  buildSync({
    absWorkingDir: root,
    entryPoints: {
      'libsql-worker': 'runtime/engine/libsql-worker.ts',
      writer: 'test/contracts/record-store-writer.ts',
      'lock-holder': 'test/runtime/engine/world-lock-holder.ts',
    },
    outdir,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['libsql'],
  });
  return {
    workerUrl: pathToFileURL(join(outdir, 'libsql-worker.js')),
    writer: join(outdir, 'writer.js'),
    lockHolder: join(outdir, 'lock-holder.js'),
    remove: () => rmSync(outdir, { recursive: true, force: true }),
  };
}
