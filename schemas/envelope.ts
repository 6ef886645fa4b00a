import * as z from 'zod';

/** What every Baton event says about itself. Requests by hand may leave it out; the bus then fills it in. */
export const metadata = z.object({
  id: z.string().min(1),
  taskId: z.string().optional(),
  attempt: z.int().min(0).optional(),
  version: z.int().min(0).optional(),
  correlationId: z.string(),
  causationId: z.string(),
  occurredAt: z.string(),
  schemaVersion: z.int().min(1),
  traceparent: z.string().optional(),
  replayOf: z.string().optional(),
});
export type Metadata = z.infer<typeof metadata>;

/** The EventBridge envelope. `detail` is ours for Baton events and the service's own for native ones. */
export const envelope = z.looseObject({
  version: z.string(),
  id: z.string().min(1),
  'detail-type': z.string().min(1).max(128),
  source: z.string().min(1),
  account: z.string(),
  time: z.string(),
  region: z.string(),
  resources: z.array(z.string()),
  detail: z.record(z.string(), z.unknown()),
  'replay-name': z.string().optional(),
});

export interface Envelope<Type extends string = string, Detail = unknown> {
  readonly version: '0';
  readonly id: string;
  readonly 'detail-type': Type;
  readonly source: string;
  readonly account: string;
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  readonly detail: Detail;
  readonly 'replay-name'?: string;
}

/** `{ metadata, data }`, the detail of every event that Baton itself defines. */
export interface BatonDetail<Data = unknown> {
  readonly metadata: Metadata;
  readonly data: Data;
}

export type BatonEvent<Type extends string = string, Data = unknown> = Envelope<Type, BatonDetail<Data>>;

/** What caused a step: the id that makes a duplicate recognisable, and the type for people. */
export const cause = z.object({
  id: z.string().min(1),
  type: z.string().min(1),
  /** It came by a replay: that proves no delivery, since effect rules and others did not hear it. */
  replayed: z.literal(true).optional(),
});
export type Cause = z.infer<typeof cause>;
