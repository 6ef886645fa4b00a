import type { AnyEventDefinition } from '../events/define.ts';
import type { Rule } from '../rules/rule.ts';
import { ownerOf } from './generate-catalog.ts';
import { code, codes, GENERATED, mermaid, page, table } from './markdown.ts';

/** Rules that, besides facts of their own, say again what the history of a task holds without proof. */
const SAY_AGAIN: readonly string[] = ['wake-task', 'settle-task'];

/** Stages in the order of a task's life; a rule belongs to the stage of the first event that it reacts to. */
const STAGES: readonly { readonly title: string; readonly text: string; readonly on: readonly string[] }[] = [
  {
    title: 'From request to slot',
    text: 'A request becomes a task, the task asks for a slot, and waits in line if none is free.',
    on: ['TaskRequested', 'TaskSubmitted', 'SlotGranted'],
  },
  {
    title: 'From slot to run',
    text: 'The input is stored under a reference, and the run is handed to its back end.',
    on: ['TaskAdmitted', 'TaskHydrated'],
  },
  {
    title: 'While the run lives',
    text: 'Runner and compute speak on different ways, in any order. The stored report and the observed end decide; the events are hints to look.',
    on: ['ECS Task State Change', 'RunClaimed', 'RunProgressed', 'RunReported', 'RunFenced'],
  },
  {
    title: 'Stopping, losing, trying again',
    text: 'Whatever must end passes through STOPPING, and leaves it when its compute has ended.',
    on: ['TaskCancelRequested', 'RunStopRequested', 'RunCheckRequested', 'RunEnded', 'RunLost'],
  },
  {
    title: 'Settling, and alarms',
    text: 'An ended task settles when its fact is delivered, its compute ended, its slot returned and its payload deleted. An alarm does what is due.',
    on: ['TaskCompleted', 'AlarmRang'],
  },
];

const FURTHER = { title: 'Further reactions', text: 'What else reacts.' };

/** `docs/choreography.md`: event → rule → event, stage by stage. */
export function choreographyPage(rules: readonly Rule[]): string {
  return page(
    GENERATED,
    '# Choreography',
    'Nobody conducts. Rounded boxes are events, square ones are rules with their handler. Drawn from the rules as declared.',
    `\`${SAY_AGAIN.join('` and `')}\` may say again every fact of a task's history that has no proof; of what they emit, only what no other rule emits is drawn. The tables list all.`,
    ...[...STAGES, FURTHER].flatMap(({ title, text }) => {
      const own = rules.filter((rule) => stageOf(rule) === title);
      return own.length === 0 ? [] : [`## ${title}`, text, mermaid(flowLines(own, rules)), ruleTable(own)];
    }),
  );
}

function stageOf(rule: Rule): string {
  const first = rule.on[0]?.type ?? '';
  return STAGES.find(({ on }) => on.includes(first))?.title ?? FURTHER.title;
}

function flowLines(own: readonly Rule[], rules: readonly Rule[]): string[] {
  const events = new Map<string, AnyEventDefinition>();
  const arrows: string[] = [];
  for (const rule of own) {
    for (const event of rule.on) {
      events.set(event.type, event);
      arrows.push(`  ${idOf(event.type)} --> ${idOf(rule.name)}`);
    }
    for (const event of drawn(rule, rules)) {
      events.set(event.type, event);
      arrows.push(`  ${idOf(rule.name)} --> ${idOf(event.type)}`);
    }
  }
  const outside = [...events.values()].filter((event) => event.source !== 'baton');
  return [
    'flowchart LR',
    ...[...events.values()].map((event) => `  ${idOf(event.type)}(["${event.type}"])`),
    ...own.map((rule) => `  ${idOf(rule.name)}["${rule.name}"]`),
    ...outside.map((event) => `  ${idOf(ownerOf(event))}{{"${ownerOf(event)}"}} -.-> ${idOf(event.type)}`),
    ...arrows,
  ];
}

function drawn(rule: Rule, rules: readonly Rule[]): readonly AnyEventDefinition[] {
  if (!SAY_AGAIN.includes(rule.name)) return rule.emits;
  const others = rules.filter((other) => !SAY_AGAIN.includes(other.name)).flatMap((other) => other.emits);
  return rule.emits.filter((event) => !others.some((other) => other.type === event.type));
}

const ruleTable = (own: readonly Rule[]): string =>
  table(
    ['rule', 'does', 'on', 'where', 'emits'],
    own.map((rule) => [
      code(rule.name),
      rule.summary,
      codes(rule.on.map((event) => event.type)),
      rule.where ? code(JSON.stringify(rule.where)) : '–',
      codes(rule.emits.map((event) => event.type)),
    ]),
  );

const idOf = (name: string): string => name.replaceAll(/[^A-Za-z0-9]/g, '_');
