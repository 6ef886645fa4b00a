import { createHash } from 'node:crypto';
import * as z from 'zod';
import { AwsError } from './aws-error.ts';
import { type AwsService, parsedInput } from './aws-service.ts';
import type { Bucket, StoredObject } from './buckets.ts';
import { s3Protocol } from './s3-protocol.ts';

/** Largest object in bytes: the payload of a run may have one or two megabytes. */
export const OBJECT_MAX_BYTES = 5 * 1024 * 1024;
/** Objects listed or deleted at once (S3 API reference). */
const LISTED_MAX = 1_000;
/** Longest key in bytes of UTF-8 (S3 user guide, object keys). */
const KEY_MAX_BYTES = 1_024;

const bucketInput = z.looseObject({ Bucket: z.string() });
const objectInput = bucketInput.extend({ Key: z.string() });
const putInput = objectInput.extend({ Body: z.instanceof(Buffer) });
const deleteInput = bucketInput.extend({ Keys: z.array(z.string()), Quiet: z.boolean() });
const listInput = bucketInput.extend({
  Prefix: z.string().default(''),
  MaxKeys: z.coerce.number().int().min(0).default(LISTED_MAX),
  StartAfter: z.string().optional(),
  ContinuationToken: z.string().optional(),
  EncodingType: z.literal('url').optional(),
});

/** S3 as far as payloads need it: whole objects, no versions, no parts, no access lists. */
export function s3Service({ buckets }: { readonly buckets: readonly Bucket[] }): AwsService {
  return {
    signingName: 's3',
    protocol: s3Protocol(),
    operations: {
      async HeadBucket(input) {
        bucketOf(parsedInput(bucketInput, input).Bucket);
        return {};
      },
      async PutObject(input) {
        const { Bucket, Key, Body } = parsedInput(putInput, input);
        assertKey(Key);
        if (Body.length > OBJECT_MAX_BYTES) {
          throw new AwsError('EntityTooLarge', 400, 'Your proposed upload exceeds the maximum allowed object size.');
        }
        await bucketOf(Bucket).put(Key, Body);
        return { ETag: etagOf(Body) };
      },
      async GetObject(input) {
        return shown(await objectOf(parsedInput(objectInput, input)));
      },
      async HeadObject(input) {
        return shown(await objectOf(parsedInput(objectInput, input)));
      },
      async DeleteObject(input) {
        const { Bucket, Key } = parsedInput(objectInput, input);
        await bucketOf(Bucket).delete(Key);
        return {};
      },
      async DeleteObjects(input) {
        const { Bucket, Keys, Quiet } = parsedInput(deleteInput, input);
        const bucket = bucketOf(Bucket);
        if (Keys.length === 0 || Keys.length > LISTED_MAX) {
          throw new AwsError(
            'MalformedXML',
            400,
            'The XML you provided was not well-formed or did not validate against our published schema',
          );
        }
        for (const key of Keys) await bucket.delete(key);
        return { Deleted: Quiet ? [] : Keys };
      },
      async ListObjectsV2(input) {
        const asked = parsedInput(listInput, input, 'InvalidArgument');
        const bucket = bucketOf(asked.Bucket);
        const limit = Math.min(asked.MaxKeys, LISTED_MAX);
        const after = asked.ContinuationToken === undefined ? asked.StartAfter : keyIn(asked.ContinuationToken);
        // One more than wanted tells whether there is more.
        const found = await bucket.list(asked.Prefix, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
        const page = found.slice(0, limit);
        const last = page.at(-1);
        const isTruncated = last !== undefined && found.length > limit;
        return {
          Name: asked.Bucket,
          Prefix: asked.Prefix,
          MaxKeys: limit,
          EncodingType: asked.EncodingType,
          Contents: page.map((object) => ({ Key: object.key, ...shown(object) })),
          ...(isTruncated ? { NextContinuationToken: Buffer.from(last.key).toString('base64url') } : {}),
        };
      },
    },
  };

  function bucketOf(name: string): Bucket {
    const found = buckets.find((bucket) => bucket.name === name);
    if (found) return found;
    throw new AwsError('NoSuchBucket', 404, 'The specified bucket does not exist', { BucketName: name });
  }

  async function objectOf({ Bucket, Key }: z.infer<typeof objectInput>): Promise<StoredObject> {
    const found = await bucketOf(Bucket).get(Key);
    if (found) return found;
    throw new AwsError('NoSuchKey', 404, 'The specified key does not exist.', { Key });
  }
}

function assertKey(key: string): void {
  if (Buffer.byteLength(key) > KEY_MAX_BYTES) throw new AwsError('KeyTooLongError', 400, 'Your key is too long');
}

const shown = ({ body, modifiedAt }: StoredObject) => ({
  Body: body,
  ETag: etagOf(body),
  ...(modifiedAt === undefined ? {} : { LastModified: modifiedAt }),
});

/** As S3 makes it of an object that was put whole. */
const etagOf = (body: Buffer): string => `"${createHash('md5').update(body).digest('hex')}"`;

const keyIn = (token: string): string => Buffer.from(token, 'base64url').toString();
