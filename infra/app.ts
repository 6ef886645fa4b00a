import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { batonApp } from './baton-app.ts';

/** Bundles of the functions, made by `node scripts/build.mjs --lambda`. */
const BUNDLES = 'dist/lambda';
/** Where the CDK's command line looks when it does not say where. */
const OUTDIR = 'cdk.out';

/** Synthesises the deployment: run by the CDK's command line (`cdk.json`), or by itself with the same `-c name=value`. */
function main(): void {
  // cdk-nag reads every property of every resource, the outdated ones too; nothing here sets one.
  process.env['JSII_DEPRECATED'] ??= 'quiet';
  clear();
  const { values } = parseArgs({ options: { context: { type: 'string', short: 'c', multiple: true, default: [] } } });
  const context = Object.fromEntries(values.context.map(splitSetting));
  const outdir = process.env['CDK_OUTDIR'] ?? OUTDIR;
  const app = batonApp({ context, outdir, bundles: BUNDLES, checked: process.env['CDK_VALIDATION'] !== 'false' });
  const { stacks } = app.synth();
  process.stdout.write(`synth: ${stacks.map(({ stackName }) => stackName).join(', ')} in ${outdir}\n`);
}

/** Templates of another stage, or that the checks refused, must not lie where somebody deploys from. The CDK clears its own directories. */
function clear(): void {
  if (process.env['CDK_OUTDIR'] === undefined) rmSync(OUTDIR, { recursive: true, force: true });
}

function splitSetting(text: string): [string, string] {
  const [name = '', ...value] = text.split('=');
  if (value.length === 0) throw new Error(`-c ${text} has no value: write -c name=value.`);
  return [name, value.join('=')];
}

try {
  main();
} catch (error) {
  clear();
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
