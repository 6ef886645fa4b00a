import * as z from 'zod';

/**
 * Characters that a variable of an AgentCore runtime may have (AWS CDK, `RuntimeProps.environmentVariables`, after the specification of
 * CloudFormation): room for some 17 secrets.
 */
export const AGENT_SECRETS_MAX_CHARS = 2_048;

/**
 * A variable of the agent and the secret that its value is in, as `<VARIABLE>=<complete ARN>`. The runner's own variables and those of AWS are
 * not for anybody to set. Names of secrets have letters of ASCII, digits and /_+=.@- (Secrets Manager API reference, CreateSecret): nothing that
 * means something to a shell, or ends a line of a file of variables.
 */
export const agentSecret = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]*=/, { error: 'is not <VARIABLE>=<complete ARN of a secret>', abort: true })
  .regex(/^(?!BATON_|AWS_|ECS_)/, { error: 'names a variable of Baton or AWS', abort: true })
  .regex(
    /=arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$/,
    'names no complete ARN of a secret, with "-" and six characters at its end',
  )
  .transform((value) => ({ name: value.slice(0, value.indexOf('=')), arn: value.slice(value.indexOf('=') + 1) }));

export type AgentSecret = z.output<typeof agentSecret>;

/** What the runner is told where its back end fetches no secrets: all of them, as they were given. References, never a value. */
export const agentSecretsText = (secrets: readonly AgentSecret[]): string =>
  secrets.map(({ name, arn }) => `${name}=${arn}`).join(',');

/** The same read back: all of it fits, or nothing counts. */
export const agentSecrets = z
  .string()
  .max(AGENT_SECRETS_MAX_CHARS)
  .transform((text) => text.split(','))
  .pipe(z.array(agentSecret))
  .refine((secrets) => new Set(secrets.map(({ name }) => name)).size === secrets.length, 'has one name twice');
