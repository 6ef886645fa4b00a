import * as z from 'zod';

/** The back ends that exist; one union for rules, handlers, schemas and infrastructure. */
export const compute = z.enum(['agentcore', 'ecs', 'ec2']);
export type Compute = z.infer<typeof compute>;

/** Who shares what a run stands on: all users of a back end, or each user for itself. */
export const isolation = z.enum(['shared', 'per-user']);
export type Isolation = z.infer<typeof isolation>;

/** Which kind of capacity runs use: what nobody takes back, what is cheaper and may be, or that until an attempt was lost with it. */
export const capacity = z.enum(['on-demand', 'spot', 'spot-first']);
export type Capacity = z.infer<typeof capacity>;

/** What a back end can be asked for. A request or a configuration that asks for more is refused by name. */
interface Offer {
  readonly isolations: readonly Isolation[];
  readonly capacities: readonly Capacity[];
  /** Whether its workers belong to fleets that have names. */
  readonly fleets: boolean;
}

export const offers: { readonly [Name in Compute]: Offer } = {
  agentcore: { isolations: ['shared'], capacities: ['on-demand'], fleets: false },
  ecs: { isolations: ['shared', 'per-user'], capacities: ['on-demand', 'spot', 'spot-first'], fleets: false },
  // Of what capacity a fleet is, its Auto Scaling group says.
  ec2: { isolations: ['shared'], capacities: ['on-demand'], fleets: true },
};

/**
 * Whether events of the back end may be lost on their way: then a run is asked about now and then while it works, however healthy it is.
 * Those of ECS are not (EventBridge user guide, "Events from AWS services": durable), those of Systems Manager and EC2 may be (best effort).
 */
export const losesEvents: { readonly [Name in Compute]: boolean } = { agentcore: false, ecs: false, ec2: true };

/**
 * How it is learnt what becomes of a run. `events`: the back end tells, and answers questions; silence of a run means nothing. `heartbeats`:
 * the back end neither tells nor describes, so the runner leaves signs of life in its record, and stopping is the only question.
 */
export const signals: { readonly [Name in Compute]: 'events' | 'heartbeats' } = {
  agentcore: 'heartbeats',
  ecs: 'events',
  ec2: 'events',
};
