import { DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { prefixOf } from '../../schemas/stage.ts';
import { BatonError } from '../errors.ts';
import { BY_PLACE } from './dynamo-items.ts';
import { eventBridgeBus } from './eventbridge-bus.ts';
import { sdkError, serviceError } from './sdk-errors.ts';

/** One thing that must be so; `look` resolves with what was seen, and rejects with a BatonError that says what to do. */
export interface DeploymentCheck {
  readonly name: string;
  look(): Promise<string>;
}

/** What a producer can find out about a deployment: its bus, on which events would otherwise vanish, and its table. */
export function deploymentChecks(stage: string): readonly DeploymentCheck[] {
  const name = prefixOf(stage);
  return [
    {
      name: 'event bus',
      async look() {
        await eventBridgeBus({ client: new EventBridgeClient({}), bus: name }).verify();
        return `the bus ${name} is there`;
      },
    },
    {
      name: 'table',
      look: () => tableIsReady(new DynamoDBClient({}), name),
    },
  ];
}

async function tableIsReady(client: DynamoDBClient, name: string): Promise<string> {
  const { Table: table } = await client.send(new DescribeTableCommand({ TableName: name })).catch((error: unknown) => {
    if (sdkError(error).name !== 'ResourceNotFoundException') throw serviceError('DynamoDB DescribeTable', error);
    throw notReady(`there is no table ${name}`, error);
  });
  if (table?.TableStatus !== 'ACTIVE') throw notReady(`the table ${name} is ${table?.TableStatus}`);
  const index = table.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === BY_PLACE);
  if (!index) throw notReady(`the table ${name} has no index ${BY_PLACE}`);
  return `the table ${name} and its index are there`;
}

const notReady = (what: string, cause?: unknown): BatonError =>
  new BatonError('service_refused', what, {
    cause,
    remedy: 'Deploy the state stack of this stage, or name another stage.',
  });
