import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import type { Envelope } from '../../schemas/envelope.ts';
import { BatonError } from '../errors.ts';
import { type Done, type EffectLedger, factIdOf } from '../once.ts';
import { effectKey } from '../records.ts';
import { serviceError } from './sdk-errors.ts';

/** The ledger of outside effects during one invocation: how long that may still take bounds how long its entry keeps others out. */
export type InvocationLedgers = (invocation: Pick<Context, 'getRemainingTimeInMillis'>) => EffectLedger;

const DAY_S = 86_400;
/** Days that an entry outlives what is kept for the same fact elsewhere (its task's row, the archive): a clear distance, not a tie. */
const EFFECT_MARGIN_D = 1;

/** Seconds after which an entry counts no more. Whoever is handed the fact later finds neither its task nor its event. */
export const effectExpirySeconds = (retentionDays: number): number => (retentionDays + EFFECT_MARGIN_D) * DAY_S;

export interface PowertoolsEffects {
  /** Whoever made it destroys it. */
  readonly client: DynamoDBClient;
  readonly table: string;
  /** Days that rows of settled tasks are kept, which is never less than the archive keeps. */
  readonly retentionDays: number;
}

/**
 * The ledger of outside effects in the one table, by Powertools' idempotency. Its defaults would hash the whole envelope, skip what has no
 * key, forget after an hour, prefix with the function's name, and leave an entry of a process that died in the way until it expires; each
 * is given here instead.
 */
export function powertoolsEffects({ client, table, retentionDays }: PowertoolsEffects): InvocationLedgers {
  const persistenceStore = new DynamoDBPersistenceLayer({
    tableName: table,
    keyAttr: 'key',
    expiryAttr: 'expiresAt',
    statusAttr: 'status',
    dataAttr: 'done',
    inProgressExpiryAttr: 'inProgressUntil',
    awsSdkV3Client: client,
  });
  const config = new IdempotencyConfig({
    eventKeyJmesPath: 'detail.metadata.id',
    throwOnNoIdempotencyKey: true,
    expiresAfterSeconds: effectExpirySeconds(retentionDays),
    hashFunction: 'sha256',
  });
  return (invocation) => ({
    async once(rule, event, work) {
      factIdOf(event);
      config.registerLambdaContext(invocation as Context);
      const once = makeIdempotent((_event: Envelope) => work().then(plain), {
        persistenceStore,
        config,
        keyPrefix: effectKey(rule, '').replace(/#$/, ''),
        dataIndexArgument: 0,
      });
      try {
        return await once(event);
      } catch (error) {
        throw translated(error);
      }
    },
  });
}

/** As it is read back. */
const plain = (done: Done): Done => JSON.parse(JSON.stringify(done));

/** Powertools' own errors in ours; what the work threw stays as it is. */
function translated(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error.name === 'IdempotencyAlreadyInProgressError') {
    return new BatonError('effect_under_way', 'another delivery of the same fact is being handled', { cause: error });
  }
  if (error.name !== 'IdempotencyPersistenceLayerError') return error;
  return serviceError('DynamoDB, for the ledger of effects', error.cause);
}
