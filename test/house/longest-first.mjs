import { statSync } from 'node:fs';
import { relative } from 'node:path';

/**
 * The files that take longest, the longest first. Started late, one of them keeps one worker busy while the others have nothing left to do;
 * a fresh checkout has no times of an earlier run to tell.
 */
const LONGEST = [
  'test/loopback/fleet-stories.test.ts',
  'test/agent/host-run.test.ts',
  'test/flows/fleet.test.ts',
  'test/contracts/record-store.test.ts',
  'test/loopback/agentcore-stories.test.ts',
  'test/flows/runs-end.test.ts',
  'test/cli/shared-world.test.ts',
  'test/flows/agentcore-dies.test.ts',
  'test/cli/dev.test.ts',
  'test/flows/replay.test.ts',
  'test/simulation/simulated-world.test.ts',
  'test/runtime/engine/local-fleet.test.ts',
  'test/cli/run.test.ts',
  'test/agent/host-role.test.ts',
  'test/docs/add-a-reaction.test.ts',
  'test/simulation/every-order.test.ts',
  'test/flows/fleet-world-killed.test.ts',
  'test/flows/silence.test.ts',
  'test/flows/agentcore-stalls.test.ts',
  'test/infra/checks.test.ts',
  'test/agent/runner-hostile.test.ts',
  'test/runtime/engine/local-ecs.test.ts',
  'test/flows/agentcore-stops.test.ts',
  'test/scripts/lambda-entries.test.ts',
  'test/loopback/task-definitions.test.ts',
  'test/cli/bad-input.test.ts',
  'test/agent/runner.test.ts',
  'test/agent/aws-secrets.test.ts',
  'test/simulation/planted-bugs.test.ts',
  'test/cli/agentcore.test.ts',
  'test/flows/agentcore-starts.test.ts',
  'test/flows/screening.test.ts',
  'test/flows/functions-die.test.ts',
  'test/flows/webhook.test.ts',
  'test/cli/fleet.test.ts',
  'test/agent/aws-runner.test.ts',
  'test/runtime/engine/local-agentcore.test.ts',
  'test/simulation/explained.test.ts',
  'test/flows/requests.test.ts',
  'test/contracts/tasks.test.ts',
  'test/flows/world-killed.test.ts',
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
