import type { AnyEventDefinition, EventDefinition } from '../events/define.ts';
import { eventPatternOf } from '../rules/event-pattern.ts';
import type { Rule } from '../rules/rule.ts';
import { metadata } from '../schemas/envelope.ts';
import { code, codes, GENERATED, page, table } from './markdown.ts';
import { fieldsOf } from './schema-fields.ts';

/** Who may put events of a source on the bus, as the bus policy binds them. */
const OWNERS: Readonly<Record<string, string>> = {
  baton: 'handlers',
  'baton.request': 'producers',
  'baton.agent': 'runners',
  'baton.alarm': 'the alarm clock',
};

export const ownerOf = (event: AnyEventDefinition): string => OWNERS[event.source] ?? 'an AWS service';

/** `docs/catalog.md`: every event with its fields, every rule with its pattern. */
export function catalogPage(events: readonly EventDefinition[], rules: readonly Rule[]): string {
  const natives = nativesOf(rules);
  const all: readonly AnyEventDefinition[] = [...events, ...natives];
  return page(
    GENERATED,
    '# Catalog',
    'Every event and every rule, as declared in `events/` and `rules/`.',
    '## Events at a glance',
    'An event *drives* when the next step of its task depends on its delivery. *in*: it comes from outside Baton. *out*: no rule of Baton reacts to it.',
    table(
      ['event', 'source', 'put by', 'version', 'marks', 'emitted by', 'consumed by'],
      all.map((event) => [
        `[${event.type}](#${anchorOf(event.type)})`,
        code(event.source),
        ownerOf(event),
        'native' in event ? '–' : String(event.version),
        marksOf(event),
        codes(rules.filter((rule) => rule.emits.some((one) => one.type === event.type)).map((rule) => rule.name)),
        codes(rules.filter((rule) => rule.on.some((one) => one.type === event.type)).map((rule) => rule.name)),
      ]),
    ),
    '## Events',
    `Fields of \`detail.data\`; of a native event, fields of \`detail\` that Baton reads. \`detail.metadata\` is the same for every event of Baton: ${metadataFields()}. JSON Schemas stand in \`schemas/json-schemas/\`.`,
    ...all.flatMap((event) => [
      `### ${event.type}`,
      event.summary,
      table(
        ['field', 'type', 'required'],
        fieldsOf(event.schema).map(({ name, type, required }) => [code(name), type, required ? 'yes' : 'no']),
      ),
    ]),
    '## Rules',
    '*effect*: reaches outside the records and ignores replays. *state*: moves records only; replaying it is safe.',
    ...rules.flatMap((rule) => [`### ${rule.name}`, rule.summary, ruleTable(rule), patternOf(rule)]),
  );
}

const metadataFields = (): string =>
  fieldsOf(metadata)
    .map(({ name, required }) => code(required ? name : `${name}?`))
    .join(', ');

/** The native events that rules react to, each once. */
const nativesOf = (rules: readonly Rule[]): AnyEventDefinition[] => [
  ...new Set(rules.flatMap((rule) => rule.on.filter((event) => 'native' in event))),
];

function marksOf(event: AnyEventDefinition): string {
  if ('native' in event) return 'native';
  const marks = [event.drives ? 'drives' : '', event.edge ?? '', event.lenient ? 'lenient' : ''];
  return marks.filter(Boolean).join(', ') || '–';
}

const ruleTable = (rule: Rule): string =>
  table(
    ['kind', 'on', 'emits', 'uses', 'deliveries'],
    [
      [
        rule.kind,
        codes(rule.on.map((event) => event.type)),
        codes(rule.emits.map((event) => event.type)),
        codes(rule.uses),
        String(rule.attempts),
      ],
    ],
  );

const patternOf = (rule: Rule): string => ['```json', JSON.stringify(eventPatternOf(rule), null, 2), '```'].join('\n');

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string => heading.toLowerCase().replaceAll(' ', '-');
