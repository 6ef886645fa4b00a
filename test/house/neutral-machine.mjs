import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from '../../scripts/build.mjs';

/** Prefixes of variables that change what git, the AWS SDK or Baton do: a test sets what it needs itself. `BATON_TEST_` chooses optional lanes. */
const FOREIGN = /^(GIT_|BATON_(?!TEST_)|AWS_)/;

/** Runs once before the workers start, so that every test and every process started by a test sees the same neutral machine. */
export default async function neutralMachine() {
  for (const name of Object.keys(process.env)) {
    if (FOREIGN.test(name)) delete process.env[name];
  }
  // The SDK's pins work with every Node that Baton runs on; its notice about next year belongs to nobody here.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  process.env.GIT_CONFIG_GLOBAL = fileURLToPath(new URL('./gitconfig', import.meta.url));
  process.env.GIT_CONFIG_NOSYSTEM = '1';
  process.env.GIT_TERMINAL_PROMPT = '0';
  // Whatever a test puts into the temporary directory lies here; nothing-left.mjs puts it away.
  process.env.TMPDIR = realpathSync(mkdtempSync(join(tmpdir(), 'baton-tests-')));
  // Tests start the bundles that a user would start: never older ones.
  await buildIfStale();
}
