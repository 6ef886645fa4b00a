import { dynamoDb } from '../clients/dynamodb.ts';
import type { EnvironmentOf } from '../environment.ts';
import { type InvocationLedgers, powertoolsEffects } from '../powertools-effects.ts';

/** What was done outside, in the table. */
export const open = (environment: EnvironmentOf<'effects'>): InvocationLedgers =>
  powertoolsEffects({
    client: dynamoDb(),
    table: environment.BATON_TABLE,
    retentionDays: environment.BATON_RECORD_RETENTION_D,
  });
