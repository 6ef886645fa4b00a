import * as z from 'zod';
import { code } from './markdown.ts';

/** A field of an object, for readers. */
export interface Field {
  readonly name: string;
  /** Markdown. */
  readonly type: string;
  readonly required: boolean;
}

interface Json {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly items?: Json;
  readonly properties?: Readonly<Record<string, Json>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Json | boolean;
  readonly anyOf?: readonly Json[];
  readonly oneOf?: readonly Json[];
}

/** The fields of an object schema, in their order; of a union, one list per alternative. */
export const fieldsOf = (schema: z.ZodType): Field[] => alternativesOf(schema)[0] ?? [];

/** One list of fields per alternative of a union of objects. */
export function alternativesOf(schema: z.ZodType): Field[][] {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Json;
  return (json.oneOf ?? json.anyOf ?? [json]).map((one) =>
    Object.entries(one.properties ?? {}).map(([name, field]) => ({
      name,
      type: typeText(field),
      required: one.required?.includes(name) ?? false,
    })),
  );
}

function typeText(json: Json): string {
  if (json.const !== undefined) return code(JSON.stringify(json.const));
  if (json.enum) return json.enum.map((one) => code(JSON.stringify(one))).join(', ');
  const either = json.anyOf ?? json.oneOf;
  if (either) return [...new Set(either.map(typeText))].join(' or ');
  if (Array.isArray(json.type)) return json.type.join(' or ');
  if (json.format === 'date-time') return 'instant';
  if (json.type === 'array') return `list of ${typeText(json.items ?? {})}`;
  if (json.type === 'object') return objectText(json);
  return typeof json.type === 'string' ? json.type : 'any JSON';
}

function objectText({ properties, required, additionalProperties }: Json): string {
  if (properties) {
    const names = Object.keys(properties).map((name) => (required?.includes(name) ? name : `${name}?`));
    return code(`{ ${names.join(', ')} }`);
  }
  const below = typeof additionalProperties === 'object' ? typeText(additionalProperties) : 'any JSON';
  return `map to ${below}`;
}
