import * as z from 'zod';
import type { EventPattern } from '../../../rules/event-pattern.ts';
import { compilePattern, type Match } from '../../matcher.ts';
import { whyInvalid } from '../../pattern-validity.ts';
import { refused } from './aws-error.ts';
import { type AwsService, type Operation, type Place, pageOf, parsedInput } from './aws-service.ts';
import { jsonProtocol } from './json-protocol.ts';
import { busNameOf, type PutEventsParts, putEvents } from './put-events.ts';

/** A rule as EventBridge lists it. */
export interface ListedRule {
  readonly name: string;
  /** Name of its bus. */
  readonly bus: string;
  readonly description: string;
  readonly pattern: object;
  readonly targets: readonly { readonly id: string; readonly arn: string }[];
}

export interface EventBridgeParts extends PutEventsParts {
  readonly rules: readonly ListedRule[];
  /** Further operations: archives and replays, where there are any. */
  readonly more?: Readonly<Record<string, Operation>>;
}

const text = z.string();
const listing = z.looseObject({
  EventBusName: text.optional(),
  NamePrefix: text.optional(),
  Limit: z.int().min(1).max(100).optional(),
  NextToken: text.optional(),
});

/** EventBridge as far as producers and operators need it: put events, look at buses, rules and patterns. */
export function eventBridgeService(parts: EventBridgeParts): AwsService {
  return {
    signingName: 'events',
    targetPrefix: 'AWSEvents',
    protocol: jsonProtocol('1.1'),
    operations: { PutEvents: putEvents(parts), TestEventPattern: testEventPattern, ...lookUps(parts), ...parts.more },
  };
}

function lookUps({ place, buses, rules }: EventBridgeParts): Record<string, Operation> {
  return {
    async ListEventBuses(input) {
      const { NamePrefix: prefix = '', Limit, NextToken } = parsedInput(listing, input);
      const found = buses.filter(({ name }) => name.startsWith(prefix));
      const { page, next } = pageOf(found, Limit, NextToken);
      return { EventBuses: page.map(({ name }) => shownBus(name)), ...next };
    },
    async DescribeEventBus(input) {
      const { Name } = parsedInput(z.looseObject({ Name: text.optional() }), input);
      return shownBus(busOf(Name));
    },
    async ListRules(input) {
      const { EventBusName, NamePrefix: prefix = '', Limit, NextToken } = parsedInput(listing, input);
      const bus = busOf(EventBusName);
      const found = rules.filter((rule) => rule.bus === bus && rule.name.startsWith(prefix));
      const { page, next } = pageOf(found, Limit, NextToken);
      return { Rules: page.map(shownRule), ...next };
    },
    async DescribeRule(input) {
      const { Name, EventBusName } = parsedInput(z.looseObject({ Name: text, EventBusName: text.optional() }), input);
      return shownRule(ruleOf(Name, EventBusName));
    },
    async ListTargetsByRule(input) {
      const { Rule, EventBusName } = parsedInput(z.looseObject({ Rule: text, EventBusName: text.optional() }), input);
      return { Targets: ruleOf(Rule, EventBusName).targets.map(({ id, arn }) => ({ Id: id, Arn: arn })) };
    },
  };

  function busOf(nameOrArn: string | undefined): string {
    const name = busNameOf(nameOrArn);
    if (buses.some((bus) => bus.name === name)) return name;
    throw refused('ResourceNotFoundException', `Event bus ${name} does not exist.`);
  }

  function ruleOf(name: string, busName: string | undefined): ListedRule {
    const bus = busOf(busName);
    const found = rules.find((rule) => rule.bus === bus && rule.name === name);
    if (found) return found;
    throw refused('ResourceNotFoundException', `Rule ${name} does not exist on EventBus ${bus}.`);
  }

  function shownBus(name: string): object {
    return { Name: name, Arn: arnOf(`event-bus/${name}`) };
  }

  function shownRule({ name, bus, description, pattern }: ListedRule): object {
    return {
      Name: name,
      Arn: ruleArn(place, { name, bus }),
      EventPattern: JSON.stringify(pattern),
      State: 'ENABLED',
      Description: description,
      EventBusName: bus,
    };
  }

  function arnOf(resource: string): string {
    return `arn:aws:events:${place.region}:${place.account}:${resource}`;
  }
}

/** ARN of a rule: those of the default bus do not name it. */
export const ruleArn = ({ region, account }: Place, { name, bus }: Pick<ListedRule, 'name' | 'bus'>): string =>
  `arn:aws:events:${region}:${account}:rule/${bus === 'default' ? name : `${bus}/${name}`}`;

/** What an event must have to be one. */
const wholeEvent = z.looseObject({
  id: text,
  account: text,
  source: text,
  time: text,
  region: text,
  resources: z.array(text),
  'detail-type': text,
});

/** Answers whether an event fits a pattern, by the matcher that the rules of this world go by. */
async function testEventPattern(input: object): Promise<object> {
  const { EventPattern, Event } = parsedInput(z.looseObject({ EventPattern: text, Event: text }), input);
  const event = wholeEvent.safeParse(jsonOf(Event));
  if (!event.success) {
    const missing = event.error.issues.map(({ path }) => path.map(String).join('.')).join(', ');
    throw refused(
      'ValidationException',
      `Parameter Event is not valid. Reason: it lacks ${missing || 'a JSON object'}.`,
    );
  }
  return { Result: matchOf(EventPattern)(event.data) };
}

function matchOf(text: string): Match {
  const wrong = whyInvalid(text);
  if (wrong !== undefined) {
    throw refused('InvalidEventPatternException', `Event pattern is not valid. Reason: ${wrong}`);
  }
  // What is valid has the shape of a pattern.
  return compilePattern(jsonOf(text) as EventPattern);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
