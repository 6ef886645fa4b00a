import type { RecordStore } from '../../ports.ts';
import { dynamoDb } from '../clients/dynamodb.ts';
import { dynamoStore } from '../dynamo-store.ts';

interface TableEnvironment {
  readonly BATON_TABLE: string;
  readonly BATON_RECORD_RETENTION_D: number;
}

/** The one table, as the ports over it see it. */
export const records = (environment: TableEnvironment): RecordStore =>
  dynamoStore({
    client: dynamoDb(),
    table: environment.BATON_TABLE,
    retentionDays: environment.BATON_RECORD_RETENTION_D,
  });

let primed: Promise<unknown> | undefined;

/** Opens the connection to the table by reading a key that is never there. Several ports ask for it; the first one does it. */
export function primeRecords(environment: TableEnvironment, key: string): Promise<unknown> {
  primed ??= records(environment).get(key);
  return primed;
}
