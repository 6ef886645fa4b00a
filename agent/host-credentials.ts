import { readFile } from 'node:fs/promises';
import * as z from 'zod';

/** What a host of the fleet leaves for its runner, in the format of a credential_process (AWS SDKs and tools reference guide). */
const credentialsFile = z.object({
  Version: z.literal(1),
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  SessionToken: z.string().min(1),
  Expiration: z.iso.datetime().transform((text) => new Date(text)),
});

export interface HostCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

/**
 * Credentials out of a file that the host renews; an SDK client asks again when they are about to expire. They are read in this process: a
 * `credential_process` of the SDK's own configuration would be a shell with the whole environment of the runner, and into that the agent,
 * which is the same user, can look. An error says neither where the file is nor what is in it.
 */
export const hostCredentials = (file: string) => async (): Promise<HostCredentials> => {
  const { data } = credentialsFile.safeParse(jsonIn(await readFile(file, 'utf8').catch(() => '')));
  if (data === undefined) throw new Error('the host has left no credentials that can be read');
  return {
    accessKeyId: data.AccessKeyId,
    secretAccessKey: data.SecretAccessKey,
    sessionToken: data.SessionToken,
    expiration: data.Expiration,
  };
};

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
