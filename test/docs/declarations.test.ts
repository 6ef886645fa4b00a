import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { events } from '../../events/index.ts';
import { reactions } from '../../handlers/index.ts';
import { states } from '../../lifecycle/states.ts';
import { embeddedTimings } from '../../lifecycle/timings.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import { rules } from '../../rules/index.ts';
import { errorCodes } from '../../runtime/errors.ts';
import { reasons } from '../../schemas/reason.ts';
import { duePurposes } from '../../schemas/task.ts';
import { type Declarations, problemsOf, sourcesOf } from './declarations.ts';

const product: Declarations = {
  events,
  rules,
  handled: reactions.map((reaction) => reaction.rule.name),
  states,
  transitions,
  duePurposes,
  timings: Object.keys(embeddedTimings),
  reasons: Object.keys(reasons),
  errorCodes: Object.keys(errorCodes),
  runbook: readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8'),
  sources: sourcesOf(['events', 'rules', 'handlers', 'lifecycle', 'runtime', 'agent']),
};

/** A mistake, and the sentence that must name it. */
const mistakes: readonly (readonly [string, Partial<Declarations>, string])[] = [
  [
    'an event that nobody emits',
    { events: [...events, { type: 'TaskDreamt', drives: false }] },
    'event TaskDreamt is emitted by no rule',
  ],
  [
    'an event that nobody consumes',
    { events: [...events, { type: 'TaskDreamt', drives: false, edge: 'in' }] },
    'event TaskDreamt is consumed by no rule',
  ],
  [
    'a driving event without a rule',
    { events: [...events, { type: 'TaskDreamt', drives: true, edge: 'out' }] },
    'event TaskDreamt drives, but no rule reacts to it',
  ],
  ['a rule without a handler', { handled: product.handled.slice(1) }, 'rule accept-task has no handler'],
  ['a handler without a rule', { rules: rules.slice(1) }, 'handler accept-task is of no listed rule'],
  [
    'a state without a due date',
    { states: { ...states, RUNNING: { terminal: false, due: [] } } },
    'state RUNNING has no due date',
  ],
  [
    'an end that can be left',
    { transitions: { ...transitions, queue: { from: ['FAILED'], to: 'QUEUED', emits: [] } } },
    'transition queue leaves the end FAILED',
  ],
  [
    'a transition that nothing uses',
    { transitions: { ...transitions, dream: { from: ['QUEUED'], to: 'QUEUED', emits: [] } } },
    'transition dream is used by nothing',
  ],
  ['a due date that no state has', { duePurposes: [...duePurposes, 'siesta'] }, 'due date siesta belongs to no state'],
  [
    'a file whose rule has another name',
    { sources: { ...product.sources, 'rules/greet-task.ts': "defineRule({ name: 'wave-task' })" } },
    'rules/greet-task.ts does not declare greet-task',
  ],
  [
    'a file whose event has another name',
    { sources: { ...product.sources, 'events/task-greeted.ts': "defineEvent({ type: 'TaskWaved' })" } },
    'events/task-greeted.ts does not declare TaskGreeted',
  ],
  [
    'a handler file without a rule',
    { sources: { 'handlers/greet-task.ts': '' } },
    'handlers/greet-task.ts has no rule of its name',
  ],
  [
    'an error code without a section in the runbook',
    { errorCodes: ['store_bored'] },
    'error store_bored has no section in the runbook',
  ],
  [
    'a fact of a transition that the alarm cannot say again',
    { transitions: { ...transitions, queue: { from: ['SUBMITTED'], to: 'QUEUED', emits: ['TaskSettled'] } } },
    'rule wake-task says facts again, but does not declare TaskSettled',
  ],
  ['a reason that nothing gives', { reasons: ['boredom'] }, 'reason boredom is given by nothing'],
  ['a timing that nothing reads', { timings: ['SIESTA_S'] }, 'timing SIESTA_S is read by nothing'],
];

describe('the declarations of the product', () => {
  it('fit together', () => {
    expect(problemsOf(product)).toEqual([]);
  });
});

describe('a mistake in the declarations', () => {
  it.each(mistakes)('is found: %s', (_what, mistake, sentence) => {
    expect(problemsOf({ ...product, ...mistake })).toContain(sentence);
  });
});
