import type { Repositories } from '../../ports.ts';
import { repositoriesOver } from '../../repositories.ts';
import type { EnvironmentOf } from '../environment.ts';
import { records } from './records.ts';

/** Configurations of repositories in the table: one record, read at each use. */
export const open = (environment: EnvironmentOf<'repositories'>): Repositories =>
  repositoriesOver({ store: records(environment) });
