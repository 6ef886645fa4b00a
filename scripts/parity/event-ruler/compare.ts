// Compares Baton's matcher and validator with AWS's event-ruler. See README.md beside this file.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import type { EventPattern } from '../../../rules/event-pattern.ts';
import { compilePattern } from '../../../runtime/matcher.ts';
import { whyInvalid } from '../../../runtime/pattern-validity.ts';
import { anEvent, aPattern, aPatternOrNot } from './corpus.ts';

interface Case {
  readonly pattern: unknown;
  readonly event: unknown;
}
type Answer = 'fits' | 'does not fit' | 'refused' | 'breaks';

/** A line of Judge.java. event-ruler has defects of its own, at which it breaks. */
interface Said {
  readonly refusal: string | null;
  readonly fits?: boolean;
  readonly breaks?: boolean;
}

/** Longest run of Java or Maven in milliseconds: a million cases take a minute. */
const JAVA_MAX_MS = 600_000;
/** Generated cases that are kept for the tests: enough to meet every operator, few enough to be read. */
const KEPT = 300;
/** Longest kept case in characters of JSON: a case must be understood when it fails. */
const KEPT_LENGTH_MAX = 300;
/** Differences that are printed; the first few tell what is wrong. */
const SHOWN = 8;

/** Refusals of ours that event-ruler does not know: documented by AWS, or never meant. */
const STRICTER =
  /characters; at most|combinations; at most|numbers are compared between|an empty list$|operator "exactly"/;

const { values: asked } = parseArgs({
  options: {
    cases: { type: 'string', default: '20000' },
    seed: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const here = fileURLToPath(new URL('.', import.meta.url));
const fixtures = new URL('../../../test/fixtures/patterns/', import.meta.url);
const count = Number(asked.cases);
const seed = Number(asked.seed ?? Date.now() % 2 ** 31);

const classPath = classPathOfEventRuler();
const generated = [
  ...fc.sample(fc.record({ pattern: aPattern, event: anEvent }), { numRuns: count, seed }),
  ...fc.sample(fc.record({ pattern: aPatternOrNot, event: anEvent }), { numRuns: count, seed }),
];
const answers = judged(generated);
report(generated, answers);
if (asked.write) keep();

function report(cases: readonly Case[], answers: readonly Answer[]): void {
  const told = new Map<string, number>();
  const different: Case[] = [];
  for (const [index, one] of cases.entries()) {
    const theirs = answers[index] ?? 'refused';
    const kind = differs(one, theirs)
      ? 'DIFFERENT'
      : isStricter(whyInvalid(one.pattern))
        ? 'refused by ours on purpose'
        : theirs;
    told.set(kind, (told.get(kind) ?? 0) + 1);
    if (kind === 'DIFFERENT') different.push(one);
  }
  console.log(`seed ${seed}, ${cases.length} cases: ${[...told].map(([kind, many]) => `${many} ${kind}`).join(', ')}`);
  for (const one of different.slice(0, SHOWN)) {
    const small = reduced(one);
    console.log(
      `${JSON.stringify(small)}\n  event-ruler: ${judged([small])}; ours: ${ourAnswer(small)} ${whyInvalid(small.pattern) ?? ''}`,
    );
  }
  if (different.length > 0) process.exitCode = 1;
}

function differs(one: Case, theirs: Answer): boolean {
  return ourAnswer(one) !== theirs && theirs !== 'breaks' && !isStricter(whyInvalid(one.pattern));
}

/** The same difference in a smaller case: parts are left out as long as it stays. */
function reduced(one: Case): Case {
  for (let found: Case = one; ; ) {
    const smaller = [
      ...reductionsOf(found.event).map((event) => ({ ...found, event })),
      ...reductionsOf(found.pattern).map((pattern) => ({ ...found, pattern })),
    ];
    const answers = smaller.length > 0 ? judged(smaller) : [];
    const next = smaller.find((each, index) => differs(each, answers[index] ?? 'refused'));
    if (!next) return found;
    found = next;
  }
}

/** A value with one of its parts left out, or put in the place of what it is in. */
function reductionsOf(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) {
    return [
      ...value.map((_, index) => value.toSpliced(index, 1)),
      ...value.flatMap((part, index) => reductionsOf(part).map((smaller) => value.with(index, smaller))),
    ];
  }
  const fields = Object.entries(value);
  return [
    ...fields.map((_, index) => Object.fromEntries(fields.toSpliced(index, 1))),
    ...fields.flatMap(([, part]) => (typeof part === 'object' && part !== null && !Array.isArray(part) ? [part] : [])),
    ...fields.flatMap(([field, part], index) =>
      reductionsOf(part).map((smaller) => Object.fromEntries(fields.with(index, [field, smaller]))),
    ),
  ];
}

function isStricter(reason: string | undefined): boolean {
  return reason !== undefined && STRICTER.test(reason);
}

function ourAnswer({ pattern, event }: Case): Answer {
  if (whyInvalid(pattern) !== undefined) return 'refused';
  return compilePattern(pattern as EventPattern)(event) ? 'fits' : 'does not fit';
}

/** What event-ruler says of each case. */
function judged(cases: readonly Case[]): Answer[] {
  const lines = cases.map(({ pattern, event }) =>
    JSON.stringify({ pattern: JSON.stringify(pattern), event: JSON.stringify(event) }),
  );
  const said = run('java', ['-cp', classPath, 'Judge.java'], `${lines.join('\n')}\n`)
    .trimEnd()
    .split('\n');
  if (said.length !== cases.length) throw new Error(`event-ruler answered ${said.length} of ${cases.length} cases`);
  return said.map((line) => {
    const { refusal, fits, breaks } = JSON.parse(line) as Said;
    if (breaks) return 'breaks';
    return refusal !== null ? 'refused' : fits ? 'fits' : 'does not fit';
  });
}

/** Renews the expectations of the written cases, and keeps some generated ones: as many that fit as that do not. */
function keep(): void {
  const named = new URL('named.json', fixtures);
  const cases = JSON.parse(readFileSync(named, 'utf8')) as (Case & { about: string })[];
  const renewed = judged(cases);
  write(
    named,
    cases.map(({ about, pattern, event }, index) => ({ about, pattern, event, eventRuler: renewed[index] })),
  );

  const chosen = (['fits', 'does not fit', 'refused'] as const).flatMap((answer) =>
    generated
      .map(({ pattern, event }, index) => ({ pattern, event, eventRuler: answers[index] }))
      .filter((one) => one.eventRuler === answer && !isStricter(whyInvalid(one.pattern)))
      .filter((one) => JSON.stringify(one).length <= KEPT_LENGTH_MAX)
      .slice(0, KEPT / 3),
  );
  write(new URL('generated.json', fixtures), chosen);
}

function write(file: URL, cases: readonly object[]): void {
  writeFileSync(file, `[\n${cases.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`);
}

/** Maven's answer goes to a file: its own output has more than that. */
function classPathOfEventRuler(): string {
  const folder = mkdtempSync(join(tmpdir(), 'baton-parity-'));
  try {
    const file = join(folder, 'class-path');
    run('mvn', ['-q', '-B', 'dependency:build-classpath', `-Dmdep.outputFile=${file}`], '');
    return readFileSync(file, 'utf8').trim();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(program: string, words: readonly string[], input: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    cwd: here,
    input,
    encoding: 'utf8',
    timeout: JAVA_MAX_MS,
    maxBuffer: 2 ** 30,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} failed:\n${stderr}${stdout}`);
  return stdout.trim();
}
