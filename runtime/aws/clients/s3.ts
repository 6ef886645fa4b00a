import { S3Client } from '@aws-sdk/client-s3';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for S3; region, credentials and endpoint come from the environment. */
export const s3 = once(() => new S3Client(clientConfig()));
