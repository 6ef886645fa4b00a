import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Compute } from '../../schemas/compute.ts';

/** The stage that is deployed on loopback: not the default one, so that a name written by hand somewhere does not fit by accident. */
export const STAGE = 'loopback';

/** Settings of the deployment. Networks and images mean nothing here, but without them nothing would be synthesised. */
const SETTINGS = {
  stage: STAGE,
  computes: 'ecs',
  agentImage: 'example.com/baton-agent:1',
  vpc: 'vpc-0123456789abcdef0',
  subnets: 'subnet-0123456789abcdef0,subnet-0123456789abcdef1',
  agentCommandAllowed: 'true',
};

/** An image where AgentCore takes it from. */
const ECR_IMAGE = '000000000000.dkr.ecr.us-east-1.amazonaws.com/baton-agent:1';

/** Settings of a deployment with these back ends, the default one first. What is for networks of our own is refused where there is none. */
export const withComputes = (computes: readonly Compute[]): Readonly<Record<string, string>> => ({
  computes: computes.join(','),
  ...(computes.includes('agentcore') ? { agentImage: ECR_IMAGE } : {}),
  ...(computes.includes('ecs') || computes.includes('ec2') ? {} : { vpc: '', subnets: '' }),
});

/** Synthesis and bundling together, in milliseconds, on a machine that is busy with other tests. */
export const PREPARING_MAX_MS = 180_000;

/** Assemblies of earlier sources are kept so long, in milliseconds: longer than any test takes. */
const KEPT_MS = 3_600_000;

const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = join(root, 'dist');
/** Beginning of the names of finished assemblies, below `dist`; what they were made from follows. */
const FINISHED = 'loopback-';

const known = new Map<string, string>();

/** The cloud assembly of the present sources, as `cdk deploy` would take it: one for all scenes of a test file with the same settings. */
export function cloudAssembly(more: Readonly<Record<string, string>> = {}): string {
  const settings = JSON.stringify({ ...SETTINGS, ...more });
  const assembly = known.get(settings) ?? made(settings);
  known.set(settings, assembly);
  return assembly;
}

function made(settings: string): string {
  run('scripts/build.mjs', '--all', '--if-stale');
  const finished = join(dist, `${FINISHED}${fingerprint(settings)}`);
  if (existsSync(finished)) return finished;
  const draft = join(dist, `.${FINISHED}${process.pid}`);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  run('--import', 'tsx', 'infra/app.ts', { CDK_OUTDIR: draft, CDK_CONTEXT_JSON: settings });
  sweep();
  put(draft, finished);
  return finished;
}

/** Another test may still run what was made from earlier sources, but no test for so long. */
function sweep(): void {
  for (const name of readdirSync(dist)) {
    const path = join(dist, name);
    const modifiedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (name.startsWith(FINISHED) && Date.now() - modifiedMs > KEPT_MS) rmSync(path, { recursive: true, force: true });
  }
}

/** Another test file may have been faster: then its assembly is as good. */
function put(draft: string, finished: string): void {
  try {
    renameSync(draft, finished);
  } catch (error) {
    if (!existsSync(finished)) throw error;
    rmSync(draft, { recursive: true, force: true });
  }
}

function run(...given: (string | Readonly<Record<string, string>>)[]): void {
  const args = given.filter((one): one is string => typeof one === 'string');
  const environment = Object.assign({}, ...given.filter((one) => typeof one !== 'string')) as Record<string, string>;
  execFileSync(process.execPath, args, {
    cwd: root,
    env: { ...process.env, CDK_VALIDATION: 'false', ...environment },
    stdio: 'pipe',
    timeout: PREPARING_MAX_MS,
  });
}

/** Of everything that the assembly is made from: bundles, infrastructure, settings. */
function fingerprint(settings: string): string {
  const hash = createHash('sha256').update(settings);
  hash.update(readFileSync(join(dist, 'lambda', '.sources'), 'utf8'));
  for (const name of readdirSync(join(root, 'infra')).sort()) {
    const { size, mtimeMs } = statSync(join(root, 'infra', name));
    hash.update(`${name} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}
