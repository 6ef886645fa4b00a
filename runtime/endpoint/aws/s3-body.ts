import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { AwsError } from './aws-error.ts';
import type { AwsCall } from './aws-service.ts';

/** Checksums that are compared; those that Node cannot compute (CRC32C, CRC64NVME) are taken on trust. */
const CHECKSUMS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  'x-amz-checksum-crc32': crc32Of,
  'x-amz-checksum-sha1': (body) => createHash('sha1').update(body).digest(),
  'x-amz-checksum-sha256': (body) => createHash('sha256').update(body).digest(),
  'content-md5': (body) => createHash('md5').update(body).digest(),
};

/** The bytes that a client sent, out of the chunks that an SDK packs them into, and compared with the checksums that it sent along. */
export function sentBody({ headers, body }: Pick<AwsCall, 'headers' | 'body'>): Buffer {
  const isChunked = String(headers['x-amz-content-sha256'] ?? '').startsWith('STREAMING-');
  const { bytes, trailers } = isChunked ? unchunked(body) : { bytes: body, trailers: {} };
  const announced = headers['x-amz-decoded-content-length'];
  if (announced !== undefined && Number(announced) !== bytes.length) throw incomplete();
  for (const [name, told] of Object.entries({ ...headers, ...trailers })) {
    const expected = Object.hasOwn(CHECKSUMS, name) ? CHECKSUMS[name]?.(bytes).toString('base64') : undefined;
    if (expected !== undefined && told !== expected) {
      throw new AwsError('BadDigest', 400, `The ${name} you specified did not match the calculated checksum.`);
    }
  }
  return bytes;
}

/** `aws-chunked`: chunks of `<length in hexadecimal>[;signature]`, the last one empty, then trailers (S3 user guide, streaming uploads). */
function unchunked(body: Buffer): { bytes: Buffer; trailers: Record<string, string> } {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const size = Number.parseInt(line(), 16);
    if (Number.isNaN(size)) throw incomplete();
    if (size === 0) break;
    if (body.toString('latin1', at + size, at + size + 2) !== '\r\n') throw incomplete();
    chunks.push(body.subarray(at, at + size));
    at += size + 2;
  }
  const trailers: Record<string, string> = {};
  while (at < body.length) {
    const [name = '', ...value] = line().split(':');
    if (name !== '') trailers[name.trim().toLowerCase()] = value.join(':').trim();
  }
  return { bytes: Buffer.concat(chunks), trailers };

  function line(): string {
    const end = body.indexOf('\r\n', at);
    if (end < 0) throw incomplete();
    const text = body.toString('latin1', at, end);
    at = end + 2;
    return text;
  }
}

function crc32Of(body: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return sum;
}

const incomplete = () =>
  new AwsError(
    'IncompleteBody',
    400,
    'You did not provide the number of bytes specified by the Content-Length HTTP header',
  );
