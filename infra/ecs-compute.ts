import { ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack, Tags, Validations } from 'aws-cdk-lib';
import { type ISecurityGroup, Peer, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  ContainerImage,
  ContainerInsights,
  CpuArchitecture,
  Secret as EcsSecret,
  FargateTaskDefinition,
  LogDrivers,
  OperatingSystemFamily,
} from 'aws-cdk-lib/aws-ecs';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { AGENT_CONTAINER } from '../lifecycle/ecs-task.ts';
import { BASE_MARKER, userFamilyOf } from '../lifecycle/user-definition.ts';
import { imagePullGrants } from './agent-image.ts';
import type { AgentNetwork } from './agent-network.ts';
import type { Variables } from './function-environment.ts';
import { allow } from './granted.ts';
import type { Names } from './names.ts';
import { type EcsPlaces, type Places, runnerGrants } from './port-grants.ts';
import { LOG_RETENTION } from './reaction.ts';
import type { EcsSettings } from './settings.ts';
import { ownSecretsDenied, userFileGrants, userSecretGrants } from './user-grants.ts';

/** CPU units and MB of one run: 2 vCPU and 4 GB, with which builds and tests of an ordinary repository run. */
const TASK_CPU = 2_048;
const TASK_MEMORY_MB = 4_096;

/** Seconds that ECS waits between SIGTERM and SIGKILL: Fargate's longest, so that the runner can save the work of a stopped run. */
const STOP_TIMEOUT_S = 120;

/** Port of NFS, over which EFS is mounted. */
const NFS = 2_049;

export interface EcsComputeProps {
  readonly stage: string;
  readonly settings: EcsSettings;
  readonly names: Names;
  readonly network: AgentNetwork;
  /** What the runner reads; of its deployment only names. */
  readonly variables: Variables;
  readonly places: Places;
}

/** The back end ECS: a cluster that starts nothing by itself, the task definition of the agent, its two roles and its network. */
export class EcsCompute extends Construct {
  readonly places: EcsPlaces;
  readonly variables: Variables;
  readonly taskRole: Role;
  /** What is cloned for users. */
  readonly base: FargateTaskDefinition;

  constructor(scope: Construct, id: string, { stage, settings, names, network, variables, places }: EcsComputeProps) {
    super(scope, id);
    const { vpc, subnetIds } = network;
    const cluster = new Cluster(this, 'Cluster', {
      clusterName: names.cluster,
      vpc,
      containerInsightsV2: ContainerInsights.ENABLED,
      // FARGATE and FARGATE_SPOT: no run can be had from a provider that the cluster lacks.
      enableFargateCapacityProviders: true,
    });
    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'Agents: HTTPS out, nothing in.',
      allowAllOutbound: false,
    });
    securityGroup.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'Repositories, packages, models and AWS.');
    this.reachFiles(securityGroup, settings);

    const ecsTasks = new ServicePrincipal('ecs-tasks.amazonaws.com');
    this.taskRole = new Role(this, 'TaskRole', { assumedBy: ecsTasks, description: 'What the runner may do.' });
    allow(this.taskRole, [...runnerGrants(places), ...userFileGrants(Stack.of(this), settings)]);
    const executionRole = new Role(this, 'ExecutionRole', {
      assumedBy: ecsTasks,
      description: 'What ECS does before the runner: pull the image, fetch secrets, write the log.',
    });
    allow(executionRole, [
      ...imagePullGrants(Stack.of(this), settings.agentImage),
      ...userSecretGrants(settings),
      ...(readsSecrets(settings) ? [ownSecretsDenied(settings.secrets, places)] : []),
    ]);

    this.base = this.taskDefinition({ settings, names, variables, executionRole });
    // On nothing else: what has it may be cloned for users.
    Tags.of(this.base).add(BASE_MARKER, stage);
    const arnOf = (resource: string, resourceName: string) =>
      Stack.of(this).formatArn({ service: 'ecs', resource, resourceName, arnFormat: ArnFormat.SLASH_RESOURCE_NAME });
    this.places = {
      clusterArn: cluster.clusterArn,
      taskFamilyArn: arnOf('task-definition', `${names.taskFamily}:*`),
      userFamilyArn: arnOf('task-definition', userFamilyOf(names.taskFamily)),
      tasksArn: arnOf('task', `${names.cluster}/*`),
      taskRoleArn: this.taskRole.roleArn,
      executionRoleArn: executionRole.roleArn,
    };
    this.variables = variablesOf(cluster, names, subnetIds, securityGroup);
  }

  /** The mount targets of users' files must let this security group in, so its id is told. */
  private reachFiles(securityGroup: SecurityGroup, { userFileSystem }: EcsSettings): void {
    if (!userFileSystem) return;
    const targets = Peer.securityGroupId(userFileSystem.securityGroup);
    securityGroup.addEgressRule(targets, Port.tcp(NFS), 'Files of users.');
    new CfnOutput(Stack.of(this), 'AgentSecurityGroupId', { value: securityGroup.securityGroupId });
  }

  private taskDefinition(of: {
    settings: EcsSettings;
    names: Names;
    variables: Variables;
    executionRole: Role;
  }): FargateTaskDefinition {
    const definition = new FargateTaskDefinition(this, 'TaskDefinition', {
      family: of.names.taskFamily,
      cpu: TASK_CPU,
      memoryLimitMiB: TASK_MEMORY_MB,
      runtimePlatform: { cpuArchitecture: CpuArchitecture.ARM64, operatingSystemFamily: OperatingSystemFamily.LINUX },
      taskRole: this.taskRole,
      executionRole: of.executionRole,
    });
    const { BATON_TABLE = '', BATON_BUS = '', BATON_PAYLOAD_BUCKET = '' } = of.variables;
    definition.addContainer(AGENT_CONTAINER, {
      image: ContainerImage.fromRegistry(of.settings.agentImage),
      stopTimeout: Duration.seconds(STOP_TIMEOUT_S),
      // The runner cannot see how long it has; told the same figure it saves within it.
      environment: { BATON_TABLE, BATON_BUS, BATON_PAYLOAD_BUCKET, BATON_STOP_TIMEOUT_S: String(STOP_TIMEOUT_S) },
      secrets: this.secretsOf(of.settings),
      logging: LogDrivers.awsLogs({
        streamPrefix: 'run',
        logGroup: new LogGroup(this, 'Logs', {
          logGroupName: of.names.logGroupOf('agent'),
          retention: LOG_RETENTION,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      }),
    });
    Validations.of(definition).acknowledge({
      id: 'AwsSolutions-ECS2',
      reason:
        'The variables are names of the table, the bus and the bucket, and a time-out. Secrets are never among them.',
    });
    return definition;
  }

  /** ECS fetches them as the execution role when a run starts; the runner hands on those that its allow-list names. */
  private secretsOf({ secrets }: EcsSettings): Record<string, EcsSecret> {
    return Object.fromEntries(
      secrets.map(({ name, arn }) => [
        name,
        EcsSecret.fromSecretsManager(Secret.fromSecretCompleteArn(this, `Secret-${name}`, arn)),
      ]),
    );
  }
}

const readsSecrets = ({ secrets, userSecrets }: EcsSettings): boolean => secrets.length + userSecrets.length > 0;

const variablesOf = (
  cluster: Cluster,
  names: Names,
  subnetIds: readonly string[],
  securityGroup: ISecurityGroup,
): Variables => ({
  BATON_ECS_CLUSTER: cluster.clusterArn,
  BATON_ECS_TASK_FAMILY: names.taskFamily,
  BATON_ECS_SUBNETS: subnetIds.join(','),
  BATON_ECS_SECURITY_GROUPS: securityGroup.securityGroupId,
});
