import type { Configurations } from '../../ports.ts';
import { configurationsOver } from '../../repositories.ts';
import type { EnvironmentOf } from '../environment.ts';
import { records } from './records.ts';

/** Changes the configurations of repositories in the table: one record, written on its revision. */
export const open = (environment: EnvironmentOf<'configurations'>): Configurations =>
  configurationsOver({ store: records(environment) });
