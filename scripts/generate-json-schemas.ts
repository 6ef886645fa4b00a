import * as z from 'zod';
import type { EventDefinition } from '../events/define.ts';
import { metadata } from '../schemas/envelope.ts';

/** Longest line of a generated file, in characters: what Biome asks for. */
const LINE_MAX_CHARS = 120;

/** File name → JSON Schema (draft 4, as the EventBridge registry takes it) of the whole event. */
export const jsonSchemas = (events: readonly EventDefinition[]): Record<string, string> =>
  Object.fromEntries(events.map((event) => [`${event.type}.v${event.version}.json`, `${jsonText(schemaOf(event))}\n`]));

function schemaOf(event: EventDefinition): object {
  const { $schema, ...data } = draft4(event.schema);
  // A request by hand may leave the metadata out: the bus fills it in.
  const byHand = event.source === 'baton.request';
  return {
    $schema,
    title: event.type,
    description: `${event.summary} Generated from events/; do not edit.`,
    type: 'object',
    required: ['source', 'detail-type', 'detail'],
    properties: {
      source: { type: 'string', enum: [event.source] },
      'detail-type': { type: 'string', enum: [event.type] },
      detail: {
        type: 'object',
        required: byHand ? ['data'] : ['metadata', 'data'],
        properties: { metadata: withoutDialect(draft4(metadata)), data },
      },
    },
  };
}

const draft4 = (schema: z.ZodType): Record<string, unknown> =>
  z.toJSONSchema(schema, { target: 'draft-4', io: 'input', unrepresentable: 'any' });

const withoutDialect = ({ $schema: _dialect, ...rest }: Record<string, unknown>): object => rest;

/** JSON as Biome formats it: objects over several lines, lists of plain values on one line if they fit. */
function jsonText(value: unknown, indent = '', before = 0): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    const flat = `[${value.map((one) => JSON.stringify(one)).join(', ')}]`;
    const fits = indent.length + before + flat.length < LINE_MAX_CHARS;
    if (value.length === 0 || (fits && value.every((one) => typeof one !== 'object'))) return flat;
    return `[\n${value.map((one) => deeper + jsonText(one, deeper)).join(',\n')}\n${indent}]`;
  }
  const fields = Object.entries(value);
  if (fields.length === 0) return '{}';
  const lines = fields.map(([name, field]) => {
    const key = `${JSON.stringify(name)}: `;
    return deeper + key + jsonText(field, deeper, key.length);
  });
  return `{\n${lines.join(',\n')}\n${indent}}`;
}
