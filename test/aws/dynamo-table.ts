import { randomUUID } from 'node:crypto';
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DeleteTableCommand,
  type DynamoDBClient,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import { BY_PLACE } from '../../runtime/aws/dynamo-items.ts';

/** How long a table may take until it can be used, in seconds: no time on an embedded engine, ten on the service. */
const TABLE_READY_S = 60;

/** The one table, as infrastructure has it. */
export const tableOf = (name: string): CreateTableCommandInput => ({
  TableName: name,
  BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: [
    { AttributeName: 'key', AttributeType: 'S' },
    { AttributeName: 'by', AttributeType: 'S' },
    { AttributeName: 'place', AttributeType: 'S' },
  ],
  KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }],
  GlobalSecondaryIndexes: [
    {
      IndexName: BY_PLACE,
      KeySchema: [
        { AttributeName: 'by', KeyType: 'HASH' },
        { AttributeName: 'place', KeyType: 'RANGE' },
      ],
      Projection: { ProjectionType: 'ALL' },
    },
  ],
});

/** Creates an empty table and waits until it can be used; answers its name. */
export async function createTable(client: DynamoDBClient, name = `baton-${randomUUID()}`): Promise<string> {
  const { TableDescription } = await client.send(new CreateTableCommand(tableOf(name)));
  if (TableDescription?.TableStatus !== 'ACTIVE') {
    await waitUntilTableExists(
      { client, maxWaitTime: TABLE_READY_S, minDelay: 0.02, maxDelay: 1 },
      { TableName: name },
    );
  }
  return name;
}

export async function dropTable(client: DynamoDBClient, name: string): Promise<void> {
  await client.send(new DeleteTableCommand({ TableName: name }));
}
