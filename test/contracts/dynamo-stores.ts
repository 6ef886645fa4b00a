import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { dynamoStore } from '../../runtime/aws/dynamo-store.ts';
import { type DynamoEngine, type DynamoServer, dynamoEngines } from '../aws/dynamo-server.ts';
import type { StoreTraits, StoreUnderTest } from './record-store.ts';

/** An item has 400 KB, names and all. */
export const dynamo: StoreTraits = { keepsReferences: false, anyJson: false, textMaxBytes: 409_000, many: 300 };

/** Runs a suite on each of these DynamoDB engines that runs here: one server for the suite, a table for each store that it opens. */
export function onEveryDynamo(
  suite: (open: () => Promise<StoreUnderTest>) => void,
  engines: readonly DynamoEngine[] = dynamoEngines,
): void {
  for (const { name, absent, start } of engines) {
    if (absent === undefined) {
      describe(`over ${name}`, () => {
        let server: DynamoServer;
        beforeAll(async () => {
          server = await start();
        });
        afterAll(() => server.stop());
        suite(() => openDynamo(server));
      });
    } else {
      it.skip(`over ${name}: ${absent}`, () => {});
    }
  }
}

/** A store on a table of its own. It is reopened as by another process: with a client that knows nothing of the first. */
async function openDynamo(server: DynamoServer): Promise<StoreUnderTest> {
  const table = await server.createTable();
  const clients: DynamoDBClient[] = [];
  const open = () => {
    const client = server.client();
    clients.push(client);
    return dynamoStore({ client, table, retentionDays: 90 });
  };
  return {
    store: open(),
    reopen: async () => open(),
    remove: async () => {
      for (const client of clients) client.destroy();
      await server.dropTable(table);
    },
  };
}
