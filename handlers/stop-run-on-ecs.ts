import { stopRunOnEcs as rule } from '../rules/stop-run-on-ecs.ts';
import { react } from '../runtime/react.ts';
import { stopRun } from '../runtime/run-steps.ts';

/** Stops a run on ECS, and whatever else runs for its attempt. Twice is harmless: stopping what stops changes nothing. */
export const stopRunOnEcs = react(rule, (event, { tasks, runs, ecs }) => stopRun(event, { tasks, runs }, ecs));
