import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { FLEET, RUN_DOCUMENT } from '../../../../runtime/embedded-fleet.ts';
import type { AwsService } from '../../../../runtime/endpoint/aws/aws-service.ts';
import { embeddedServices } from '../../../../runtime/endpoint/aws/embedded-services.ts';
import { realScheduler } from '../../../../runtime/engine/scheduler.ts';
import { documentParameters } from '../../../../schemas/ssm-command.ts';

const page = readFileSync(new URL('../../../../docs/api.md', import.meta.url), 'utf8');

/** Services are values; what they would use is not touched before a call comes. */
const nothing = { ports: { clock: {} } } as never;
const { services } = embeddedServices({
  engine: nothing,
  rules: [],
  ecs: nothing,
  agentcore: nothing,
  fleet: nothing,
  fleetNames: FLEET,
  registry: nothing,
  scheduler: realScheduler(),
  url: 'http://127.0.0.1',
  warn: () => undefined,
});

/** Operations that are there only to be refused by name are no offer. */
async function offered({ operations }: AwsService): Promise<string[]> {
  const refusals = await Promise.all(
    Object.entries(operations).map(async ([name, run]) => ({
      name,
      error: await run({ TableName: 'baton' }).catch(String),
    })),
  );
  return refusals.filter(({ error }) => !String(error).includes('is not authorized')).map(({ name }) => `\`${name}\``);
}

describe('the page on the API', () => {
  it('lists every operation of AWS that a world serves, and no other', async () => {
    const told = [...page.matchAll(/^\| `([a-z0-9-]+)` \| ((?:`[A-Za-z0-9]+`(?:, )?)+) \|/gm)];
    const onPage = told.map(([, service, operations = '']) => [service, operations.split(', ').sort()]);
    const served = services.map(async (service) => [service.signingName, (await offered(service)).sort()]);
    expect(onPage.sort()).toEqual((await Promise.all(served)).sort());
  });

  it('names the group of the fleet, and its document with every parameter', () => {
    expect(page).toContain(`group \`${FLEET.group}\``);
    expect(page).toContain(`document [\`${RUN_DOCUMENT}\`](`);
    for (const [name, pattern] of Object.entries(documentParameters)) {
      expect(page).toContain(`| \`${name}\` | \`${pattern.replaceAll('|', '\\|')}\` |`);
    }
  });
});
