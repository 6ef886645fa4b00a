import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { payloadObjectKey } from '../../schemas/record-keys.ts';
import { BatonError } from '../errors.ts';
import { payloadRef } from '../payloads.ts';
import type { Payloads } from '../ports.ts';
import { sdkError, serviceError } from './sdk-errors.ts';

/** Pages of a listing at the most, of 1,000 keys each. A task has a dozen payloads; more than this is not ours to delete. */
const LIST_PAGES_MAX = 10;

export interface S3PayloadsOptions {
  readonly client: S3Client;
  readonly bucket: string;
  /** The secret of the deployment, from which references are derived. */
  readonly secret: () => Promise<string>;
}

/** Payloads as objects of one bucket, each under its reference: whoever has the reference may read it, nobody can guess it. */
export function s3Payloads({ client, bucket, secret }: S3PayloadsOptions): Payloads {
  return {
    async put(taskId, text) {
      const ref = payloadRef(await secret(), taskId, text);
      const object = {
        Bucket: bucket,
        Key: payloadObjectKey(ref),
        Body: text,
        ContentLength: Buffer.byteLength(text),
        ContentType: 'text/plain; charset=utf-8',
      };
      await asked('PutObject', client.send(new PutObjectCommand(object)));
      return ref;
    },

    async get(ref) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: payloadObjectKey(ref) }));
        return await Body?.transformToString('utf-8');
      } catch (error) {
        const { name } = sdkError(error);
        if (name === 'NoSuchKey') return undefined;
        // A missing object is "denied" to who may not list the bucket, or not without a prefix (S3 API reference, GetObject).
        if (name === 'AccessDenied' && !(await isListed(payloadObjectKey(ref)))) return undefined;
        throw serviceError('S3 GetObject', error);
      }
    },

    async delete(ref) {
      const object = { Bucket: bucket, Key: payloadObjectKey(ref) };
      await asked('DeleteObject', client.send(new DeleteObjectCommand(object)));
    },

    async forget(taskId) {
      const prefix = payloadObjectKey(`${taskId}.`);
      for (let page = 0; page < LIST_PAGES_MAX; page++) {
        const listing = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix });
        const { Contents: objects = [], IsTruncated: goesOn } = await asked('ListObjectsV2', client.send(listing));
        if (objects.length > 0) await remove(objects.map(({ Key }) => ({ Key })));
        if (!goesOn) return;
      }
      throw new BatonError('service_refused', `S3: more than ${LIST_PAGES_MAX} pages of objects begin with ${prefix}`);
    },
  };

  async function isListed(key: string): Promise<boolean> {
    const listing = new ListObjectsV2Command({ Bucket: bucket, Prefix: key });
    const { Contents: objects = [] } = await asked('ListObjectsV2', client.send(listing));
    return objects.some(({ Key }) => Key === key);
  }

  async function remove(objects: { Key: string | undefined }[]): Promise<void> {
    const deletion = new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects, Quiet: true } });
    const { Errors: left = [] } = await asked('DeleteObjects', client.send(deletion));
    const [first] = left;
    if (!first) return;
    const told = Object.assign(new Error(`${first.Key}: ${first.Message ?? ''}`), { name: first.Code ?? '' });
    throw serviceError('S3 DeleteObjects', told);
  }
}

async function asked<Answer>(operation: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    throw serviceError(`S3 ${operation}`, error);
  }
}
