// Lambda entries generated from the rule values: one bundle per rule, with the adapters of the ports that the rule uses and no others.
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as esbuild from 'esbuild';

/** What every function publishes with, whatever its rule uses. */
const BUS = 'bus';

/** What a rule with `once` remembers with. */
const EFFECTS = 'effects';

/** Where a rule that reads a queue puts what no try can handle. */
const LETTERS = 'letters';

/** Namespace of the generated sources inside the bundler; they never become files. */
const GENERATED = 'lambda-entry';

/** Files of an interrupted build are swept away after this many minutes: no build takes that long. */
const LEFTOVER_MIN = 10;

/** How every function is bundled; a comparison bundles with the same. The fields are read in this order: CommonJS doubles the size. */
export const LAMBDA_BUNDLING = {
  bundle: true,
  write: false,
  minify: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  mainFields: ['module', 'main'],
  legalComments: 'none',
  charset: 'utf8',
  logLevel: 'silent',
};

/**
 * The functions of a checkout, in the order of the rules: `{ name, uses, source }`, where `source` is the entry. Throws when a rule
 * has no handler of its name, or uses a port that has no adapter.
 */
export async function lambdaEntries(checkout) {
  const { rules, handlers } = await declarationsOf(checkout);
  return rules.map((rule) => ({
    name: rule.name,
    uses: rule.uses,
    source: entrySource(rule, exportOf(rule, handlers[rule.name]), checkout),
  }));
}

/** Bundles every function into `<outdir>/<rule>/index.mjs`; each is put in place by a rename. Answers the paths and sizes in bytes. */
export async function bundleLambda(checkout, outdir) {
  const entries = await lambdaEntries(checkout);
  const sources = new Map(entries.map(({ name, source }) => [name, source]));
  const { outputFiles } = await esbuild.build({
    ...LAMBDA_BUNDLING,
    absWorkingDir: checkout,
    entryPoints: entries.map(({ name }) => ({ in: `${GENERATED}:${name}`, out: `${name}/index` })),
    outdir,
    outExtension: { '.js': '.mjs' },
    plugins: [generated(sources, checkout), withoutUnused()],
  });
  mkdirSync(outdir, { recursive: true });
  sweep(outdir, new Set(entries.map(({ name }) => name)));
  for (const { path, contents } of outputFiles) put(outdir, path, contents);
  return outputFiles.map(({ path, contents }) => ({ name: basename(dirname(path)), path, bytes: contents.length }));
}

/** The rule values, and what each handler's file exports, loaded as the sources stand. */
async function declarationsOf(checkout) {
  const files = readdirSync(join(checkout, 'handlers')).filter((file) => file.endsWith('.ts') && file !== 'index.ts');
  const lines = files.map((file) => `export * as ${JSON.stringify(basename(file, '.ts'))} from './handlers/${file}';`);
  const { outputFiles } = await esbuild.build({
    ...LAMBDA_BUNDLING,
    minify: false,
    absWorkingDir: checkout,
    stdin: { contents: [`export { rules } from './rules/index.ts';`, ...lines].join('\n'), resolveDir: checkout },
  });
  const { rules, ...handlers } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
  );
  return { rules, handlers };
}

/** Name under which the handler's file exports the reaction to its rule. */
function exportOf(rule, exported = {}) {
  const names = Object.keys(exported).filter((name) => exported[name]?.rule?.name === rule.name);
  if (names.length === 1) return names[0];
  throw new Error(`handlers/${rule.name}.ts must export the one reaction to the rule "${rule.name}"`);
}

function entrySource(rule, exported, checkout) {
  const ports = [BUS, ...(rule.once ? [EFFECTS] : []), ...(rule.delivery === 'queue' ? [LETTERS] : []), ...rule.uses];
  for (const port of ports) {
    if (statSync(join(checkout, adapterFile(port)), { throwIfNoEntry: false })) continue;
    throw new Error(`rule "${rule.name}" uses the port "${port}": ${adapterFile(port)} is missing`);
  }
  return [
    `import { ${exported} as reaction } from './handlers/${rule.name}.ts';`,
    ...ports.map((port) => `import * as ${port} from './${adapterFile(port)}';`),
    `import { startFunction } from './runtime/aws/start-function.ts';`,
    `export const handler = await startFunction(reaction, { ${ports.join(', ')} });`,
  ].join('\n');
}

const adapterFile = (port) => `runtime/aws/adapters/${port}.ts`;

/** Gives the bundler the generated sources, as if they lay in the checkout's root. */
function generated(sources, checkout) {
  return {
    name: GENERATED,
    setup(build) {
      build.onResolve({ filter: new RegExp(`^${GENERATED}:`) }, ({ path }) => ({
        path: path.slice(GENERATED.length + 1),
        namespace: GENERATED,
      }));
      build.onLoad({ filter: /.*/, namespace: GENERATED }, ({ path }) => ({
        contents: sources.get(path),
        loader: 'js',
        resolveDir: checkout,
      }));
    },
  };
}

/** Code of packages that no function ever runs, and what stands in its place: each cold start would read and compile it. */
const REPLACED = [
  {
    // Lambda hands a function its credentials in the environment, and gives it a new one before they run out. The chain of all other
    // sources (profiles, single sign-on, metadata services) is a quarter of a function.
    module: /[\\/]@aws-sdk[\\/]credential-provider-node[\\/]dist-es[\\/]index\.js$/,
    by: () => `export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';`,
  },
  {
    // Bedrock's client can present a bearer token, for which it looks by the same other sources. A function signs as its role.
    module: /[\\/]@aws-sdk[\\/]token-providers[\\/]dist-es[\\/]index\.js$/,
    by: () =>
      `const none = () => async () => { throw new Error('a function signs as its role'); };\nexport { none as fromEnvSigningName, none as nodeProvider };`,
  },
  {
    // Holds the endpoints that DynamoDB's endpoint discovery found: one, where it is used at all.
    module: /[\\/]mnemonist[\\/]lru-cache\.js$/,
    by: () => `export default class extends Map { constructor() { super(); } peek(key) { return this.get(key); } }`,
  },
  {
    // JSON Schemas are generated when Baton is developed (`npm run generate`).
    module: /[\\/]zod[\\/]v4[\\/]core[\\/](to-json-schema|json-schema-processors)\.js$/,
    by: (source) =>
      [
        `const none = () => { throw new Error('a function on Lambda writes no JSON Schema'); };`,
        ...namesExportedBy(source).map(
          (name) => `export const ${name} = ${name.startsWith('create') ? '() => none' : 'none'};`,
        ),
      ].join('\n'),
  },
];

const namesExportedBy = (source) =>
  [...source.matchAll(/^export (?:const|function|class) (\w+)/gm)].map(([, name]) => name);

/** Replaces what is never run. Fails where nothing was left to replace: then a package has moved its files, and functions have grown. */
function withoutUnused() {
  return {
    name: 'without-unused',
    setup(build) {
      const met = new Set();
      for (const { module, by } of REPLACED) {
        build.onLoad({ filter: module }, ({ path }) => {
          met.add(module);
          return { contents: by(readFileSync(path, 'utf8')), resolveDir: dirname(path), loader: 'js' };
        });
      }
      build.onEnd(({ errors }) => {
        const missed = REPLACED.filter(({ module }) => !met.has(module));
        if (errors.length > 0 || missed.length === 0) return undefined;
        return {
          errors: missed.map(({ module }) => ({ text: `no module matches ${module}, which was to be replaced` })),
        };
      });
    },
  };
}

/** Drafts stand beside the functions' folders, never in one: a folder is what gets deployed. */
function put(outdir, path, contents) {
  const draft = join(outdir, `.${randomUUID()}.tmp`);
  writeFileSync(draft, contents);
  mkdirSync(dirname(path), { recursive: true });
  renameSync(draft, path);
}

/** Takes away the folders of rules that are gone, and what an interrupted build left. */
function sweep(outdir, names) {
  const oldest = Date.now() - LEFTOVER_MIN * 60_000;
  for (const entry of readdirSync(outdir, { withFileTypes: true })) {
    const path = join(outdir, entry.name);
    const isGone = entry.isDirectory() && !names.has(entry.name);
    const isLeft =
      entry.name.endsWith('.tmp') && (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? oldest) < oldest;
    if (isGone || isLeft) rmSync(path, { recursive: true, force: true });
  }
}
