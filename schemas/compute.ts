import * as z from 'zod';

/** The back ends that exist; one union for rules, handlers, schemas and infrastructure. */
export const compute = z.enum(['ecs']);
export type Compute = z.infer<typeof compute>;
