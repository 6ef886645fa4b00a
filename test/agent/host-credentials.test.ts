import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { hostCredentials } from '../../agent/host-credentials.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';

/** From this long before their end on, a client asks for credentials anew at each request (AWS SDK for JavaScript, `EXPIRATION_MS`). */
const RENEWED_MS = 300_000;

const WHOLE =
  '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"canary","SessionToken":"canary","Expiration":"2099-01-01T00:00:00Z"}';

let folder: string;
let file: string;
beforeEach(() => {
  folder = sceneFolder();
  file = join(folder, 'role.json');
});
afterEach(() => putAway(folder));

/** As the script of the host writes them. */
function leave(id: string, leftMs: number): void {
  const Expiration = new Date(Date.now() + leftMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const told = { Version: 1, AccessKeyId: id, SecretAccessKey: 'canary', SessionToken: 'canary', Expiration };
  writeFileSync(file, JSON.stringify(told));
}

describe('credentials that a host has left', () => {
  it('are what a client of the SDK signs with until they are about to expire, and then whatever is there', async () => {
    leave('first', RENEWED_MS + 60_000);
    const client = new DynamoDBClient({ region: 'eu-west-1', credentials: hostCredentials(file) });
    const id = async (): Promise<string> => (await client.config.credentials()).accessKeyId;
    expect(await id()).toBe('first');
    leave('second', RENEWED_MS - 60_000);
    expect(await id()).toBe('first');

    const later = new DynamoDBClient({ region: 'eu-west-1', credentials: hostCredentials(file) });
    const then = async (): Promise<string> => (await later.config.credentials()).accessKeyId;
    expect(await then()).toBe('second');
    leave('third', RENEWED_MS + 60_000);
    expect(await then()).toBe('third');
    leave('fourth', RENEWED_MS + 60_000);
    expect(await then()).toBe('third');
    client.destroy();
    later.destroy();
  });

  it.each([
    ['is not there', undefined],
    ['is half written', '{"Version":1,"AccessKeyId":"canary'],
    ['is of another version', WHOLE.replace('"Version":1', '"Version":2')],
    ['lacks an end', WHOLE.replace(',"Expiration":"2099-01-01T00:00:00Z"', '')],
  ])('say neither what they are nor where when their file %s', async (_, text) => {
    rmSync(file, { force: true });
    if (text !== undefined) writeFileSync(file, text);
    const error: unknown = await hostCredentials(file)().catch((thrown: unknown) => thrown);
    expect(error).toEqual(new Error('the host has left no credentials that can be read'));
  });
});
