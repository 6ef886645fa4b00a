import { type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { notificationDue } from '../../events/notification-due.ts';
import { effectExpirySeconds, powertoolsEffects } from '../../runtime/aws/powertools-effects.ts';
import { effectLedger } from '../../runtime/engine/effect-ledger.ts';
import type { EffectLedger } from '../../runtime/once.ts';
import { type DynamoServer, dynamoEngines } from '../aws/dynamo-server.ts';
import { anEvent, at } from '../builders.ts';
import { effectsContract } from './effects.ts';
import { onEmbeddedStores } from './stores.ts';

onEmbeddedStores((present) =>
  effectsContract({
    open: () => effectLedger({ store: present.store }),
    reopen: async () => {
      await present.store.durable();
      return effectLedger({ store: await present.reopen() });
    },
  }),
);

describe.each(dynamoEngines.filter(({ absent }) => absent === undefined))('over $name', ({ start }) => {
  const RETENTION_D = 90;
  let server: DynamoServer;
  let table: string;
  let clients: DynamoDBClient[];
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    clients = [];
    table = await server.createTable();
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    await server.dropTable(table);
  });

  /** As the next process has it; its function has so long left. */
  const open = (remainingMs = 30_000, config = {}): EffectLedger => {
    const client = server.client(config);
    clients.push(client);
    const ledgers = powertoolsEffects({ client, table, retentionDays: RETENTION_D });
    return ledgers({ getRemainingTimeInMillis: () => remainingMs });
  };
  const due = (id: string) =>
    anEvent(notificationDue.of({ channel: 'webhook', subscriber: 0, status: 'COMPLETED' }), { id });
  const done = { at: at(0), facts: [] };
  const items = async () => {
    const client = server.client();
    clients.push(client);
    const { ScanCommand } = await import('@aws-sdk/client-dynamodb');
    return (await client.send(new ScanCommand({ TableName: table }))).Items ?? [];
  };

  effectsContract({ open, reopen: async () => open() });

  describe('an entry', () => {
    it('stands under a key of its own kind, in no listing, and outlives what the archive keeps', async () => {
      const before = Math.floor(Date.now() / 1000);
      await open().once('post-webhook', due('fact'), async () => done);
      const [item, ...more] = await items();
      expect(more).toEqual([]);
      expect(item?.['key']?.S).toMatch(/^EFFECT#post-webhook#.+/);
      expect(item).toMatchObject({ status: { S: 'COMPLETED' } });
      expect(item).not.toHaveProperty('by');
      const expiresAt = Number(item?.['expiresAt']?.N);
      expect(expiresAt).toBeGreaterThanOrEqual(before + effectExpirySeconds(RETENTION_D));
      expect(expiresAt).toBeGreaterThan(before + RETENTION_D * 86_400);
    });

    it('is of no function: renamed, it still knows', async () => {
      let times = 0;
      const does = async () => {
        times++;
        return done;
      };
      for (const name of ['one', 'two']) {
        process.env['AWS_LAMBDA_FUNCTION_NAME'] = name;
        await open().once('post-webhook', due('fact'), does);
      }
      delete process.env['AWS_LAMBDA_FUNCTION_NAME'];
      expect(times).toBe(1);
    });

    it('of a process that died keeps nobody out for longer than its function had left', async () => {
      const never = new Promise<never>(() => undefined);
      let begun: () => void = () => undefined;
      const dies = new Promise<void>((resolve) => {
        begun = resolve;
      });
      void open(300).once('post-webhook', due('fact'), () => {
        begun();
        return never;
      });
      await dies;
      await expect(open().once('post-webhook', due('fact'), async () => done)).rejects.toMatchObject({
        code: 'effect_under_way',
        retry: 'soon',
      });
      const [item] = await items();
      const key = item?.['key'] ?? { S: '' };
      const client = clients[0] as DynamoDBClient;
      for (let until = Number(item?.['inProgressUntil']?.N); Date.now() <= until; ) {
        await client.send(new GetItemCommand({ TableName: table, Key: { key } }));
      }
      expect(await open().once('post-webhook', due('fact'), async () => done)).toEqual(done);
    });

    it('is written without a warning: how long the function has left is known', async () => {
      const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
      const ledger = open();
      await ledger.once('post-webhook', due('one'), async () => done);
      await ledger.once('post-webhook', due('two'), async () => done);
      expect(warn).not.toHaveBeenCalled();
      warn.mockRestore();
    });
  });

  describe('a table that does not answer', () => {
    it('fails that delivery alone, before anything is done', async () => {
      let times = 0;
      const nowhere = { endpoint: 'http://127.0.0.1:9', maxAttempts: 1 };
      await expect(
        open(30_000, nowhere).once('post-webhook', due('fact'), async () => {
          times++;
          return done;
        }),
      ).rejects.toMatchObject({ code: 'service_unavailable', retry: 'soon' });
      expect(times).toBe(0);
    });
  });
});
