import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { callBounds } from './call-bounds.ts';
import { once } from './once.ts';

/** The one client of this process for DynamoDB; region, credentials and endpoint come from the environment. */
export const dynamoDb = once(() => new DynamoDBClient(callBounds));
