import { S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe } from '@jest/globals';
import { s3Payloads } from '../../runtime/aws/s3-payloads.ts';
import { type Bucket, memoryBucket } from '../../runtime/endpoint/aws/buckets.ts';
import { payloadBucket } from '../../runtime/endpoint/aws/payload-bucket.ts';
import { s3Service } from '../../runtime/endpoint/aws/s3.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { payloadsOver } from '../../runtime/payloads.ts';
import { at } from '../builders.ts';
import { type Served, served } from '../runtime/aws/served.ts';
import { payloadsContract } from './payloads.ts';
import { onEmbeddedStores } from './stores.ts';

onEmbeddedStores((present) =>
  payloadsContract({
    open: (secret) => payloadsOver({ store: present.store, secret: () => secret }),
    reopen: async (secret) => {
      await present.store.durable();
      return payloadsOver({ store: await present.reopen(), secret: () => secret });
    },
    count: async () => (await present.store.list('PAYLOAD#', { limit: 9 })).length,
  }),
);

describe.each([
  ['S3', () => memoryBucket('payloads', () => at(0))],
  ["the bucket of a world's endpoint", () => payloadBucket('payloads', memoryStore({ freezeValues: true }))],
])('over %s', (_, openBucket) => {
  let bucket: Bucket;
  let service: Served;
  let clients: S3Client[];
  beforeEach(async () => {
    clients = [];
    bucket = openBucket();
    service = await served([s3Service({ buckets: [bucket] })]);
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    await service.close();
  });

  const open = (secret: string) => {
    const client = new S3Client(service.client);
    clients.push(client);
    return s3Payloads({ client, bucket: 'payloads', secret: async () => secret });
  };
  payloadsContract({
    open,
    reopen: async (secret) => open(secret),
    count: async () => (await bucket.list('payloads/', { limit: 9 })).length,
  });
});
