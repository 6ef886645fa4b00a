import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { rules } from '../../rules/index.ts';
import type { Rule } from '../../rules/rule.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Two bundlings on a busy machine, in milliseconds. */
const SLOW_MS = 120_000;

/** What marks each client in minified code: the name of its service in requests. */
const SERVICES = {
  dynamodb: 'DynamoDB_20120810',
  events: 'AWSEvents',
  sqs: 'AmazonSQS',
  scheduler: 'AWSChronosService',
  s3: 'AmazonS3',
  'secrets manager': 'secretsmanager-fips',
  ecs: 'AmazonEC2ContainerServiceV20141113',
  bedrock: 'com.amazonaws.bedrockruntime',
  agentcore: 'com.amazonaws.bedrockagentcore',
  ssm: 'AmazonSSM',
  'auto scaling': 'com.amazonaws.autoscaling',
  github: 'octokit',
} as const;

/** The services that a port is made of. */
const servicesOf: Readonly<Record<string, readonly string[]>> = {
  bus: ['events'],
  tasks: ['dynamodb', 'sqs', 'scheduler'],
  slots: ['dynamodb'],
  runs: ['dynamodb', 'secrets manager'],
  payloads: ['s3', 'secrets manager'],
  repositories: ['dynamodb'],
  configurations: ['dynamodb'],
  agentcore: ['agentcore', 'dynamodb'],
  ecs: ['ecs'],
  workers: ['dynamodb'],
  ec2: ['auto scaling', 'dynamodb', 'ssm'],
  machines: ['auto scaling'],
  definitions: ['dynamodb', 'ecs'],
  screening: ['bedrock'],
  contexts: ['github', 'secrets manager'],
  letters: ['sqs'],
  webhooks: [],
  settings: [],
  clock: [],
};

/** What a rule's function has: what it publishes with, the dead letters of one that reads a queue, and what the rule uses. */
const portsOf = ({ uses, delivery }: Rule): readonly string[] => [
  'bus',
  ...(delivery === 'queue' ? ['letters'] : []),
  ...uses,
];

/** In a process of its own: the bundler does not run inside the test runner. */
function run(words: readonly string[], checkout = root): string {
  return execFileSync(process.execPath, words, { cwd: checkout, encoding: 'utf8', stdio: 'pipe' });
}

/** What the bundling of a checkout says when it fails. */
function complaintOf(checkout: string): string {
  try {
    run(['scripts/build.mjs', '--lambda'], checkout);
  } catch (error) {
    return String((error as { stderr: unknown }).stderr);
  }
  return 'nothing';
}

describe('the bundles of the functions', () => {
  beforeAll(() => void run(['scripts/build.mjs', '--lambda', '--if-stale']), SLOW_MS);

  test('are one for each rule, in a folder of its name with nothing beside', () => {
    const folders = readdirSync(join(root, 'dist/lambda'), { withFileTypes: true }).filter((one) => one.isDirectory());
    expect(folders.map(({ name }) => name).sort()).toEqual(rules.map(({ name }) => name).sort());
    for (const { name } of folders) expect(readdirSync(join(root, 'dist/lambda', name))).toEqual(['index.mjs']);
  });

  test.each(rules.map((rule) => [rule.name, portsOf(rule)] as const))(
    '%s has only the clients of its ports',
    (name, uses) => {
      const code = readFileSync(join(root, 'dist/lambda', name, 'index.mjs'), 'utf8');
      const has = Object.entries(SERVICES).flatMap(([service, mark]) => (code.includes(mark) ? [service] : []));
      const needs = new Set(uses.flatMap((port) => servicesOf[port] ?? [`unknown port ${port}`]));
      expect(has.sort()).toEqual([...needs].sort());
    },
  );
});

describe('a checkout', () => {
  let checkout: string;
  beforeAll(() => {
    checkout = mkdtempSync(join(tmpdir(), 'baton-entries-'));
    for (const room of [
      'scripts',
      'rules',
      'handlers',
      'events',
      'schemas',
      'lifecycle',
      'runtime',
      'package.json',
      'tsconfig.json',
    ])
      cpSync(join(root, room), join(checkout, room), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  });
  afterAll(() => rmSync(checkout, { recursive: true, force: true }));

  test(
    'is bundled again when a source changed, and only then',
    () => {
      const builtAt = () => statSync(join(checkout, 'dist/lambda/.sources')).mtimeMs;
      run(['scripts/build.mjs', '--lambda'], checkout);
      const first = builtAt();
      run(['scripts/build.mjs', '--lambda', '--if-stale'], checkout);
      expect(builtAt()).toBe(first);
      mkdirSync(join(checkout, 'dist/lambda/rule-of-yesterday'));
      appendFileSync(join(checkout, 'rules/close-stop.ts'), '\n');
      run(['scripts/build.mjs', '--lambda', '--if-stale'], checkout);
      expect(builtAt()).toBeGreaterThan(first);
      expect(readdirSync(join(checkout, 'dist/lambda'))).not.toContain('rule-of-yesterday');
    },
    SLOW_MS,
  );

  test(
    'that lacks an adapter is refused, with the rule, the port and the file',
    () => {
      const file = join(checkout, 'runtime/aws/adapters/ecs.ts');
      const kept = readFileSync(file);
      rmSync(file);
      const complaint = complaintOf(checkout);
      writeFileSync(file, kept);
      expect(complaint).toContain(
        'rule "start-run-on-ecs" uses the port "ecs": runtime/aws/adapters/ecs.ts is missing',
      );
    },
    SLOW_MS,
  );

  test(
    'that lacks a handler is refused, with the rule',
    () => {
      writeFileSync(join(checkout, 'handlers/close-stop.ts'), 'export const closeStop = 1;');
      expect(complaintOf(checkout)).toContain(
        'handlers/close-stop.ts must export the one reaction to the rule "close-stop"',
      );
    },
    SLOW_MS,
  );
});
