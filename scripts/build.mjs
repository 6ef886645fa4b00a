// Bundles the entry points into dist/, where the command line, the worlds and the runner's image take them from.
// `--lambda` bundles the Lambda functions instead, `--all` both; `--if-stale` only what is not of the present sources.
import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Bundle name in dist/ → entry point. An entry point that does not exist is left out. */
const ENTRY_POINTS = {
  baton: 'cli/main.ts',
  runner: 'agent/main.ts',
  'runner-aws': 'agent/aws-main.ts',
  supervisor: 'agent/supervisor.ts',
  'local-containers': 'agent/local-containers.ts',
  'libsql-worker': 'runtime/engine/libsql-worker.ts',
  demo: 'scripts/demo.ts',
};

/** File in dist/ → source that is put there as it is. */
const COPIES = { 'host-run.sh': 'agent/host/run.sh' };

/** The bundle that loads parts of itself only when they are asked for: the command line, which seldom needs the SDK. All others are one file each. */
const SPLIT = 'baton';
/** What the names of its parts begin with. */
const CHUNK = 'baton-part-';

/** Rooms whose sources can end in a bundle. */
const SOURCE_ROOMS = [
  'agent',
  'cli',
  'console',
  'events',
  'handlers',
  'lifecycle',
  'rules',
  'runtime',
  'schemas',
  'scripts',
];

/** Packages with native parts: they are loaded from node_modules. */
const NATIVE = ['libsql', '@libsql/*'];

/** Bundled CommonJS packages call `require` for Node's own modules. */
const BANNER =
  "import { createRequire as createBundleRequire } from 'node:module';\nconst require = createBundleRequire(import.meta.url);";

/** Files of an interrupted build are swept away after this many minutes: no build takes that long, nor the start of a process. */
const LEFTOVER_MIN = 10;
/** The bits of a mode that let somebody write. */
const WRITABLE = 0o222;

/**
 * Builds unless dist/ was made from exactly the present sources (paths, sizes, modification times). Answers whether it built.
 * Takes the checkout's root, by default the one that holds this file.
 */
export async function buildIfStale(checkout = root) {
  const sources = fingerprint(checkout);
  if (readIfThere(join(checkout, 'dist', '.sources')) === sources) return false;
  await build(checkout, sources);
  return true;
}

/** Bundles every entry point. Builds at the same time do no harm: each file, and last the fingerprint, is put in place by a rename. */
export async function build(checkout = root, sources = fingerprint(checkout)) {
  const esbuild = await import('esbuild');
  const entryPoints = Object.entries(ENTRY_POINTS).filter(([, file]) => isThere(join(checkout, file)));
  const dist = join(checkout, 'dist');
  const bundle = (names, more = {}) =>
    esbuild.build({
      absWorkingDir: checkout,
      entryPoints: entryPoints.filter(([out]) => names.includes(out)).map(([out, file]) => ({ in: file, out })),
      outdir: dist,
      bundle: true,
      write: false,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      // The SDK's modules are smaller than its CommonJS.
      mainFields: ['module', 'main'],
      external: NATIVE,
      sourcemap: true,
      sourcesContent: false,
      legalComments: 'none',
      banner: { js: BANNER },
      logLevel: 'silent',
      ...more,
    });
  const whole = entryPoints.map(([out]) => out).filter((out) => out !== SPLIT);
  const built = await Promise.all([bundle(whole), bundle([SPLIT], { splitting: true, chunkNames: `${CHUNK}[hash]` })]);
  const outputFiles = built.flatMap((one) => one.outputFiles);
  mkdirSync(dist, { recursive: true });
  // Maps, then parts, then what loads them: a bundle never lacks its map, nor a part of it.
  for (const { path, contents } of outputFiles.sort((a, b) => placeOf(a) - placeOf(b)))
    put(dist, basename(path), contents);
  sweepLeftovers(dist, new Set(outputFiles.map(({ path }) => basename(path))));
  for (const [name, file] of Object.entries(COPIES)) {
    if (isThere(join(checkout, file))) put(dist, name, readFileSync(join(checkout, file)));
  }
  put(dist, '.sources', sources);
  return entryPoints.map(([out]) => `dist/${out}.js`);
}

/** Bundles the Lambda functions unless dist/lambda/ was made from exactly the present sources. Answers whether it built. */
export async function buildLambdaIfStale(checkout = root) {
  const sources = fingerprint(checkout);
  if (readIfThere(join(checkout, 'dist', 'lambda', '.sources')) === sources) return false;
  await buildLambda(checkout, sources);
  return true;
}

/** Bundles every Lambda function into dist/lambda/<rule>/index.mjs. A build of its own: nothing on one machine needs it. */
export async function buildLambda(checkout = root, sources = fingerprint(checkout)) {
  const { bundleLambda } = await import('./lambda-entries.mjs');
  const outdir = join(checkout, 'dist', 'lambda');
  const bundles = await bundleLambda(checkout, outdir);
  put(outdir, '.sources', sources);
  return bundles.map(({ name }) => `dist/lambda/${name}/index.mjs`);
}

function put(dist, name, contents) {
  const draft = join(dist, `.${name}.${randomUUID()}.tmp`);
  writeFileSync(draft, contents);
  renameSync(draft, join(dist, name));
}

const placeOf = ({ path }) => (path.endsWith('.map') ? 0 : basename(path).startsWith(CHUNK) ? 1 : 2);

/**
 * Drafts of an interrupted build, and parts that no bundle names any more. A process that has begun before may still load such a part: its
 * time begins when a build leaves it out for the first time, which makes it read-only as a mark.
 */
function sweepLeftovers(dist, present) {
  const oldest = Date.now() - LEFTOVER_MIN * 60_000;
  for (const name of readdirSync(dist)) {
    const isPart = name.startsWith(CHUNK);
    if (isPart ? present.has(name) : !name.endsWith('.tmp')) continue;
    const path = join(dist, name);
    try {
      const { mode, mtimeMs } = statSync(path);
      if (isPart && (mode & WRITABLE) !== 0) {
        utimesSync(path, new Date(), new Date());
        chmodSync(path, mode & ~WRITABLE);
      } else if (mtimeMs < oldest) rmSync(path, { force: true });
    } catch (error) {
      // Another build was faster.
      if (error.code !== 'ENOENT') throw error;
    }
  }
}

function fingerprint(checkout) {
  const hash = createHash('sha1');
  for (const file of ['package.json', 'yarn.lock', 'tsconfig.json']) note(hash, join(checkout, file), file);
  for (const room of SOURCE_ROOMS) noteRoom(hash, join(checkout, room), room);
  return hash.digest('hex');
}

function noteRoom(hash, folder, name) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) noteRoom(hash, path, `${name}/${entry.name}`);
    else note(hash, path, `${name}/${entry.name}`);
  }
}

function note(hash, path, name) {
  const seen = statSync(path, { throwIfNoEntry: false });
  hash.update(seen === undefined ? `${name} absent\n` : `${name} ${seen.size} ${seen.mtimeMs}\n`);
}

function isThere(path) {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(new Set(process.argv.slice(2)));

async function main(asked) {
  const startedMs = performance.now();
  const isForLambda = asked.has('--lambda') || asked.has('--all');
  const isForHere = !asked.has('--lambda') || asked.has('--all');
  try {
    if (asked.has('--if-stale')) {
      if (isForHere) await buildIfStale();
      if (isForLambda) await buildLambdaIfStale();
      return;
    }
    const bundles = [...(isForHere ? await build() : []), ...(isForLambda ? await buildLambda() : [])];
    const what = bundles.length === 0 ? 'no entry point exists yet' : bundles.join(', ');
    console.log(`build: ${what} (${Math.round(performance.now() - startedMs)} ms)`);
  } catch (error) {
    if (error.errors === undefined) throw error;
    const { formatMessages } = await import('esbuild');
    for (const line of await formatMessages(error.errors, { kind: 'error' })) console.error(line);
    process.exitCode = 1;
  }
}
