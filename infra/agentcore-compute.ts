import { ArnFormat, CfnOutput, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { CfnRuntime } from 'aws-cdk-lib/aws-bedrockagentcore';
import type { IAlarmAction } from 'aws-cdk-lib/aws-cloudwatch';
import { Policy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { agentSecretsText } from '../schemas/agent-secrets.ts';
import { SESSION_LIFETIME_S } from '../schemas/agentcore-session.ts';
import { imagePullGrants } from './agent-image.ts';
import { agentcoreAlarms } from './agentcore-alarms.ts';
import type { Variables } from './function-environment.ts';
import { allow, include } from './granted.ts';
import type { Names } from './names.ts';
import { type AgentcorePlaces, type Places, runnerGrants } from './port-grants.ts';
import { LOG_RETENTION } from './reaction.ts';
import type { AgentcoreSettings } from './settings.ts';
import { agentSecretGrants } from './user-grants.ts';

/**
 * Named, so that sessions do not change under us on the day when the default does. A session of V2 is restored from a snapshot that was
 * taken of the waiting server. That does no harm here: the server keeps nothing, the run is a process of its own that begins after the
 * restore, and every id derives from the invocation.
 */
const PLATFORM = 'V2';

/** The endpoint that every runtime has. It leads to the newest version; sessions that live stay on theirs, as others report (docs/deploy.md). */
const ENDPOINT = 'DEFAULT';

/**
 * Seconds after which a session ends that is neither busy nor invoked: AWS's own default. The server is busy while the run lasts, and
 * afterwards the session is stopped; this ends what nobody stopped, before it costs much.
 */
const IDLE_TIMEOUT_S = 900;

/** Seconds that AgentCore may take to end a session (developer guide, lifecycle settings): in these the runner saves what it can. */
const STOP_TIMEOUT_S = 15;

/** The agent can ask for the credentials of the role, and so for each of them. */
const KEYS = 'Fetches the keys of agents when a run begins: AgentCore hands out none.';

export interface AgentcoreComputeProps {
  readonly settings: AgentcoreSettings;
  readonly names: Names;
  /** What the runner reads; of its deployment only names. */
  readonly variables: Variables;
  readonly places: Places;
  readonly alarmActions: readonly IAlarmAction[];
}

/** The back end AgentCore: a runtime that costs nothing while no session of it lives, the one role of its containers, their log. */
export class AgentcoreCompute extends Construct {
  readonly places: AgentcorePlaces;
  readonly variables: Variables;
  /** Of the runner; the agent in the same microVM can ask for its credentials too (docs/deploy.md). */
  readonly role: Role;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, props: AgentcoreComputeProps) {
    super(scope, id);
    const { settings, names, places } = props;
    this.role = this.executionRole(names);
    allow(this.role, [
      ...runnerGrants(places),
      ...agentSecretGrants(KEYS, settings, places),
      ...imagePullGrants(Stack.of(this), settings.agentImage),
    ]);
    const runtime = this.runtime(props);
    this.logGroup = this.logsOf(runtime);

    const runtimeArn = runtime.attrAgentRuntimeArn;
    this.places = {
      runtimeArn,
      endpointArn: `${runtimeArn}/runtime-endpoint/${ENDPOINT}`,
      runtimesEver: this.runtimesOf(names),
    };
    this.variables = { BATON_AGENTCORE_RUNTIME_ARN: runtimeArn, BATON_AGENTCORE_QUALIFIER: ENDPOINT };
    agentcoreAlarms(this, { ...props, runtimeArn, endpoint: ENDPOINT });
  }

  /** Taken on by AgentCore for this runtime alone; by its name, since the rest of its ARN is not known before it is there. */
  private executionRole(names: Names): Role {
    const { account } = Stack.of(this);
    const runtimes = this.runtimesOf(names);
    return new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('bedrock-agentcore.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': account }, ArnLike: { 'aws:SourceArn': runtimes } },
      }),
      description: 'What the runner may do in a session of AgentCore, and what AgentCore does to start one.',
    });
  }

  /** By name: AgentCore puts "-" and an id behind it, and the name itself has no "-". */
  private runtimesOf(names: Names): string {
    return this.arnOf('bedrock-agentcore', 'runtime', `${names.runtime}-*`);
  }

  /** As the resource type itself: the CDK's own construct gives its role rights that a language model must not have. */
  private runtime({ settings, names, variables }: AgentcoreComputeProps): CfnRuntime {
    const { BATON_TABLE = '', BATON_BUS = '', BATON_PAYLOAD_BUCKET = '' } = variables;
    const runtime = new CfnRuntime(this, 'Runtime', {
      agentRuntimeName: names.runtime,
      description: 'Runs the agents of Baton, one attempt of a task per session.',
      agentRuntimeArtifact: { containerConfiguration: { containerUri: settings.agentImage } },
      roleArn: this.role.roleArn,
      // A way out to repositories, packages and models, none in: sessions are reached through the service alone.
      networkConfiguration: { networkMode: 'PUBLIC' },
      protocolConfiguration: 'HTTP',
      lifecycleConfiguration: { idleRuntimeSessionTimeout: IDLE_TIMEOUT_S, maxLifetime: SESSION_LIFETIME_S },
      environmentVariables: {
        BATON_TABLE,
        BATON_BUS,
        BATON_PAYLOAD_BUCKET,
        BATON_STOP_TIMEOUT_S: String(STOP_TIMEOUT_S),
        AWS_REGION: Stack.of(this).region,
        // Whoever may describe the runtime reads them: names and ARNs. AgentCore has no secrets of its own.
        ...(settings.secrets.length > 0 ? { BATON_AGENT_SECRETS: agentSecretsText(settings.secrets) } : {}),
      },
    });
    runtime.addPropertyOverride('PlatformVersion', PLATFORM);
    Validations.of(runtime).acknowledge({
      id: 'CloudFormation-Validate::F3002',
      reason:
        'CloudFormation knows PlatformVersion: aws-cdk-lib has it since 2.273.0. The schemas of the pinned CDK are older.',
    });
    // The image is pulled as this role when the runtime is made.
    runtime.node.addDependency(this.role);
    return runtime;
  }

  /**
   * The log, under the name that AgentCore writes to, but with an end. The right to write comes after it: AgentCore would make the group
   * itself, as soon as a first container says something, and keep it for ever.
   */
  private logsOf(runtime: CfnRuntime): LogGroup {
    const logGroup = new LogGroup(this, 'Logs', {
      logGroupName: `/aws/bedrock-agentcore/runtimes/${runtime.attrAgentRuntimeId}-${ENDPOINT}`,
      retention: LOG_RETENTION,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const policy = new Policy(this, 'LogPolicy', { roles: [this.role] });
    include(policy, [
      {
        reason: 'Writes what runs say.',
        actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      },
      {
        reason:
          'Finds the group among all: it reads their names only (AgentCore developer guide, runtime permissions).',
        actions: ['logs:DescribeLogGroups'],
        resources: [this.arnOf('logs', 'log-group', '*', ArnFormat.COLON_RESOURCE_NAME)],
      },
    ]);
    new CfnOutput(Stack.of(this), 'AgentcoreLogGroup', { value: logGroup.logGroupName });
    return logGroup;
  }

  private arnOf(
    service: string,
    resource: string,
    resourceName: string,
    arnFormat: ArnFormat = ArnFormat.SLASH_RESOURCE_NAME,
  ): string {
    return Stack.of(this).formatArn({ service, resource, resourceName, arnFormat });
  }
}
