import { eventBridge } from '../clients/eventbridge.ts';
import type { EnvironmentOf } from '../environment.ts';
import { type EventBridgeBus, eventBridgeBus } from '../eventbridge-bus.ts';

/** The bus of the deployment. */
export const open = (environment: EnvironmentOf<'bus'>): EventBridgeBus =>
  eventBridgeBus({ client: eventBridge(), bus: environment.BATON_BUS });

/** What is put on a bus that does not exist is lost without an error, so the bus is looked for before anything is handled. */
export const prime = (environment: EnvironmentOf<'bus'>): Promise<unknown> => open(environment).verify();
