import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { rules } from '../../rules/index.ts';
import { prefixOf } from '../../schemas/stage.ts';
import type { ReplayDesk } from '../endpoint/replay-desk.ts';
import { type RepositoryDesk, repositoryDesk } from '../endpoint/repository-desk.ts';
import { type TaskDesk, taskDesk } from '../endpoint/task-desk.ts';
import { type WorkerDesk, workerDesk } from '../endpoint/worker-desk.ts';
import { BatonError } from '../errors.ts';
import { runsOver } from '../runs.ts';
import { awsReplays } from './aws-replays.ts';
import { dynamoStore } from './dynamo-store.ts';
import { eventBridgeBus } from './eventbridge-bus.ts';

/** Only handlers write records of a deployment, and only they say how long these live. */
const RETENTION_UNUSED_D = 90;

export interface AwsDesk extends TaskDesk {
  readonly repositories: RepositoryDesk;
  readonly workers: WorkerDesk;
  readonly replays: ReplayDesk;
}

/**
 * What producers and operators may ask of a deployment on AWS: requests go onto its bus, answers are read from its table. Region and
 * credentials are those of the SDK's environment. Throws what `TaskDesk` throws, and `service_denied` where the credentials do not do.
 */
export function awsDesk(stage: string): AwsDesk {
  const name = prefixOf(stage);
  const store = dynamoStore({ client: new DynamoDBClient({}), table: name, retentionDays: RETENTION_UNUSED_D });
  const events = new EventBridgeClient({});
  const bus = eventBridgeBus({ client: events, bus: name });
  const clock = { now: () => new Date().toISOString() };
  const runs = runsOver({ store, clock, secret: noSecret });
  // Without a journal: what was ignored is in the logs of the functions. Directories of runs are on other machines.
  return {
    ...taskDesk({ store, bus, ports: { runs } }, NOWHERE),
    repositories: repositoryDesk({ store, bus }),
    workers: workerDesk(store),
    replays: awsReplays({ client: events, prefix: name, rules }),
  };
}

const NOWHERE = '/nonexistent';

const noSecret = (): never => {
  throw new BatonError('service_denied', 'Run tokens are made by the functions of the deployment alone.');
};
