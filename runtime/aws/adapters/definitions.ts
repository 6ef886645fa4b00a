import { Logger } from '@aws-lambda-powertools/logger';
import { definitionsOver } from '../../definitions.ts';
import type { Definitions } from '../../ports.ts';
import { ecs } from '../clients/ecs.ts';
import { ecsRegistry } from '../ecs-registry.ts';
import type { EnvironmentOf } from '../environment.ts';
import { records } from './records.ts';

/** For what stops no start: a clone that could not be put away. */
const logger = new Logger({ serviceName: 'baton' });

/** Task definitions of Amazon ECS, and the records of whose they are. */
export const open = (environment: EnvironmentOf<'definitions'>): Definitions =>
  definitionsOver({
    store: records(environment),
    registry: ecsRegistry(ecs()),
    clock: { now: () => new Date().toISOString() },
    stage: environment.BATON_STAGE,
    baseFamily: environment.BATON_ECS_TASK_FAMILY,
    failed: ({ code, message, remedy }) => logger.error(message, { code, remedy }),
    warn: (message, error) => (error instanceof Error ? logger.warn(message, error) : logger.warn(message)),
  });
