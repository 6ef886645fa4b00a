// Installs the dependencies when they are missing or do not fit yarn.lock. Plain Node without dependencies: it runs on a fresh clone.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stampFile = join(root, 'node_modules', '.baton-install');

/** The oldest Node release that Baton runs on: [major, minor]. */
const OLDEST_NODE = [20, 20];
/** A cold install takes about a minute on a slow line; after this many minutes something hangs. */
const INSTALL_LIMIT_MIN = 15;

/** Lines of a failed install that are shown: the cause is near the end. */
const OUTPUT_LINES = 20;

const UNREACHABLE =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network|getaddrinfo|socket hang up/i;

setup();

function setup() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    stop(`Baton needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}.`);
  }
  const wanted = fingerprint();
  const why = reasonToInstall(wanted);
  if (why === undefined) return;
  console.log(`setup: ${why}, installing with Yarn (about a minute the first time)`);
  install();
  writeFileSync(stampFile, wanted);
}

/** Why an install is needed, or undefined when the installed packages fit. */
function reasonToInstall(wanted) {
  if (!existsSync(join(root, 'node_modules'))) return 'node_modules is missing';
  if (!existsSync(stampFile)) return 'node_modules was not installed by this script';
  if (readFileSync(stampFile, 'utf8') !== wanted) return 'package.json or yarn.lock changed since the last install';
  return undefined;
}

/** Hash of everything that decides what is installed, and of the machine that it is installed for. */
function fingerprint() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const hash = createHash('sha256');
  for (const field of ['dependencies', 'devDependencies', 'optionalDependencies', 'resolutions', 'packageManager']) {
    hash.update(JSON.stringify(manifest[field] ?? null));
  }
  hash.update(readFileSync(join(root, 'yarn.lock')));
  hash.update(readFileSync(join(root, '.yarnrc.yml')));
  hash.update(`${process.platform} ${process.arch}`);
  return hash.digest('hex');
}

function install() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const version = packageManager.replace(/^yarn@/, '');
  const env = { ...process.env };
  // npm hands its registry to scripts only when it is not the public one; Yarn has a setting of its own.
  if (env.npm_config_registry && !env.YARN_NPM_REGISTRY_SERVER) {
    env.YARN_NPM_REGISTRY_SERVER = env.npm_config_registry.replace(/\/$/, '');
  }
  const result = spawnSync('npx', ['-y', `@yarnpkg/cli-dist@${version}`, 'install', '--immutable'], {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
    timeout: INSTALL_LIMIT_MIN * 60_000,
  });
  if (result.status === 0) return;
  if (result.error?.code === 'ENOENT') stop('npx was not found: install npm (it comes with Node) and try again.');
  if (result.error?.code === 'ETIMEDOUT') stop(`The install did not end within ${INSTALL_LIMIT_MIN} minutes.`);
  const output = `${result.stdout}${result.stderr}`.trimEnd();
  console.error(withoutStacks(output).slice(-OUTPUT_LINES).join('\n'));
  if (UNREACHABLE.test(output)) {
    stop(
      'The package registry could not be reached. Connect to a network (or set the registry and proxy of npm) and try again.',
    );
  }
  stop('The install failed; the lines above say why.');
}

/** The distinct lines of an output without stack frames. */
function withoutStacks(output) {
  return [...new Set(output.split('\n'))].filter((line) => !/^(npm error)?\s+at /.test(line));
}

function stop(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}
