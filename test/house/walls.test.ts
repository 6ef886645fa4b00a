import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A small Baton that keeps every wall: file → source. */
const TIDY: Record<string, string> = {
  'schemas/task.ts': "import * as z from 'zod';\nexport const task = z.object({});\n",
  'events/task-submitted.ts': "import { task } from '../schemas/task.ts';\nexport const taskSubmitted = task;\n",
  'lifecycle/states.ts': "import type { task } from '../schemas/task.ts';\nexport type State = typeof task;\n",
  'rules/accept-task.ts':
    "import { taskSubmitted } from '../events/task-submitted.ts';\nexport const acceptTask = taskSubmitted;\n",
  'runtime/react.ts':
    "import type { State } from '../lifecycle/states.ts';\nexport const react = (state: State) => state;\n",
  'runtime/clock.ts': "import { hrtime } from 'node:process';\nexport const now = () => hrtime.bigint();\n",
  'handlers/accept-task.ts':
    "import { acceptTask as rule } from '../rules/accept-task.ts';\nimport { react } from '../runtime/react.ts';\nexport const acceptTask = react(rule);\n",
  'handlers/admit-task.ts': 'export const admitTask = 1;\n',
  'handlers/index.ts': "export { acceptTask } from './accept-task.ts';\nexport { admitTask } from './admit-task.ts';\n",
  'runtime/embedded-world.ts': "import * as handlers from '../handlers/index.ts';\nexport const world = handlers;\n",
  'agent/main.ts':
    "import { spawn } from 'node:child_process';\nimport { task } from '../schemas/task.ts';\nexport { spawn, task };\n",
  'infra/stack.ts': "import { acceptTask } from '../rules/accept-task.ts';\nexport const stack = acceptTask;\n",
  'cli/main.ts': "import { world } from '../runtime/embedded-world.ts';\nexport const main = world;\n",
  'bench/main.ts': "import { world } from '../runtime/embedded-world.ts';\nexport const main = world;\n",
  'console/page.ts': "import { now } from '../runtime/clock.ts';\nexport const page = now;\n",
  'scripts/demo.ts': "import { main } from '../cli/main.ts';\nexport const demo = main;\n",
  'test/builders.ts': 'export const aTask = 1;\n',
};

/** The wall that must report it, the file that breaks it, and what that file imports. */
const PLANTED: [wall: string, file: string, target: string][] = [
  ['schemas-wall', 'schemas/task.ts', 'runtime/clock.ts'],
  ['schemas-wall', 'schemas/task.ts', 'node:fs'],
  ['schemas-wall', 'schemas/task.ts', 'commander'],
  ['events-wall', 'events/task-submitted.ts', 'lifecycle/states.ts'],
  ['events-wall', 'events/task-submitted.ts', 'node:crypto'],
  ['lifecycle-wall', 'lifecycle/states.ts', 'handlers/admit-task.ts'],
  ['lifecycle-wall', 'lifecycle/states.ts', 'runtime/clock.ts'],
  ['rules-wall', 'rules/accept-task.ts', 'handlers/admit-task.ts'],
  ['rules-wall', 'rules/accept-task.ts', '@aws-sdk/client-ecs'],
  ['rules-wall', 'rules/accept-task.ts', 'aws-cdk-lib'],
  ['runtime-wall', 'runtime/clock.ts', 'infra/stack.ts'],
  ['only-adapters-know-the-sdk', 'runtime/clock.ts', '@aws-sdk/client-ecs'],
  ['only-adapters-know-the-sdk', 'cli/main.ts', '@aws-sdk/client-dynamodb'],
  ['only-worlds-wire-handlers', 'runtime/clock.ts', 'handlers/admit-task.ts'],
  ['handlers-wall', 'handlers/accept-task.ts', 'handlers/admit-task.ts'],
  ['handlers-wall', 'handlers/accept-task.ts', 'runtime/clock.ts'],
  ['handlers-wall', 'handlers/accept-task.ts', 'runtime/embedded-world.ts'],
  ['handlers-wall', 'handlers/accept-task.ts', '@middy/core'],
  ['handlers-wall', 'handlers/accept-task.ts', 'node:crypto'],
  ['handlers-index-wall', 'handlers/index.ts', 'runtime/clock.ts'],
  ['agent-wall', 'agent/main.ts', 'handlers/admit-task.ts'],
  ['agent-wall', 'agent/main.ts', 'runtime/embedded-world.ts'],
  ['infra-wall', 'infra/stack.ts', 'handlers/admit-task.ts'],
  ['infra-wall', 'infra/stack.ts', 'runtime/react.ts'],
  ['cli-wall', 'cli/main.ts', 'infra/stack.ts'],
  ['console-wall', 'console/page.ts', 'infra/stack.ts'],
  ['scripts-wall', 'scripts/demo.ts', 'infra/stack.ts'],
  ['bench-wall', 'bench/main.ts', 'infra/stack.ts'],
  ['product-never-imports-tests', 'cli/main.ts', 'test/builders.ts'],
  ['resolvable', 'cli/main.ts', './absent.ts'],
];

/** Forbidden things that a declaration reaches only through the planted import of runtime/clock.ts. */
const REACHED: [wall: string, file: string, target: string][] = [
  ['declarations-reach-no-cloud', 'schemas/task.ts', '@aws-sdk/client-dynamodb'],
  ['declarations-reach-no-node', 'rules/accept-task.ts', 'node:process'],
];

let folder = '';

describe('a repository that keeps the walls', () => {
  beforeAll(layOut);
  afterAll(clearAway);

  it('has no violation, and every file of it was read', async () => {
    const files = Object.keys(TIDY).length;
    expect(await walls()).toEqual({ violations: [], modules: files, files });
  });
});

describe('a planted violation', () => {
  let violations: Answer['violations'] = [];

  beforeAll(async () => {
    layOut();
    plant('runtime/clock.ts', `import '@aws-sdk/client-dynamodb';\n${TIDY['runtime/clock.ts']}`);
    for (const [, file, target] of PLANTED) {
      const specifier = target.endsWith('.ts') && !target.startsWith('.') ? `../${target}` : target;
      plant(file, `import ${JSON.stringify(specifier)};\n${readFileSync(join(folder, file), 'utf8')}`);
    }
    ({ violations } = await walls());
  });

  afterAll(clearAway);

  it.each([...PLANTED, ...REACHED])('of %s in %s, which takes %s, is reported', (rule, from, target) => {
    const seen = violations.filter((violation) => violation.rule === rule && violation.from === from);
    expect(seen.map(({ to }) => to)).toContainEqual(expect.stringContaining(target.replace(/^node:/, '')));
  });

  it('of a type-only cycle is reported', async () => {
    clearAway();
    layOut();
    plant('schemas/size.ts', "import type { Task } from './task.ts';\nexport type Size = Task;\n");
    plant(
      'schemas/task.ts',
      `import type { Size } from './size.ts';\nexport type Task = Size;\n${TIDY['schemas/task.ts']}`,
    );
    expect((await walls()).violations.map(({ rule }) => rule)).toEqual(['no-cycles']);
  });
});

describe('a file that does not parse', () => {
  beforeAll(layOut);
  afterAll(clearAway);

  it('fails the check instead of being passed over', async () => {
    plant('schemas/task.ts', 'export const = ;\n');
    await expect(walls()).rejects.toThrow('could not be parsed');
  });
});

function layOut(): void {
  folder = mkdtempSync(join(tmpdir(), 'baton-walls-'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  for (const [file, source] of Object.entries(TIDY)) plant(file, source);
}

function clearAway(): void {
  rmSync(folder, { recursive: true, force: true });
}

function plant(file: string, source: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), source);
}

interface Answer {
  violations: { rule: string; from: string; to: string }[];
  modules: number;
  files: number;
}

function walls(): Promise<Answer> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [join(root, 'scripts', 'walls.mjs'), folder, '--json'], (_error, stdout, stderr) => {
      if (stdout === '') reject(new Error(stderr));
      else resolve(JSON.parse(stdout));
    });
  });
}
