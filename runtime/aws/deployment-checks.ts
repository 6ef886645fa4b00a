import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SSMClient } from '@aws-sdk/client-ssm';
import { prefixOf } from '../../schemas/stage.ts';
import { type DeploymentCheck, notReady } from './deployment-check.ts';
import { BY_PLACE } from './dynamo-items.ts';
import { dynamoStore } from './dynamo-store.ts';
import { eventBridgeBus } from './eventbridge-bus.ts';
import { fleetChecks } from './fleet-checks.ts';
import { sdkError, serviceError } from './sdk-errors.ts';

/** Nothing is written here, and only what is written lives for a time. */
const RETENTION_UNUSED_D = 90;
const DEPLOY_STATE = 'Deploy the state stack of this stage, or name another stage.';

/** What a producer can find out about a deployment: its bus, on which events would otherwise vanish, its table, and its fleets. */
export async function deploymentChecks(stage: string): Promise<readonly DeploymentCheck[]> {
  const name = prefixOf(stage);
  const events = new EventBridgeClient({});
  const records = new DynamoDBClient({});
  const fleets = await fleetChecks(stage, {
    events,
    ssm: new SSMClient({}),
    scaling: new AutoScalingClient({}),
    store: dynamoStore({ client: records, table: name, retentionDays: RETENTION_UNUSED_D }),
  });
  return [
    {
      name: 'event bus',
      async look() {
        await eventBridgeBus({ client: events, bus: name }).verify();
        return `the bus ${name} is there`;
      },
    },
    {
      name: 'table',
      look: () => tableIsReady(records, name),
    },
    ...fleets,
  ];
}

async function tableIsReady(client: DynamoDBClient, name: string): Promise<string> {
  const { Table: table } = await client.send(new DescribeTableCommand({ TableName: name })).catch((error: unknown) => {
    if (sdkError(error).name !== 'ResourceNotFoundException') throw serviceError('DynamoDB DescribeTable', error);
    throw notReady(`there is no table ${name}`, DEPLOY_STATE, error);
  });
  if (table?.TableStatus !== 'ACTIVE') throw notReady(`the table ${name} is ${table?.TableStatus}`, DEPLOY_STATE);
  const index = table.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === BY_PLACE);
  if (!index) throw notReady(`the table ${name} has no index ${BY_PLACE}`, DEPLOY_STATE);
  return `the table ${name} and its index are there`;
}
