import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { expect, it } from '@jest/globals';
import { clientConfig } from '../../../runtime/aws/clients/client-config.ts';
import { aWire } from './wire.ts';

/** How often a call reads what it sends. */
async function readsOf(config: Partial<ReturnType<typeof clientConfig>>): Promise<number> {
  const wire = await aWire(() => ({ body: {} }));
  const { requestHandler: _, ...more } = config;
  const client = new DynamoDBClient({ ...wire.client, ...more, region: 'eu-west-1' });
  let reads = 0;
  const item = {
    get key() {
      reads += 1;
      return { S: 'a' };
    },
  };
  await client.send(new PutItemCommand({ TableName: 'table', Item: item }));
  return reads;
}

it('has no copy made for a log that nobody writes', async () => {
  const { logger, ...rest } = clientConfig();
  expect(await readsOf({ ...rest, logger })).toBeLessThan(await readsOf(rest));
});

it('can do with its logger whatever finds credentials', async () => {
  const before = { ...process.env };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'test' });
  try {
    const wire = await aWire(() => ({ body: {} }));
    const client = new DynamoDBClient({ ...clientConfig(), endpoint: wire.client.endpoint, region: 'eu-west-1' });
    await client.send(new PutItemCommand({ TableName: 'table', Item: {} }));
    expect(wire.calls).toHaveLength(1);
  } finally {
    process.env = before;
  }
});
