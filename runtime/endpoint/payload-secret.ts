import { createHmac, timingSafeEqual } from 'node:crypto';

/** The variable in which a run gets the secret of its payload. It stands in no native event, unlike the reference. */
export const PAYLOAD_SECRET_NAME = 'BATON_PAYLOAD_SECRET';

/** Proves that somebody was given a payload, and did not only read its reference somewhere. */
export interface PayloadSecrets {
  of(ref: string): string;
  isOf(ref: string, told: string): boolean;
  /** The access key id that opens the bucket of payloads at the AWS endpoint: it stands in world.json, which only the owner may read. */
  readonly accessKeyId: string;
}

/** Derived with the world's secret, so that they outlive a restart without being stored. */
export function payloadSecrets(worldSecret: string): PayloadSecrets {
  const digest = (ref: string): Buffer => createHmac('sha256', worldSecret).update(`payload-secret#${ref}`).digest();
  return {
    accessKeyId: `BATON${createHmac('sha256', worldSecret).update('s3-access-key').digest('hex').slice(0, 27).toUpperCase()}`,
    of: (ref) => digest(ref).toString('base64url'),
    isOf(ref, told) {
      const wanted = digest(ref);
      const given = Buffer.from(told, 'base64url');
      return given.length === wanted.length && timingSafeEqual(given, wanted);
    },
  };
}
