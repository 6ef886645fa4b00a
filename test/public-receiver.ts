import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { listening, type WebhookReceiver } from './webhook-receiver.ts';

/** A name of the public internet that nobody has (RFC 2606). */
const HOST = 'hooks.example.com';

export interface PublicReceiver extends WebhookReceiver {
  /** With these variables a Node process finds the receiver under its public name, and trusts it. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A receiver with https and a public name, as functions on AWS ask for, on this machine. */
export async function publicReceiver(): Promise<PublicReceiver> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-receiver-'));
  const [key, cert, finder] = ['key.pem', 'cert.pem', 'finder.cjs'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const made = await generate([{ name: 'commonName', value: HOST }], {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: HOST }] }],
  });
  writeFileSync(key, made.private);
  writeFileSync(cert, made.cert);
  writeFileSync(
    finder,
    `const dns = require('node:dns');
const { lookup } = dns;
dns.lookup = (name, ...more) => lookup(name === ${JSON.stringify(HOST)} ? '127.0.0.1' : name, ...more);
`,
  );
  const credentials = { key: readFileSync(key), cert: readFileSync(cert) };
  const receiver = await listening(
    (take) => createServer(credentials, take),
    (port) => `https://${HOST}:${port}`,
  );
  return {
    ...receiver,
    environment: { NODE_EXTRA_CA_CERTS: cert, NODE_OPTIONS: `--require=${finder}` },
    async close() {
      await receiver.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
