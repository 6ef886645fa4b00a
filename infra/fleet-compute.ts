import { ArnFormat, CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { IAlarmAction } from 'aws-cdk-lib/aws-cloudwatch';
import { Peer, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { InstanceProfile, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { CfnDocument } from 'aws-cdk-lib/aws-ssm';
import { Construct, type IDependable } from 'constructs';
import type { Rule } from '../rules/rule.ts';
import { runDocument } from '../schemas/run-document.ts';
import type { AgentNetwork } from './agent-network.ts';
import { fleetAlarms } from './fleet-alarms.ts';
import { hostScript, userData } from './fleet-boot.ts';
import { FleetGroup } from './fleet-group.ts';
import { hostGrants, instancesOf } from './fleet-role.ts';
import type { Variables } from './function-environment.ts';
import { allow } from './granted.ts';
import type { Names } from './names.ts';
import type { FleetPlaces, Places } from './port-grants.ts';
import { LOG_RETENTION } from './reaction.ts';
import type { Ec2Settings } from './settings.ts';

export interface FleetComputeProps {
  readonly stage: string;
  readonly settings: Ec2Settings;
  readonly names: Names;
  readonly network: AgentNetwork;
  /** What the runner reads; of its deployment only names. */
  readonly variables: Variables;
  readonly places: Places;
  /** The rules of this deployment. */
  readonly rules: readonly Rule[];
  readonly alarmActions: readonly IAlarmAction[];
}

/** The back end EC2: fleets of machines that stand ready, the one document that they are sent, their role, their way out, their log. */
export class FleetCompute extends Construct {
  readonly places: FleetPlaces;
  readonly variables: Variables;
  /** Of every machine. */
  readonly role: Role;
  readonly groups: readonly FleetGroup[];

  constructor(scope: Construct, id: string, props: FleetComputeProps) {
    super(scope, id);
    const { stage, settings, names, network, variables, places } = props;
    const stack = Stack.of(this);
    const document = this.document(names);
    const logGroup = new LogGroup(this, 'Logs', {
      logGroupName: names.logGroupOf('fleet'),
      retention: LOG_RETENTION,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    new CfnOutput(stack, 'FleetLogGroup', { value: logGroup.logGroupName });
    this.role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
      description: 'What a machine of a fleet may do, and the runner on it.',
    });
    allow(this.role, hostGrants(stack, settings, { stage, places, logGroupArn: logGroup.logGroupArn }));
    const { instanceProfileArn } = new InstanceProfile(this, 'Profile', { role: this.role });
    const { securityGroupId } = this.wayOut(network);

    this.groups = settings.fleets.map((fleet) => {
      const boot = userData({ fleet: fleet.name, settings, logGroup: names.logGroupOf('fleet'), variables });
      const { subnetIds } = network;
      const group = { stage, fleet, userData: boot, subnetIds, securityGroupId, instanceProfileArn };
      return new FleetGroup(this, `Fleet-${fleet.name}`, group);
    });
    fleetAlarms(this, { ...props, fleets: this.groups });

    this.places = {
      documentArn: stack.formatArn({
        service: 'ssm',
        resource: 'document',
        resourceName: names.runDocument,
        arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
      }),
      instancesArn: instancesOf(stack),
      stage,
      groupArns: this.groups.map(({ groupArn }) => groupArn),
    };
    this.variables = {
      BATON_FLEET_DOCUMENT: document.ref,
      BATON_FLEET_REGION: stack.region,
      BATON_FLEET_LOG_GROUP: logGroup.logGroupName,
      BATON_FLEETS: settings.fleets.map(({ name }) => name).join(','),
    };
  }

  /**
   * Makes machines when what hears them is there, and while it still is takes them away: one whose word nobody hears is given up, and one that
   * nobody lets go waits until its hook does.
   */
  startAfter(...heard: readonly IDependable[]): void {
    for (const group of this.groups) group.node.addDependency(this.role, ...heard);
  }

  /** Under a name of our own, which the events of its commands tell; so a change is a new version of it. */
  private document(names: Names): CfnDocument {
    return new CfnDocument(this, 'Document', {
      name: names.runDocument,
      documentType: 'Command',
      documentFormat: 'JSON',
      targetType: '/AWS::EC2::Instance',
      updateMethod: 'NewVersion',
      content: runDocument(hostScript('run')),
    });
  }

  /** Nothing in: commands come over connections that the machine opens itself. */
  private wayOut({ vpc }: AgentNetwork): SecurityGroup {
    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'Machines of fleets: HTTPS out, nothing in.',
      allowAllOutbound: false,
    });
    securityGroup.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'Repositories, packages, models and AWS.');
    return securityGroup;
  }
}
