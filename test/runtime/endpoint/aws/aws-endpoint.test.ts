import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AWS_BODY_MAX_BYTES } from '../../../../runtime/endpoint/aws/aws-endpoint.ts';
import { AwsError } from '../../../../runtime/endpoint/aws/aws-error.ts';
import { jsonProtocol } from '../../../../runtime/endpoint/aws/json-protocol.ts';
import { secretsManagerService } from '../../../../runtime/endpoint/aws/secrets-manager.ts';
import { BatonError } from '../../../../runtime/errors.ts';
import { awsServer, errorOf } from './aws-server.ts';

const ARN = 'arn:aws:secretsmanager:us-east-1:000000000000:secret:baton-AbCdEf';
let server: Awaited<ReturnType<typeof awsServer>>;
beforeAll(async () => {
  const failing = {
    signingName: 'failing',
    targetPrefix: 'Failing',
    protocol: jsonProtocol('1.0'),
    operations: {
      async Defect() {
        throw new TypeError('a mistake of ours');
      },
      async Passing() {
        throw new BatonError('store_full', 'The disk is full.');
      },
      async Refused() {
        throw new AwsError('TeapotException', 418, 'I am one.', { colour: 'blue' });
      },
      Echo: async (input: object) => ({ input }),
    },
  };
  server = await awsServer([
    failing,
    secretsManagerService({ secrets: [{ arn: ARN, name: 'baton', text: () => 'very secret' }] }),
  ]);
});
afterAll(() => server.close());

const SIGNED =
  'AWS4-HMAC-SHA256 Credential=nobody/20261121/us-east-1/failing/aws4_request, SignedHeaders=host, Signature=00';

async function call(target: string, { body = '{}', authorization = SIGNED } = {}) {
  const headers = {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': target,
    authorization,
  };
  const response = await fetch(server.url, { method: 'POST', headers, body });
  const json = JSON.parse(await response.text()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, json };
}

describe('a call', () => {
  it('is answered under an id of its own, in the version of JSON of its service', async () => {
    const [one, two] = [await call('Failing.Echo', { body: '{"a":1}' }), await call('Failing.Echo', { body: '' })];
    expect(one.json).toEqual({ input: { a: 1 } });
    expect(two.json).toEqual({ input: {} });
    expect(one.headers.get('content-type')).toBe('application/x-amz-json-1.0');
    expect(one.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/);
    expect(one.headers.get('x-amzn-requestid')).not.toBe(two.headers.get('x-amzn-requestid'));
  });

  it('must be signed, though nobody checks by whom', async () => {
    const unsigned = await fetch(server.url, {
      method: 'POST',
      headers: { 'x-amz-target': 'Failing.Echo' },
      body: '{}',
    });
    expect(unsigned.status).toBe(400);
    expect(await unsigned.json()).toMatchObject({ __type: 'MissingAuthenticationTokenException' });
    expect((await call('Failing.Echo')).status).toBe(200);
  });

  it.each([
    ['an operation that the service does not have', 'Failing.Nothing'],
    ['an operation that only objects have', 'Failing.constructor'],
    ['a service that is not here', 'AmazonSSM.GetParameter'],
  ])('for %s is unknown', async (_what, target) => {
    expect(await call(target)).toMatchObject({ status: 400, json: { __type: 'UnknownOperationException' } });
  });

  it('whose signature names no service is incomplete', async () => {
    const told = await call('Failing.Echo', { authorization: 'AWS4-HMAC-SHA256 Signature=00' });
    expect(told).toMatchObject({ status: 400, json: { __type: 'IncompleteSignatureException' } });
  });

  it.each(['{', '[]', '"a"', 'null', '\uFFFD{'])('with the body %s cannot be read', async (body) => {
    expect(await call('Failing.Echo', { body })).toMatchObject({
      status: 400,
      json: { __type: 'SerializationException' },
    });
  });

  it('with too large a body is refused', async () => {
    const told = await call('Failing.Echo', { body: ' '.repeat(AWS_BODY_MAX_BYTES + 1) }).catch(() => 'cut');
    // The answer comes while the client is still sending; whether it reads it is the client's affair.
    if (told !== 'cut') expect(told).toMatchObject({ status: 413, json: { __type: 'RequestEntityTooLarge' } });
    expect((await call('Failing.Echo')).status).toBe(200);
  });
});

describe('an error', () => {
  it('goes out with its code, status and members', async () => {
    const told = await call('Failing.Refused');
    expect(told).toMatchObject({
      status: 418,
      json: { __type: 'TeapotException', message: 'I am one.', colour: 'blue' },
    });
    expect(told.headers.get('x-amzn-errortype')).toBe('TeapotException');
  });

  it('that passes is one that SDKs try again', async () => {
    expect(await call('Failing.Passing')).toMatchObject({ status: 503, json: { __type: 'ServiceUnavailable' } });
  });

  it('of our own is an internal failure, and told inside', async () => {
    server.warnings.length = 0;
    expect(await call('Failing.Defect')).toMatchObject({ status: 500, json: { __type: 'InternalFailure' } });
    expect(server.warnings).toHaveLength(1);
  });
});

describe('a secret', () => {
  const get = (SecretId: string) => {
    const client = new SecretsManagerClient(server.client);
    return client.send(new GetSecretValueCommand({ SecretId })).finally(() => client.destroy());
  };

  it('is read by ARN or name', async () => {
    expect(await get(ARN)).toMatchObject({ ARN, Name: 'baton', SecretString: 'very secret' });
    expect((await get('baton')).SecretString).toBe('very secret');
  });

  it('that is not there is not found', async () => {
    expect(await errorOf(get('another'))).toMatchObject({ name: 'ResourceNotFoundException', status: 400 });
  });
});
