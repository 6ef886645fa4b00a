import type { AskedDefinition, Definitions, RunDefinition } from '../runtime/ports.ts';

/** What runs start from where nobody looks at task definitions. */
export const BASE_DEFINITION = 'arn:aws:ecs:local:000000000000:task-definition/baton-agent:1';

/** Task definitions in memory: one base, a clone for each user, and whatever the test says next. */
export function definitionsTwin() {
  const asked: ('base' | AskedDefinition)[] = [];
  let next: RunDefinition[] = [];
  const answer = (arn: string): RunDefinition => next.shift() ?? { outcome: 'ready', arn };
  const definitions: Definitions = {
    async base() {
      asked.push('base');
      return answer(BASE_DEFINITION);
    },
    async ofUser(user) {
      asked.push(user);
      return answer(BASE_DEFINITION.replace('baton-agent:', `baton-agent-user:${user.userId.length}`));
    },
  };
  return {
    definitions,
    /** What was asked for, in order. */
    asked,
    /** Gives these answers first, in order. */
    answers(...answers: readonly RunDefinition[]): void {
      next = [...next, ...answers];
    },
  };
}
