// Checks the walls between the rooms (.dependency-cruiser.cjs). `node scripts/walls.mjs [folder] [--json]`
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Folders that hold no source of ours. */
const NOT_OURS = new Set(['node_modules', 'dist', 'coverage', 'cdk.out']);

const folder = resolve(process.argv.slice(2).find((word) => !word.startsWith('--')) ?? root);
const { violations, modules, files } = await inspect(folder).catch((error) => {
  // A file that does not parse; the parser's own stack says nothing more.
  console.error(error.message.split('\nCaused by')[0].trimEnd());
  console.error('walls: not checked, a file above could not be parsed');
  process.exit(1);
});

if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ violations, modules, files }));
} else {
  for (const { rule, from, to, comment } of violations) console.error(`${from} → ${to}\n  ${rule}: ${comment}`);
  if (modules < files) {
    console.error(
      `Only ${modules} of ${files} source files were read: the parser of dependency-cruiser does not work here.`,
    );
  }
  console.log(`walls: ${violations.length} violations in ${modules} modules`);
}
process.exitCode = violations.length > 0 || modules < files ? 1 : 0;

/** Cruises the source files below the folder: the violations, how many of the files were read, and how many there are. */
async function inspect(baseDir) {
  const { forbidden, options } = createRequire(import.meta.url)('../.dependency-cruiser.cjs');
  const files = sourceFiles(baseDir);
  if (files.length === 0) return { violations: [], modules: 0, files: 0 };
  const { output } = await cruise(files, { ...options, baseDir, validate: true, ruleSet: { forbidden } });
  const read = new Set(output.modules.map((module) => module.source));
  const comments = new Map(forbidden.map(({ name, comment }) => [name, comment]));
  return {
    violations: output.summary.violations.map(({ rule, from, to }) => ({
      rule: rule.name,
      from,
      to,
      comment: comments.get(rule.name),
    })),
    modules: files.filter((file) => read.has(file)).length,
    files: files.length,
  };
}

/** TypeScript and .mjs files below the folder, as paths with forward slashes relative to it. */
function sourceFiles(baseDir, below = baseDir) {
  const found = [];
  for (const entry of readdirSync(below, { withFileTypes: true })) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) {
      if (!NOT_OURS.has(entry.name) && !entry.name.startsWith('.')) found.push(...sourceFiles(baseDir, path));
    } else if (/\.(ts|mjs)$/.test(entry.name)) {
      found.push(relative(baseDir, path).split(sep).join('/'));
    }
  }
  return found;
}
