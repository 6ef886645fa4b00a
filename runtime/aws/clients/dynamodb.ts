import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for DynamoDB; region, credentials and endpoint come from the environment. */
export const dynamoDb = once(() => new DynamoDBClient(clientConfig()));
