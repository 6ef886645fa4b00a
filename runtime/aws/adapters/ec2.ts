import { Logger } from '@aws-lambda-powertools/logger';
import { awsFleetWaits } from '../../../lifecycle/worker.ts';
import { fleetBackend } from '../../fleet-backend.ts';
import type { FleetBackend } from '../../ports.ts';
import { workersOver } from '../../workers.ts';
import { autoScalingMachines } from '../auto-scaling-machines.ts';
import { autoScaling } from '../clients/auto-scaling.ts';
import { ec2Carrier, ec2Place } from '../clients/ec2.ts';
import { ssm, ssmSender } from '../clients/ssm.ts';
import { ec2Instances } from '../ec2-instances.ts';
import type { EnvironmentOf } from '../environment.ts';
import { ssmCommands } from '../ssm-commands.ts';
import * as clock from './clock.ts';
import { records } from './records.ts';

/** For what stops no delivery: what could not be undone, and a start that is not allowed. */
const logger = new Logger({ serviceName: 'baton' });

/** Runs as commands of Systems Manager on the workers in the table. */
export function open(environment: EnvironmentOf<'ec2'>): FleetBackend {
  const now = clock.open();
  const logGroup = environment.BATON_FLEET_LOG_GROUP;
  return fleetBackend({
    workers: workersOver({ store: records(environment), clock: now, waits: awsFleetWaits }),
    commands: ssmCommands({
      client: ssm(),
      sender: ssmSender(),
      document: environment.BATON_FLEET_DOCUMENT,
      ...(logGroup === undefined ? {} : { logGroup }),
    }),
    clock: now,
    waits: awsFleetWaits,
    region: environment.BATON_FLEET_REGION,
    machines: {
      ...autoScalingMachines(autoScaling(), environment.BATON_STAGE),
      ...ec2Instances(ec2Carrier(), ec2Place()),
    },
    warn: (message, cause) => (cause instanceof Error ? logger.warn(message, cause) : logger.warn(message)),
    failed: ({ code, message, remedy }) => logger.error(message, { code, remedy }),
  });
}
