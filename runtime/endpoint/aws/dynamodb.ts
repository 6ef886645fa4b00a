import { BY_PLACE } from '../../aws/dynamo-items.ts';
import type { RecordStore } from '../../ports.ts';
import { refused } from './aws-error.ts';
import { type AwsService, type Operation, type Place, parsedInput } from './aws-service.ts';
import { isShown, itemOf } from './dynamo-records.ts';
import { dynamoListings } from './dynamodb-listings.ts';
import { runUpdate } from './dynamodb-run-update.ts';
import { attributesOf, keyIn, tableInput } from './dynamodb-wire.ts';
import { jsonProtocol } from './json-protocol.ts';

export interface DynamoDbParts {
  readonly place: Place;
  readonly table: string;
  readonly store: RecordStore;
}

/** What DynamoDB can do besides; nobody is allowed to do it here. */
const DENIED = [
  'BatchExecuteStatement',
  'BatchGetItem',
  'BatchWriteItem',
  'CreateBackup',
  'CreateTable',
  'DeleteItem',
  'DeleteTable',
  'DescribeTimeToLive',
  'ExecuteStatement',
  'ExecuteTransaction',
  'ListTables',
  'PutItem',
  'TransactGetItems',
  'TransactWriteItems',
  'UpdateTable',
  'UpdateTimeToLive',
];

/**
 * DynamoDB as a view on the records of a world: tasks, runs and workers, as the items that they are on AWS. Nothing can be written but the
 * record of a run, by its runner, which proves itself with the hash of the run token.
 */
export function dynamoDbService(parts: DynamoDbParts): AwsService {
  const { place, table, store } = parts;
  const arn = `arn:aws:dynamodb:${place.region}:${place.account}:table/${table}`;
  const denied = (action: string) =>
    refused(
      'AccessDeniedException',
      `User: arn:aws:iam::${place.account}:user/anybody is not authorized to perform: dynamodb:${action} on resource: ${arn} because no identity-based policy allows the dynamodb:${action} action`,
    );
  const allowed: Record<string, Operation> = {
    DescribeTable: async () => ({ Table: described(table, arn) }),
    GetItem: async (input) => {
      const key = keyIn(input['Key']);
      const stored = isShown(key) ? await store.get(key) : undefined;
      return stored ? { Item: attributesOf(itemOf(stored)) } : {};
    },
    ...dynamoListings(store),
    UpdateItem: runUpdate(store, () => denied('UpdateItem')),
  };
  const refusals = DENIED.map((action): [string, Operation] => [action, () => Promise.reject(denied(action))]);
  return {
    signingName: 'dynamodb',
    targetPrefix: 'DynamoDB_20120810',
    protocol: jsonProtocol('1.0'),
    operations: {
      ...Object.fromEntries(refusals),
      ...Object.fromEntries(Object.entries(allowed).map(([name, run]) => [name, onTable(run)])),
    },
  };

  function onTable(run: Operation): Operation {
    return async (input) => {
      const { TableName } = parsedInput(tableInput, input);
      if (TableName === table || TableName === arn) return run(input);
      throw refused('ResourceNotFoundException', `Requested resource not found: Table: ${TableName} not found`);
    };
  }
}

const hash = (AttributeName: string) => ({ AttributeName, KeyType: 'HASH' });
const range = (AttributeName: string) => ({ AttributeName, KeyType: 'RANGE' });

function described(table: string, arn: string): object {
  return {
    TableName: table,
    TableArn: arn,
    TableStatus: 'ACTIVE',
    AttributeDefinitions: ['key', 'by', 'place'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [hash('key')],
    BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST' },
    GlobalSecondaryIndexes: [
      {
        IndexName: BY_PLACE,
        IndexArn: `${arn}/index/${BY_PLACE}`,
        IndexStatus: 'ACTIVE',
        KeySchema: [hash('by'), range('place')],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  };
}
