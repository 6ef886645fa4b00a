import { ArnFormat, Stack, type StackProps } from 'aws-cdk-lib';
import type { IEventBus } from 'aws-cdk-lib/aws-events';
import { Construct } from 'constructs';
import { alarmRang } from '../events/alarm-rang.ts';
import type { Rule } from '../rules/rule.ts';
import { agentNetwork } from './agent-network.ts';
import { AgentcoreCompute } from './agentcore-compute.ts';
import { alarmActions, alarmTopic } from './alarm-actions.ts';
import { busPolicy } from './bus-policy.ts';
import { deployedRules } from './deployed-rules.ts';
import { EcsCompute } from './ecs-compute.ts';
import type { Feed } from './feed.ts';
import { FleetCompute } from './fleet-compute.ts';
import type { Variables } from './function-environment.ts';
import type { Names } from './names.ts';
import { nativeArchive } from './native-archive.ts';
import { peoplePolicies } from './people-policies.ts';
import type { Places } from './port-grants.ts';
import { Reaction } from './reaction.ts';
import { ecsScope, fleetScopes, hearsNative, type NativeScope, scopedPattern } from './scoped-pattern.ts';
import { Screening } from './screening.ts';
import type { Settings } from './settings.ts';
import type { StateStack } from './state-stack.ts';

export interface ChoreographyStackProps extends StackProps {
  readonly settings: Settings;
  readonly names: Names;
  readonly state: StateStack;
  readonly rules: readonly Rule[];
  /** Directory with one bundle per rule. */
  readonly bundles: string;
}

/** Who reacts to what: one Reaction per rule of this deployment, the back ends that it has, and who may put events on the bus. */
export class ChoreographyStack extends Stack {
  constructor(
    scope: Construct,
    id: string,
    { settings, names, state, rules, bundles, ...props }: ChoreographyStackProps,
  ) {
    super(scope, id, props);
    const { githubToken } = settings;
    const common: Places = {
      ...placesOf(state, names),
      ...(githubToken === undefined ? {} : { githubTokenArn: githubToken }),
    };
    const variables = variablesOf(state, settings);
    const { stage } = settings;
    alarmTopic(this, settings, names);
    const actions = alarmActions(this, settings, names);
    const agentcore =
      settings.agentcore &&
      new AgentcoreCompute(this, 'Agentcore', {
        settings: settings.agentcore,
        names,
        variables,
        places: common,
        alarmActions: actions,
      });
    const deployed = deployedRules(rules, settings);
    const networked = settings.ecs ?? settings.ec2;
    const network = networked && agentNetwork(new Construct(this, 'Network'), networked.network);
    const ecs =
      settings.ecs &&
      network &&
      new EcsCompute(this, 'Ecs', { stage, settings: settings.ecs, names, network, variables, places: common });
    const fleet =
      settings.ec2 &&
      network &&
      new FleetCompute(this, 'Fleet', {
        ...{
          stage,
          settings: settings.ec2,
          names,
          network,
          variables,
          places: common,
          rules: deployed,
          alarmActions: actions,
        },
      });
    const screening =
      settings.screening === 'required' ? new Screening(this, 'Screening', { settings, names }) : undefined;
    const places: Places = {
      ...common,
      ...(agentcore ? { agentcore: agentcore.places } : {}),
      ...(ecs ? { ecs: ecs.places } : {}),
      ...(fleet ? { fleet: fleet.places } : {}),
      ...(screening ? { guardrailArn: screening.guardrailArn } : {}),
    };
    const scopes: NativeScope = {
      ...(ecs ? { 'aws.ecs': ecsScope(ecs.places.clusterArn, stage) } : {}),
      ...(fleet
        ? fleetScopes(
            names.runDocument,
            fleet.groups.map(({ groupName }) => groupName),
          )
        : {}),
    };

    nativeArchive(this, { names, settings, rules: deployed, scopes });
    const reactions = deployed.map(
      (rule) =>
        new Reaction(this, {
          rule,
          names,
          bundles,
          variables: {
            ...{ ...variables, ...agentcore?.variables, ...ecs?.variables },
            ...{ ...fleet?.variables, ...screening?.variables },
          },
          places,
          feed: feedOf(rule),
        }),
    );
    // Updated after the base is: this version refuses one without the marker, which only its own deployment brings.
    for (const reaction of reactions.filter(({ rule }) => rule.uses.includes('definitions'))) {
      if (ecs) reaction.function.node.addDependency(ecs.base);
    }
    const policies = busPolicy(
      this,
      { busName: state.bus.eventBusName, busArn: state.bus.eventBusArn },
      {
        ...settings,
        handlers: this.formatArn({
          service: 'iam',
          region: '',
          resource: `role${names.handlerPath}*`,
          arnFormat: ArnFormat.NO_RESOURCE_NAME,
        }),
        runners: [agentcore?.role, ecs?.taskRole, fleet?.role].flatMap((role) => role?.roleArn ?? []),
      },
    );
    fleet?.startAfter(...policies, ...reactions.filter(({ rule }) => rule.uses.includes('machines')));
    peoplePolicies(this, names, {
      ...places,
      reactions,
      logGroups: agentcore ? [agentcore.logGroup.logGroupArn] : [],
    });

    function feedOf(rule: Rule): Feed {
      if (rule.on.some(({ source }) => source === alarmRang.source))
        return { alarms: state.alarmQueue, deadLetters: state.alarmDeadLetters };
      const pattern = scopedPattern(rule, scopes);
      return hearsNative(rule) ? { pattern } : { pattern, bus: state.bus as IEventBus };
    }
  }
}

/** What every function may need of the state. */
function placesOf(state: StateStack, names: Names): Places {
  return {
    tableArn: state.table.tableArn,
    busArn: state.bus.eventBusArn,
    // Wildcards below it are acknowledged by name, so the reference must read the same before and after synthesis.
    payloadBucketArn: state.exportValue(state.payloads.bucketArn),
    secretArn: state.secret.secretArn,
    alarmQueueArn: state.alarmQueue.queueArn,
    schedulesArn: state.formatArn({
      service: 'scheduler',
      resource: 'schedule',
      resourceName: `${names.scheduleGroup}/*`,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    }),
    schedulerRoleArn: state.schedulerRole.roleArn,
  };
}

function variablesOf(state: StateStack, settings: Settings): Variables {
  const { agentCommand, agentCommandAllowed, githubToken } = settings;
  return {
    // Its ARN: the name alone would be right in every account and region, and EventBridge drops what a wrong one gets.
    BATON_BUS: state.bus.eventBusArn,
    BATON_TABLE: state.table.tableName,
    BATON_RECORD_RETENTION_D: String(settings.recordRetentionDays),
    BATON_ALARM_QUEUE_URL: state.alarmQueue.queueUrl,
    BATON_ALARM_QUEUE_ARN: state.alarmQueue.queueArn,
    BATON_ALARM_GROUP: state.scheduleGroup,
    BATON_ALARM_ROLE_ARN: state.schedulerRole.roleArn,
    BATON_ALARM_DEAD_LETTERS_ARN: state.alarmDeadLetters.queueArn,
    BATON_TASKS_AT_ONCE: String(settings.tasksAtOnce),
    BATON_SECRET_ARN: state.secret.secretArn,
    BATON_PAYLOAD_BUCKET: state.payloads.bucketName,
    BATON_STAGE: settings.stage,
    BATON_COMPUTES: settings.computes.join(','),
    BATON_SCREENING: settings.screening,
    ...(githubToken === undefined ? {} : { BATON_GITHUB_TOKEN_ARN: githubToken }),
    ...(agentCommand === undefined ? {} : { BATON_AGENT_COMMAND: agentCommand }),
    ...(agentCommandAllowed === undefined ? {} : { BATON_AGENT_COMMAND_ALLOWED: agentCommandAllowed }),
  };
}
