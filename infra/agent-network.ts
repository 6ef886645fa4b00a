import { Fn, RemovalPolicy } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  IpAddresses,
  type IVpc,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { NetworkSettings } from './settings.ts';

/** Availability zones of a network of our own: one may fail. */
const ZONES = 2;
/** NAT gateways: one is enough for a way out, and each costs money while it stands. */
const NAT_GATEWAYS = 1;

export interface AgentNetwork {
  readonly vpc: IVpc;
  readonly subnetIds: readonly string[];
}

/** Where agents run: in the given subnets, which need a way out to HTTPS, or in private subnets of a VPC that is made for them. */
export function agentNetwork(scope: Construct, network: NetworkSettings): AgentNetwork {
  if (network.kind === 'given') {
    const { vpcId, subnetIds } = network;
    const vpc = Vpc.fromVpcAttributes(scope, 'Vpc', { vpcId, availabilityZones: Fn.getAzs() });
    return { vpc, subnetIds };
  }
  const vpc = new Vpc(scope, 'Vpc', {
    ipAddresses: IpAddresses.cidr('10.42.0.0/16'),
    maxAzs: ZONES,
    natGateways: NAT_GATEWAYS,
    subnetConfiguration: [
      { name: 'out', subnetType: SubnetType.PUBLIC, mapPublicIpOnLaunch: false },
      { name: 'agent', subnetType: SubnetType.PRIVATE_WITH_EGRESS },
    ],
    // Tables and objects are reached without the gateway, which counts every byte.
    gatewayEndpoints: {
      S3: { service: GatewayVpcEndpointAwsService.S3 },
      DynamoDB: { service: GatewayVpcEndpointAwsService.DYNAMODB },
    },
    flowLogs: {
      rejected: {
        trafficType: FlowLogTrafficType.REJECT,
        destination: FlowLogDestination.toCloudWatchLogs(
          new LogGroup(scope, 'RejectedTraffic', {
            retention: RetentionDays.ONE_MONTH,
            removalPolicy: RemovalPolicy.DESTROY,
          }),
        ),
      },
    },
  });
  // The CDK's own classes lack `| undefined` where its interfaces have it.
  return { vpc: vpc as IVpc, subnetIds: vpc.privateSubnets.map(({ subnetId }) => subnetId) };
}
