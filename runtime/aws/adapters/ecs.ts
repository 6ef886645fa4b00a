import { Logger } from '@aws-lambda-powertools/logger';
import type { EcsBackend } from '../../ports.ts';
import { ecs } from '../clients/ecs.ts';
import { ecsBackend } from '../ecs-backend.ts';
import type { EnvironmentOf } from '../environment.ts';

/** For what stops no delivery: what is strange (an adopted run, a stop code that is new), and a start that is not allowed. */
const logger = new Logger({ serviceName: 'baton' });

/** Runs as Fargate tasks of one cluster. */
export const open = (environment: EnvironmentOf<'ecs'>): EcsBackend =>
  ecsBackend({
    client: ecs(),
    cluster: environment.BATON_ECS_CLUSTER,
    taskFamily: environment.BATON_ECS_TASK_FAMILY,
    subnets: environment.BATON_ECS_SUBNETS,
    securityGroups: environment.BATON_ECS_SECURITY_GROUPS,
    warn: (message) => logger.warn(message),
    failed: ({ code, message, remedy }) => logger.error(message, { code, remedy }),
  });
