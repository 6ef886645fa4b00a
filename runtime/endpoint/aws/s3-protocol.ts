import { AwsError } from './aws-error.ts';
import type { AwsAnswer, AwsCall, Input, Protocol } from './aws-service.ts';
import { decoded } from './rest-json-protocol.ts';
import { sentBody } from './s3-body.ts';
import { element, textsOf, xmlDocument } from './xml.ts';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
/** Parameters that say nothing about what is done. */
const IDLE: readonly string[] = ['x-id', 'fetch-owner'];
/** Headers that make another operation, or a condition, of one that is served here. */
const OTHER_HEADERS = ['x-amz-copy-source', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];

/** Query parameters of ListObjectsV2, and the members that they are. */
const LISTING: Readonly<Record<string, string>> = {
  prefix: 'Prefix',
  'max-keys': 'MaxKeys',
  'start-after': 'StartAfter',
  'continuation-token': 'ContinuationToken',
  'encoding-type': 'EncodingType',
};

interface S3Route {
  readonly operation: string;
  readonly on: 'bucket' | 'object';
  readonly method: string;
  /** The query parameter, as it is written, that makes this operation of the method. */
  readonly mark?: string;
  /** Query parameters that it understands besides. */
  readonly takes?: readonly string[];
}

const ROUTES: readonly S3Route[] = [
  { operation: 'HeadBucket', on: 'bucket', method: 'HEAD' },
  { operation: 'ListObjectsV2', on: 'bucket', method: 'GET', mark: 'list-type=2', takes: Object.keys(LISTING) },
  { operation: 'DeleteObjects', on: 'bucket', method: 'POST', mark: 'delete=' },
  { operation: 'PutObject', on: 'object', method: 'PUT' },
  { operation: 'GetObject', on: 'object', method: 'GET' },
  { operation: 'HeadObject', on: 'object', method: 'HEAD' },
  { operation: 'DeleteObject', on: 'object', method: 'DELETE' },
];

/** S3's REST XML with the bucket in the path. */
export function s3Protocol(): Protocol {
  return {
    read(call) {
      const operation = operationOf(call);
      return { operation, input: inputOf(operation, call) };
    },
    write: (operation, output) => (answers[operation] ?? empty)(output as Output),
    fail: (code, status, message, members, requestId) =>
      xml(status, xmlDocument(element('Error', { Code: code, Message: message, ...members, RequestId: requestId }))),
  };
}

/** The bucket, and the key where one is named. */
function placeIn(path: string): { readonly bucket: string; readonly key: string } {
  const [, bucket = '', ...key] = path.split('/');
  return { bucket: decoded(bucket), key: decoded(key.join('/')) };
}

/** Whatever would mean more than what is served here is refused: nobody shall believe that it was done. */
function operationOf({ method, path, query, headers }: AwsCall): string {
  const { bucket, key } = placeIn(path);
  const on = key !== '' ? 'object' : bucket !== '' ? 'bucket' : undefined;
  const asked = [...query].filter(([name]) => !IDLE.includes(name));
  const found = OTHER_HEADERS.some((name) => headers[name] !== undefined)
    ? undefined
    : ROUTES.find((route) => {
        const marks = asked.filter(([name]) => !route.takes?.includes(name)).map(([name, value]) => `${name}=${value}`);
        return route.on === on && route.method === method && marks.join('&') === (route.mark ?? '');
      });
  if (found) return found.operation;
  const words = `${method} ${path}${asked.length > 0 ? `?${new URLSearchParams(asked)}` : ''}`;
  throw new AwsError(
    'NotImplemented',
    501,
    `${words}, with its headers, means something that is not implemented here.`,
  );
}

function inputOf(operation: string, call: AwsCall): Input {
  const { bucket: Bucket, key: Key } = placeIn(call.path);
  switch (operation) {
    case 'PutObject':
      return { Bucket, Key, Body: sentBody(call) };
    case 'DeleteObjects': {
      const text = sentBody(call).toString();
      const Keys = textsOf(text, 'Object').flatMap((one) => textsOf(one, 'Key', 'decoded'));
      return { Bucket, Keys, Quiet: textsOf(text, 'Quiet')[0] === 'true' };
    }
    case 'ListObjectsV2': {
      const asked = Object.entries(LISTING).flatMap(([name, member]) => {
        const value = call.query.get(name);
        return value === null ? [] : [[member, value]];
      });
      return { Bucket, ...Object.fromEntries(asked) };
    }
    default:
      return { Bucket, Key };
  }
}

/** What the operations answer; a member that one does not have is undefined. */
interface Output {
  readonly Body: Buffer;
  readonly ETag: string;
  readonly LastModified?: string;
  readonly Deleted: readonly string[];
  readonly Name: string;
  readonly Prefix: string;
  readonly MaxKeys: number;
  readonly EncodingType?: string;
  readonly NextContinuationToken?: string;
  readonly Contents: readonly (Pick<Output, 'Body' | 'ETag' | 'LastModified'> & { readonly Key: string })[];
}

const answers: Readonly<Record<string, (output: Output) => AwsAnswer>> = {
  PutObject: ({ ETag }) => ({ status: 200, headers: { etag: ETag }, body: Buffer.alloc(0) }),
  GetObject: objectAnswer,
  HeadObject: objectAnswer,
  DeleteObject: () => ({ status: 204, headers: {}, body: Buffer.alloc(0) }),
  DeleteObjects: ({ Deleted }) => {
    const each = Deleted.map((Key) => element('Deleted', { Key })).join('');
    return xml(200, xmlDocument(`<DeleteResult xmlns="${NAMESPACE}">${each}</DeleteResult>`));
  },
  ListObjectsV2: (output) => {
    const { Name, Prefix, MaxKeys, EncodingType, NextContinuationToken, Contents } = output;
    const shown = (key: string) => (EncodingType === 'url' ? encodeURIComponent(key).replaceAll('%2F', '/') : key);
    const told = {
      Name,
      Prefix: shown(Prefix),
      KeyCount: Contents.length,
      MaxKeys,
      EncodingType,
      IsTruncated: NextContinuationToken !== undefined,
      NextContinuationToken,
    };
    const each = Contents.map(({ Key, Body, ETag, LastModified }) =>
      element('Contents', { Key: shown(Key), LastModified, ETag, Size: Body.length, StorageClass: 'STANDARD' }),
    );
    return xml(200, xmlDocument(element('ListBucketResult', told, { xmlns: NAMESPACE, inner: each.join('') })));
  },
};

const empty = (): AwsAnswer => ({ status: 200, headers: {}, body: Buffer.alloc(0) });

function objectAnswer({ Body, ETag, LastModified }: Output): AwsAnswer {
  const modified = LastModified === undefined ? {} : { 'last-modified': new Date(LastModified).toUTCString() };
  return { status: 200, headers: { 'content-type': 'application/octet-stream', etag: ETag, ...modified }, body: Body };
}

const xml = (status: number, document: string): AwsAnswer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: Buffer.from(document),
});
