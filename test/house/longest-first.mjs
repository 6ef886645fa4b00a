import { statSync } from 'node:fs';
import { relative } from 'node:path';

/**
 * The files that take longest, the longest first. Started late, one of them keeps one worker busy while the others have nothing left to do;
 * a fresh checkout has no times of an earlier run to tell.
 */
const LONGEST = [
  'test/simulation/simulated-world.test.ts',
  'test/flows/stubborn.test.ts',
  'test/flows/agent-fails.test.ts',
  'test/simulation/planted-bugs.test.ts',
  'test/simulation/every-order.test.ts',
  'test/flows/functions-die.test.ts',
  'test/flows/rate-limit.test.ts',
  'test/flows/screening.test.ts',
  'test/contracts/record-store.test.ts',
  'test/infra/checks.test.ts',
];

/** The order in which Jest starts test files: the longest, then all others, larger ones before smaller ones as Jest itself does. */
export default class LongestFirst {
  sort(tests) {
    const placed = tests.map((test) => {
      const place = LONGEST.indexOf(relative(test.context.config.rootDir, test.path));
      return { test, place: place === -1 ? LONGEST.length : place, size: statSync(test.path).size };
    });
    return placed.sort((one, other) => one.place - other.place || other.size - one.size).map(({ test }) => test);
  }

  /** Of `--onlyFailures`: nothing is remembered of earlier runs. */
  allFailedTests(tests) {
    return tests;
  }

  cacheResults() {}
}
