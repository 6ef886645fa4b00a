import type { EventPattern } from '../../rules/event-pattern.ts';
import { compilePattern } from '../../runtime/matcher.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { DeployedRule } from './deployment.ts';
import type { FunctionHost } from './function-host.ts';
import type { Queues } from './queues.ts';

export interface EventRouterOptions {
  readonly rules: readonly DeployedRule[];
  readonly functions: Pick<FunctionHost, 'invokeLater'>;
  readonly queues: Pick<Queues, 'byArn'>;
  /** How often an event is delivered to each target: EventBridge promises at least once. */
  readonly copies?: (event: Envelope) => number;
}

/** The buses of a deployment: every rule of the templates, matched by the product's own matcher, delivers to its targets. */
export interface EventRouter {
  /** Takes events on a bus; those that no rule matches are dropped, and so is everything on a bus that nobody made. */
  put(bus: string, events: readonly Envelope[]): void;
  /** Hears every event on every bus, matched or not. */
  listen(hear: (event: Envelope, bus: string) => void): () => void;
}

export function eventRouter({ rules, functions, queues, copies = () => 1 }: EventRouterOptions): EventRouter {
  const compiled = rules.map((rule) => ({ rule, matches: compilePattern(rule.pattern as EventPattern) }));
  const listeners = new Set<(event: Envelope, bus: string) => void>();
  return {
    put(bus, events) {
      for (const event of events) {
        for (const { rule, matches } of compiled) if (rule.bus === bus && matches(event)) deliver(rule, event);
        for (const hear of listeners) hear(event, bus);
      }
    },
    listen(hear) {
      listeners.add(hear);
      return () => listeners.delete(hear);
    },
  };

  function deliver(rule: DeployedRule, event: Envelope): void {
    for (const target of rule.targets) {
      for (let copy = 0; copy < copies(event); copy++) {
        const queue = queues.byArn(target.arn);
        if (queue) queue.send(JSON.stringify(event));
        else if (!functions.invokeLater(target.arn, event)) undeliverable(rule, target, event);
      }
    }
  }

  /** A target that is not there is not tried again (EventBridge guide, "Dead-letter queues": attributes of the message). */
  function undeliverable(rule: DeployedRule, target: DeployedRule['targets'][number], event: Envelope): void {
    const deadLetters = target.deadLetters === undefined ? undefined : queues.byArn(target.deadLetters);
    deadLetters?.send(JSON.stringify(event), {
      attributes: {
        RULE_ARN: rule.arn,
        TARGET_ARN: target.arn,
        ERROR_CODE: 'NO_RESOURCE',
        ERROR_MESSAGE: 'there is no such target',
      },
    });
  }
}
