import { mkdirSync } from 'node:fs';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod';
import { agentSecrets } from '../schemas/agent-secrets.ts';
import { runnerEnvironment } from '../schemas/environment.ts';
import { noSecrets } from './agent-secrets.ts';
import { awsControlPlane } from './aws-control-plane.ts';
import { awsSecrets } from './aws-secrets.ts';
import { ecsIdentity } from './ecs-identity.ts';
import { hostCredentials } from './host-credentials.ts';
import { AWS_CONNECT_TIMEOUT_MS } from './limits.ts';
import { serveOrRun } from './session-server.ts';
import { commonEnvironment, start } from './start.ts';

/** On the disk of the container, which is the run's alone. */
const RUN_DIR = '/tmp/baton';

/** Where the native identity comes from: given, or asked of the metadata endpoint that ECS names. */
const identity = {
  BATON_NATIVE_ID: z.string().min(1).optional(),
  ECS_CONTAINER_METADATA_URI_V4: z.url().optional(),
};

/** The runner in a container on AWS. Infrastructure sets the variables of the deployment, the start of a run those of the run. */
const environment = z
  .object({
    ...commonEnvironment,
    ...runnerEnvironment,
    ...identity,
    AWS_REGION: z.string().min(1),
    /** Where the back end fetches no secrets for agents: which the runner is to fetch. */
    BATON_AGENT_SECRETS: agentSecrets.optional(),
    BATON_RUN_DIR: z.string().startsWith('/').default(RUN_DIR),
    /** On a host of the fleet: where credentials are. Everywhere else the SDK finds them. */
    BATON_CREDENTIALS_FILE: z.string().startsWith('/').optional(),
  })
  .refine((settings) => Object.keys(identity).some((name) => Object.hasOwn(settings, name)), {
    path: [Object.keys(identity).join(' or ')],
    when: () => true,
  });

await serveOrRun(() =>
  start(environment, (settings) => {
    mkdirSync(settings.BATON_RUN_DIR, { recursive: true, mode: 0o700 });
    const connecting = { requestHandler: { connectionTimeout: AWS_CONNECT_TIMEOUT_MS } };
    const { BATON_CREDENTIALS_FILE: file } = settings;
    const given = file === undefined ? {} : { credentials: hostCredentials(file) };
    const dynamoDb = new DynamoDBClient({ ...connecting, ...given });
    // One set of credentials, fetched and renewed once.
    const client = { ...connecting, credentials: dynamoDb.config.credentials };
    const {
      BATON_NATIVE_ID: nativeId,
      ECS_CONTAINER_METADATA_URI_V4: metadataUri = '',
      BATON_AGENT_SECRETS: secrets,
    } = settings;
    return {
      controlPlane: awsControlPlane({
        dynamoDb,
        s3: new S3Client(client),
        eventBridge: new EventBridgeClient(client),
        table: settings.BATON_TABLE,
        bucket: settings.BATON_PAYLOAD_BUCKET,
        bus: settings.BATON_BUS,
      }),
      payloadReference: settings.BATON_PAYLOAD,
      secrets: secrets === undefined ? noSecrets : awsSecrets(new SecretsManagerClient(client), secrets),
      nativeId: (patience) => (nativeId === undefined ? ecsIdentity(metadataUri, patience) : Promise.resolve(nativeId)),
      runDir: settings.BATON_RUN_DIR,
    };
  }),
);
