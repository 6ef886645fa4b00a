import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { describe, expect, it } from '@jest/globals';
import { deploymentSecret } from '../../../runtime/aws/deployment-secret.ts';
import { anError, aWire, type Script } from './wire.ts';

const secretArn = 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:baton';

async function aSecret(script: Script) {
  const wire = await aWire(script);
  return { wire, secret: deploymentSecret({ client: new SecretsManagerClient(wire.client), secretArn }) };
}

describe('the secret of the deployment', () => {
  it('is asked for once, at its first use, by all who need it at once and later', async () => {
    const { wire, secret } = await aSecret(() => ({ body: { SecretString: 'hush' } }));
    expect(wire.calls).toEqual([]);
    expect(await Promise.all([secret(), secret(), secret()])).toEqual(['hush', 'hush', 'hush']);
    expect(await secret()).toBe('hush');
    expect(wire.bodies('GetSecretValue')).toEqual([{ SecretId: secretArn }]);
  });

  it('is asked for again when asking failed', async () => {
    const { secret } = await aSecret((_, nth) =>
      nth === 0 ? anError('InternalServiceError', '', 500) : { body: { SecretString: 'hush' } },
    );
    await expect(secret()).rejects.toMatchObject({ code: 'service_unavailable', retry: 'soon' });
    expect(await secret()).toBe('hush');
  });

  it.each([
    ['AccessDeniedException', 'service_denied'],
    ['ResourceNotFoundException', 'service_refused'],
  ])('that cannot be had says why: %s', async (name, code) => {
    const { secret } = await aSecret(() => anError(name));
    await expect(secret()).rejects.toMatchObject({ code, message: expect.stringContaining(name) });
  });

  it('that holds no text is a fault of the configuration', async () => {
    const { secret } = await aSecret(() => ({ body: { SecretBinary: 'aHVzaA==' } }));
    await expect(secret()).rejects.toMatchObject({
      code: 'bad_configuration',
      message: expect.stringContaining(secretArn),
    });
  });
});
