import * as z from 'zod';
import { compute } from './compute.ts';
import { fleetName } from './ssm-command.ts';
import { stage } from './stage.ts';

const name = z.string().trim().min(1, 'is empty');
const arn = name.refine((value) => value.startsWith('arn:'), 'is no ARN');
const flag = z.enum(['true', 'false']).transform((value) => value === 'true');

/** `a, b,,c, ` is three names; a list without one is an error. */
const list = z
  .string()
  .transform((value) =>
    value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  )
  .refine((parts) => parts.length > 0, 'names nothing: give names with commas between them');

/** Seconds by name of a wait, as JSON: for tests and demonstrations; a deployment leaves it out. */
const timings = z
  .string()
  .transform((value, context) => {
    try {
      return JSON.parse(value) as unknown;
    } catch {
      context.addIssue('is not JSON');
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string(), z.number().positive()));

/**
 * What a function on AWS reads from its environment, by port: infrastructure sets exactly these variables, the function's entry
 * checks them all at its cold start. References only, never a secret.
 */
export const portEnvironment = {
  /** Every function publishes. */
  bus: { BATON_BUS: name },
  tasks: {
    BATON_TABLE: name,
    BATON_RECORD_RETENTION_D: z.coerce.number().positive(),
    BATON_ALARM_QUEUE_URL: name,
    BATON_ALARM_QUEUE_ARN: arn,
    BATON_ALARM_GROUP: name,
    BATON_ALARM_ROLE_ARN: arn,
    BATON_ALARM_DEAD_LETTERS_ARN: arn,
    BATON_TIMINGS: timings.optional(),
  },
  slots: {
    BATON_TABLE: name,
    BATON_RECORD_RETENTION_D: z.coerce.number().positive(),
    BATON_TASKS_AT_ONCE: z.coerce.number().int().min(1),
  },
  runs: { BATON_TABLE: name, BATON_RECORD_RETENTION_D: z.coerce.number().positive(), BATON_SECRET_ARN: arn },
  payloads: { BATON_PAYLOAD_BUCKET: name, BATON_SECRET_ARN: arn },
  settings: {
    BATON_STAGE: stage,
    /** Back ends of this deployment, the default one first. Empty where none is deployed. */
    BATON_COMPUTES: z
      .string()
      .transform((value) => value.split(',').filter((part) => part !== ''))
      .pipe(z.array(compute)),
    /** Fleets of this deployment, where it has any. */
    BATON_FLEETS: list.pipe(z.array(fleetName)).optional(),
    BATON_SCREENING: z.enum(['off', 'required']).optional(),
    BATON_AGENT_COMMAND: name.optional(),
    BATON_AGENT_COMMAND_ALLOWED: flag.optional(),
    BATON_TIMINGS: timings.optional(),
  },
  clock: {},
  repositories: { BATON_TABLE: name, BATON_RECORD_RETENTION_D: z.coerce.number().positive() },
  configurations: { BATON_TABLE: name, BATON_RECORD_RETENTION_D: z.coerce.number().positive() },
  webhooks: {},
  /** What was done outside: for rules with `once`. */
  effects: { BATON_TABLE: name, BATON_RECORD_RETENTION_D: z.coerce.number().positive() },
  /** Dead letters of the function's own rule: for rules that read a queue. */
  letters: { BATON_DEAD_LETTERS_URL: name },
  agentcore: {
    BATON_AGENTCORE_RUNTIME_ARN: arn,
    /** Endpoint of the runtime at which sessions are started. */
    BATON_AGENTCORE_QUALIFIER: name,
    BATON_TABLE: name,
    BATON_RECORD_RETENTION_D: z.coerce.number().positive(),
    BATON_TIMINGS: timings.optional(),
  },
  ecs: {
    BATON_ECS_CLUSTER: arn,
    BATON_ECS_TASK_FAMILY: name,
    BATON_ECS_SUBNETS: list,
    BATON_ECS_SECURITY_GROUPS: list,
  },
  workers: { BATON_TABLE: name, BATON_RECORD_RETENTION_D: z.coerce.number().positive() },
  ec2: {
    BATON_TABLE: name,
    BATON_RECORD_RETENTION_D: z.coerce.number().positive(),
    /** The one document that hosts are sent. */
    BATON_FLEET_DOCUMENT: name,
    BATON_FLEET_REGION: name,
    BATON_STAGE: stage,
    /** Where what hosts say is kept in whole. */
    BATON_FLEET_LOG_GROUP: name.optional(),
  },
  machines: { BATON_STAGE: stage },
  definitions: {
    BATON_TABLE: name,
    BATON_RECORD_RETENTION_D: z.coerce.number().positive(),
    BATON_STAGE: stage,
    BATON_ECS_TASK_FAMILY: name,
  },
  screening: { BATON_GUARDRAIL_ID: name, BATON_GUARDRAIL_VERSION: name },
  contexts: {
    /** The secret that holds a token of GitHub; without one, what is public can be read. */
    BATON_GITHUB_TOKEN_ARN: arn.optional(),
    /** Where GitHub's REST API is: for tests; a deployment leaves it out. */
    BATON_GITHUB_URL: z.url().optional(),
  },
} as const satisfies Record<string, Readonly<Record<string, z.ZodType>>>;

export type PortName = keyof typeof portEnvironment;

/** What the agent runner reads on AWS, set by the task definition, and per run by the start. */
export const runnerEnvironment = {
  BATON_BUS: name,
  BATON_TABLE: name,
  BATON_PAYLOAD_BUCKET: name,
  BATON_PAYLOAD: name,
} as const;
