import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { awsControlPlane } from '../../../../agent/aws-control-plane.ts';
import { dynamoDbService } from '../../../../runtime/endpoint/aws/dynamodb.ts';
import { eventBridgeService } from '../../../../runtime/endpoint/aws/eventbridge.ts';
import { payloadBucket } from '../../../../runtime/endpoint/aws/payload-bucket.ts';
import { s3Service } from '../../../../runtime/endpoint/aws/s3.ts';
import { memoryStore } from '../../../../runtime/engine/memory-store.ts';
import { payloadsOver } from '../../../../runtime/payloads.ts';
import { runsOver } from '../../../../runtime/runs.ts';
import type { Envelope } from '../../../../schemas/envelope.ts';
import { type ControlPlaneUnderTest, controlPlaneContract } from '../../../contracts/control-plane.ts';
import { awsServer, place } from './aws-server.ts';

controlPlaneContract("on AWS, a world's endpoint", onEndpoint);

/** The runner for AWS, on a world that speaks AWS. */
async function onEndpoint(): Promise<ControlPlaneUnderTest> {
  const store = memoryStore({ freezeValues: true });
  const clock = { now: () => new Date().toISOString() };
  const heard: Envelope[] = [];
  const publish = async (events: readonly Envelope[]) => void heard.push(...events);
  const server = await awsServer([
    dynamoDbService({ place, table: 'baton', store }),
    s3Service({ buckets: [payloadBucket('baton-payloads', store)] }),
    eventBridgeService({ place, buses: [{ name: 'baton', publish }], rules: [], now: clock.now }),
  ]);
  const dynamoDb = new DynamoDBClient(server.client);
  const s3 = new S3Client(server.client);
  const eventBridge = new EventBridgeClient(server.client);
  const bucket = 'baton-payloads';
  const controlPlane = awsControlPlane({ dynamoDb, s3, eventBridge, table: 'baton', bucket, bus: 'baton' });
  const secret = () => 'secret of the deployment';
  return {
    of: () => controlPlane,
    runs: runsOver({ store, clock, secret }),
    store,
    keep: (taskId, text) => payloadsOver({ store, secret }).put(taskId, text),
    events: () => heard.map(({ source, 'detail-type': type, detail }) => ({ source, type, detail })),
    async close() {
      for (const client of [dynamoDb, s3, eventBridge]) client.destroy();
      await server.close();
      await store.close();
    },
  };
}
