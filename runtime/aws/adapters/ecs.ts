import { Logger } from '@aws-lambda-powertools/logger';
import type { ComputeBackend } from '../../ports.ts';
import { ecs } from '../clients/ecs.ts';
import { ecsBackend } from '../ecs-backend.ts';
import type { EnvironmentOf } from '../environment.ts';

/** For what is strange but stops no delivery: an adopted run, a stop code that is new. */
const logger = new Logger({ serviceName: 'baton' });

/** Runs as Fargate tasks of one cluster. */
export const open = (environment: EnvironmentOf<'ecs'>): ComputeBackend =>
  ecsBackend({
    client: ecs(),
    cluster: environment.BATON_ECS_CLUSTER,
    taskFamily: environment.BATON_ECS_TASK_FAMILY,
    subnets: environment.BATON_ECS_SUBNETS,
    securityGroups: environment.BATON_ECS_SECURITY_GROUPS,
    warn: (message) => logger.warn(message),
  });
