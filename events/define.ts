import type * as z from 'zod';

/** Who may put an event on the bus: handlers, producers, runners, the alarm clock. Each is bound to its writers by bus policy. */
export type Source = 'baton' | 'baton.request' | 'baton.agent' | 'baton.alarm';

/**
 * Who asks under a source of its own, `baton.request.<name>`: a principal that is not trusted to name users. The bus lets nobody else
 * use that source, so `<name>` is the user.
 */
export const requesterOf = (source: string): string | undefined =>
  source.startsWith(NAMED_REQUEST) ? source.slice(NAMED_REQUEST.length) : undefined;

/** The source under which an event is declared. */
export const declaredSource = (source: string): string =>
  requesterOf(source) === undefined ? source : ('baton.request' satisfies Source);

/** What the sources of named requesters begin with. */
export const NAMED_REQUEST = 'baton.request.';

/** What a transition stores and a handler publishes: the type and its data; ids and times come from the transition. */
export interface Fact<Type extends string = string, Data = unknown> {
  readonly type: Type;
  readonly data: Data;
}

export interface EventDefinition<Type extends string = string, Data = unknown> {
  readonly type: Type;
  readonly source: Source;
  /** Version of the data's shape; additive inside a version. */
  readonly version: number;
  /** One sentence for the catalog. */
  readonly summary: string;
  readonly schema: z.ZodType<Data>;
  /** True when the next step of the task depends on its delivery; published last, and proven by the write it causes. */
  readonly drives: boolean;
  /** `in`: comes from outside Baton; `out`: no rule of ours reacts. Both are ends of the choreography, not mistakes. */
  readonly edge?: 'in' | 'out';
  /** Data that does not fit is delivered all the same, so that the reaction can store why it is refused. */
  readonly lenient?: boolean;
  /** A fact of this type. */
  of(data: Data): Fact<Type, Data>;
}

/** Declares an event. The name is the EventBridge detail-type. */
export function defineEvent<const Type extends string, Data>(declared: {
  type: Type;
  source?: Source;
  version?: number;
  summary: string;
  schema: z.ZodType<Data>;
  drives?: boolean;
  edge?: 'in' | 'out';
  lenient?: boolean;
}): EventDefinition<Type, Data> {
  return {
    type: declared.type,
    source: declared.source ?? 'baton',
    version: declared.version ?? 1,
    summary: declared.summary,
    schema: declared.schema,
    drives: declared.drives ?? false,
    ...(declared.edge ? { edge: declared.edge } : {}),
    ...(declared.lenient ? { lenient: true } : {}),
    of: (data) => ({ type: declared.type, data }),
  };
}

/** An event of an AWS service, matched on the default bus. Its `detail` is the service's own. */
export interface NativeEventDefinition<Type extends string = string, Detail = unknown> {
  readonly native: true;
  readonly type: Type;
  readonly source: `aws.${string}`;
  readonly summary: string;
  readonly schema: z.ZodType<Detail>;
}

export const defineNativeEvent = <const Type extends string, Detail>(
  declared: Omit<NativeEventDefinition<Type, Detail>, 'native'>,
): NativeEventDefinition<Type, Detail> => ({ native: true, ...declared });

export type AnyEventDefinition = EventDefinition | NativeEventDefinition;
