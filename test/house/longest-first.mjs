import { statSync } from 'node:fs';
import { relative } from 'node:path';

/**
 * The files that take longest, the longest first. Started late, one of them keeps one worker busy while the others have nothing left to do;
 * a fresh checkout has no times of an earlier run to tell.
 */
const LONGEST = [
  'test/loopback/fleet-stories.test.ts',
  'test/simulation/planted-bugs.test.ts',
  'test/loopback/agentcore-stories.test.ts',
  'test/simulation/simulated-world.test.ts',
  'test/flows/agentcore-dies.test.ts',
  'test/flows/functions-die.test.ts',
  'test/contracts/record-store.test.ts',
  'test/flows/screening.test.ts',
  'test/cli/shared-world.test.ts',
  'test/loopback/task-definitions.test.ts',
  'test/cli/run.test.ts',
  'test/flows/replay.test.ts',
  'test/simulation/every-order.test.ts',
  'test/agent/runner.test.ts',
  'test/flows/webhook.test.ts',
  'test/flows/redrive.test.ts',
  'test/flows/silence.test.ts',
  'test/flows/rate-limit.test.ts',
  'test/flows/stops.test.ts',
  'test/flows/agentcore-stalls.test.ts',
  'test/flows/per-user.test.ts',
  'test/flows/stubborn.test.ts',
  'test/agent/runner-repository.test.ts',
  'test/flows/agentcore-stops.test.ts',
  'test/docs/add-a-reaction.test.ts',
  'test/cli/dev.test.ts',
  'test/flows/lost-run.test.ts',
  'test/flows/agent-fails.test.ts',
  'test/flows/taken-away.test.ts',
  'test/simulation/explained.test.ts',
  'test/flows/world-killed.test.ts',
  'test/infra/checks.test.ts',
  'test/flows/fleet-world-killed.test.ts',
  'test/flows/fleet.test.ts',
  'test/flows/fleet-taken-away.test.ts',
  'test/cli/fleet.test.ts',
  'test/simulation/fleet-world.test.ts',
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
