import * as z from 'zod';

/** Variables that the runs of one repository are given. */
export const ENVIRONMENT_MAX = 32;
/** All of them together, in bytes as JSON: they ride on the task record. */
export const ENVIRONMENT_MAX_BYTES = 1024;

/** The runner's own variables, and those by which AWS hands out credentials, are not for anybody to set. */
const variableName = z
  .string()
  .regex(
    /^(?!BATON_|AWS_|ECS_)[A-Z][A-Z0-9_]{0,63}$/,
    'is no variable that may be set (A-Z, 0-9 and "_"; none of BATON_, AWS_, ECS_)',
  );

/** Where the value is found when the run starts: a variable of the runner's own environment, none of those above. Never the value itself. */
export const environmentReference = z
  .string()
  .regex(
    /^variable:(?!BATON_|AWS_|ECS_)[A-Z][A-Z0-9_]{0,63}$/,
    'is no reference: write variable:<NAME of a variable where the runner runs> (none of BATON_, AWS_, ECS_)',
  );

export const environmentReferences = z
  .record(variableName, environmentReference)
  .refine((value) => Object.keys(value).length <= ENVIRONMENT_MAX, `has more than ${ENVIRONMENT_MAX} variables`)
  .refine(
    (value) => new TextEncoder().encode(JSON.stringify(value)).length <= ENVIRONMENT_MAX_BYTES,
    `is larger than ${ENVIRONMENT_MAX_BYTES} bytes`,
  );
export type EnvironmentReferences = z.infer<typeof environmentReferences>;
