import type { PortName } from '../../../schemas/environment.ts';
import type { Ports } from '../../ports.ts';
import type { DeadLetterSender } from '../dead-letter-sender.ts';
import type { EnvironmentOf } from '../environment.ts';
import type { EventBridgeBus } from '../eventbridge-bus.ts';
import type { InvocationLedgers } from '../powertools-effects.ts';

interface PortsByName extends Ports {
  readonly bus: EventBridgeBus;
  readonly effects: InvocationLedgers;
  readonly letters: DeadLetterSender;
}

/** What the module of a port exports; a generated Lambda entry imports one for each port that its rule uses. */
export interface Adapter<Name extends PortName = PortName> {
  open(environment: EnvironmentOf<Name>): PortsByName[Name];
  /** One cheap call that opens the connection, made while the function starts. */
  prime?(environment: EnvironmentOf<Name>): Promise<unknown>;
}
