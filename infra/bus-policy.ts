import { CfnEventBusPolicy } from 'aws-cdk-lib/aws-events';
import type { Construct } from 'constructs';
import { NAMED_REQUEST, type Source } from '../events/define.ts';
import { repositoryConfigRequested } from '../events/repository-config-requested.ts';
import { taskCancelRequested } from '../events/task-cancel-requested.ts';
import type { Settings } from './settings.ts';

/** Who may put events, by ARN of role or user. */
export interface Writers extends Pick<Settings, 'producers' | 'requesters' | 'operators'> {
  /** Pattern that fits the roles of all functions and no other: a policy has no room for each of them. */
  readonly handlers: string;
  readonly runners: readonly string[];
}

export interface BusPlace {
  readonly busName: string;
  readonly busArn: string;
}

/**
 * Binds each source of the bus to its writers, whatever else an identity may do: the statements deny. Producers, requesters and operators
 * are allowed here as well, so that they need no policy of their own, and may be of another account.
 */
export function busPolicy(scope: Construct, place: BusPlace, writers: Writers): readonly CfnEventBusPolicy[] {
  const policies: CfnEventBusPolicy[] = [];
  for (const [statementId, statement] of busStatements(writers)) {
    const policy = new CfnEventBusPolicy(scope, statementId, {
      eventBusName: place.busName,
      statementId,
      statement: { Sid: statementId, Action: 'events:PutEvents', Resource: place.busArn, ...statement },
    });
    // EventBridge refuses two changes of one policy at the same time.
    const before = policies.at(-1);
    if (before) policy.addResourceDependency(before);
    policies.push(policy);
  }
  return policies;
}

type Conditions = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

export interface BusStatement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal: '*' | { readonly AWS: readonly string[] };
  readonly Condition: Conditions;
}

const HANDLERS: Source = 'baton';
const RUNNERS: Source = 'baton.agent';
const REQUESTS: Source = 'baton.request';
const CANCEL = { 'events:detail-type': taskCancelRequested.type };
const CONFIGURE = { 'events:detail-type': repositoryConfigRequested.type };
/** What operators may ask for. */
const OPERATE = { 'events:detail-type': [taskCancelRequested.type, repositoryConfigRequested.type] };

/** The statements by their ids. */
export function busStatements({
  handlers,
  runners,
  producers,
  requesters,
  operators,
}: Writers): [string, BusStatement][] {
  const named = requesters.map(({ name, arn }) => ({ name, arn, source: `${NAMED_REQUEST}${name}` }));
  const sources = [HANDLERS, RUNNERS, REQUESTS, ...named.map(({ source }) => source)];
  const asks = { StringEquals: { 'events:source': REQUESTS }, StringNotEquals: OPERATE };
  const cancels = { StringEquals: { 'events:source': REQUESTS, ...CANCEL } };
  return [
    ['OnlyHandlersSayFacts', denyAllLike(handlers, from(HANDLERS))],
    ['OnlyRunnersSpeakAsAgents', denyAllBut(runners, from(RUNNERS))],
    ['OnlyProducersAsk', denyAllBut(producers, asks)],
    ['OnlyProducersAndOperatorsCancel', denyAllBut([...producers, ...operators], cancels)],
    // Under any source: what holds for everybody is not for a requester to say either.
    ['OnlyOperatorsConfigure', denyAllBut(operators, { StringEquals: CONFIGURE })],
    ...named.map(({ name, arn, source }): [string, BusStatement] => [
      `OnlyRequester-${name}`,
      denyAllBut([arn], from(source)),
    ]),
    ['NoOtherSource', denyAllBut([], { StringNotEquals: { 'events:source': sources } })],
    ...allow('ProducersAsk', producers, from(REQUESTS)),
    ...allow('OperatorsOperate', operators, { StringEquals: { 'events:source': REQUESTS, ...OPERATE } }),
    // One for all: each source is bound to its one requester above, and a policy has room for little.
    ...allow(
      'RequestersAsk',
      named.map(({ arn }) => arn),
      from(named.map(({ source }) => source)),
    ),
  ];
}

const from = (source: string | readonly string[]): Conditions => ({ StringEquals: { 'events:source': source } });

/** A deny that names nobody holds for all. */
const denyAllBut = (principals: readonly string[], conditions: Conditions): BusStatement => ({
  Effect: 'Deny',
  Principal: '*',
  Condition: {
    ...conditions,
    ...(principals.length > 0 ? { ArnNotEquals: { 'aws:PrincipalArn': principals } } : {}),
  },
});

const denyAllLike = (pattern: string, conditions: Conditions): BusStatement => ({
  Effect: 'Deny',
  Principal: '*',
  Condition: { ...conditions, ArnNotLike: { 'aws:PrincipalArn': pattern } },
});

const allow = (statementId: string, principals: readonly string[], conditions: Conditions): [string, BusStatement][] =>
  principals.length === 0
    ? []
    : [[statementId, { Effect: 'Allow', Principal: { AWS: principals }, Condition: conditions }]];
