import { Aws } from 'aws-cdk-lib';
import { archiveNamesOf } from '../schemas/archive-names.ts';
import { runDocumentOf } from '../schemas/fleet-names.ts';
import { queueNamesOf } from '../schemas/queue-names.ts';
import { prefixOf, STAGE_DEFAULT } from '../schemas/stage.ts';

/** What a stage calls its resources. Whatever is not here gets a name from CloudFormation. */
export interface Names {
  readonly prefix: string;
  readonly stateStack: string;
  readonly choreographyStack: string;
  readonly alarmsStack: string;
  readonly table: string;
  readonly bus: string;
  readonly archive: string;
  /** Of native events on the default bus. */
  readonly nativeArchive: string;
  readonly scheduleGroup: string;
  /** Topic of CloudWatch's alarms, where there is one of our own. The alarm clock's queue has nothing to do with it. */
  readonly alarmTopic: string;
  readonly alarmQueue: string;
  readonly alarmDeadLetters: string;
  readonly cluster: string;
  readonly taskFamily: string;
  /** Of the runtime of AgentCore, which takes letters, digits and "_". */
  readonly runtime: string;
  /** The document that machines of fleets are sent. */
  readonly runDocument: string;
  readonly guardrail: string;
  /** Namespace of the metrics: stages of one account must not count each other's facts. */
  readonly metrics: string;
  /** Path of the roles of functions, and of no other role. */
  readonly handlerPath: string;
  /** Function, EventBridge rule and, where the rule has one of its own, queue of a rule. */
  ofRule(rule: string): string;
  deadLettersOf(rule: string): string;
  /** Log group of a rule's function, or of the agent. */
  logGroupOf(what: string): string;
}

/** The names of a stage, all in one place: nothing else in this room writes one. */
export function namesOf(stage: string): Names {
  const prefix = prefixOf(stage);
  const queues = queueNamesOf(prefix);
  const archives = archiveNamesOf(prefix);
  return {
    prefix,
    stateStack: `${prefix}-state`,
    choreographyStack: `${prefix}-choreography`,
    alarmsStack: `${prefix}-alarms`,
    table: prefix,
    bus: prefix,
    archive: archives.own,
    nativeArchive: archives.native,
    scheduleGroup: prefix,
    alarmTopic: `${prefix}-alarms`,
    alarmQueue: queues.alarms,
    alarmDeadLetters: queues.alarmDeadLetters,
    cluster: `${prefix}-agent`,
    taskFamily: `${prefix}-agent`,
    runtime: `${prefix.replaceAll('-', '_')}_agent`,
    runDocument: runDocumentOf(prefix),
    guardrail: prefix,
    metrics: stage === STAGE_DEFAULT ? 'Baton' : `Baton/${stage}`,
    handlerPath: `/${prefix}/handlers/${Aws.REGION}/`,
    ofRule: queues.ofRule,
    deadLettersOf: queues.deadLettersOf,
    logGroupOf: (what) => `/baton/${prefix}/${what}`,
  };
}
