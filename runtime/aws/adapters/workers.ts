import { awsFleetWaits } from '../../../lifecycle/worker.ts';
import type { Workers } from '../../ports.ts';
import { workersOver } from '../../workers.ts';
import type { EnvironmentOf } from '../environment.ts';
import * as clock from './clock.ts';
import { records } from './records.ts';

/** Workers in the table. */
export const open = (environment: EnvironmentOf<'workers'>): Workers =>
  workersOver({ store: records(environment), clock: clock.open(), waits: awsFleetWaits });
