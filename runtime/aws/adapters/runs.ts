import type { Runs } from '../../ports.ts';
import { runKey } from '../../records.ts';
import { runRecordIn, runsOver } from '../../runs.ts';
import type { EnvironmentOf } from '../environment.ts';
import * as clock from './clock.ts';
import { primeRecords, records } from './records.ts';
import { secretOf } from './secret.ts';

/** Run records in the table; the secret is asked for when a run is opened. */
export const open = (environment: EnvironmentOf<'runs'>): Runs =>
  runsOver({ store: records(environment), clock: clock.open(), secret: secretOf(environment), read: runRecordIn });

/** Reads a record that no task has, under the keys that this port may read. */
export const prime = (environment: EnvironmentOf<'runs'>): Promise<unknown> => primeRecords(environment, runKey('', 0));
