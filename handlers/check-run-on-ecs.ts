import { checkRunOnEcs as rule } from '../rules/check-run-on-ecs.ts';
import { react } from '../runtime/react.ts';
import { checkRun } from '../runtime/run-steps.ts';

/** Asks ECS about an overdue run and judges each answer. Twice is harmless: judging the same again changes nothing. */
export const checkRunOnEcs = react(rule, (event, { tasks, ecs }) => checkRun(event, { tasks }, ecs));
