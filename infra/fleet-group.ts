import { ArnFormat, Stack, Validations } from 'aws-cdk-lib';
import { CfnAutoScalingGroup } from 'aws-cdk-lib/aws-autoscaling';
import { CfnLaunchTemplate, MachineImage } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { FLEET_TAG } from '../schemas/fleet-names.ts';
import { fleetGroupOf, HOOK_WAIT_S, type LifecycleHook, lifecycleHooks } from '../schemas/worker.ts';
import type { FleetSettings } from './fleet-settings.ts';

/** Public parameter of AWS: the newest Amazon Linux 2023 for ARM, with the agent of Systems Manager. */
const IMAGE_PARAMETER = '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64';

/** GB of a machine's disk: the system, an image of several GB twice over while it is renewed, and one repository with what it builds. */
const VOLUME_GB = 64;

/** Only the machine itself reaches its credentials: an answer to a container would have to go one step further. */
const METADATA_HOPS = 1;

/** What becomes of a machine when nobody answers its hook in time. */
const UNANSWERED: Readonly<Record<LifecycleHook, 'ABANDON' | 'CONTINUE'>> = {
  // One that cannot even say that its boot failed makes room for another.
  launch: 'ABANDON',
  // It goes all the same, and what it ran is tried again.
  terminate: 'CONTINUE',
};

export interface FleetGroupProps {
  readonly stage: string;
  readonly fleet: FleetSettings;
  readonly userData: string;
  readonly subnetIds: readonly string[];
  readonly securityGroupId: string;
  readonly instanceProfileArn: string;
}

/** One fleet: a group that keeps its number of machines, all made from one template, each with its fleet written on it from its launch on. */
export class FleetGroup extends Construct {
  readonly groupName: string;
  readonly fleet: FleetSettings;
  /** By name: the part in its middle is not known before the group is there. */
  readonly groupArn: string;

  constructor(scope: Construct, id: string, props: FleetGroupProps) {
    super(scope, id);
    const { stage, fleet, subnetIds } = props;
    const { name, machines } = fleet;
    this.fleet = fleet;
    this.groupName = fleetGroupOf(stage, name);
    this.groupArn = Stack.of(this).formatArn({
      service: 'autoscaling',
      resource: 'autoScalingGroup',
      resourceName: `*:autoScalingGroupName/${this.groupName}`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const template = this.template(props);
    const group = new CfnAutoScalingGroup(this, 'Group', {
      autoScalingGroupName: this.groupName,
      minSize: String(machines),
      maxSize: String(machines),
      vpcZoneIdentifier: [...subnetIds],
      launchTemplate: { launchTemplateId: template.ref, version: template.attrLatestVersionNumber },
      // With the group, and not after it: else its first machines would come into service before they say that they are ready.
      lifecycleHookSpecificationList: (['launch', 'terminate'] as const).map((of) => ({
        lifecycleHookName: lifecycleHooks[of],
        lifecycleTransition:
          of === 'launch' ? 'autoscaling:EC2_INSTANCE_LAUNCHING' : 'autoscaling:EC2_INSTANCE_TERMINATING',
        heartbeatTimeout: HOOK_WAIT_S[of],
        defaultResult: UNANSWERED[of],
      })),
      metricsCollection: [{ granularity: '1Minute', metrics: ['GroupInServiceInstances'] }],
      tags: [{ key: FLEET_TAG, value: name, propagateAtLaunch: true }],
    });
    Validations.of(group).acknowledge({
      id: 'AwsSolutions-AS3',
      reason: 'Launches and terminations are heard as events, by the hooks; a fleet that stays too small has an alarm.',
    });
  }

  private template({ fleet, userData, securityGroupId, instanceProfileArn }: FleetGroupProps): CfnLaunchTemplate {
    // CloudFormation reads the parameter when it deploys: each deployment takes the newest image.
    const { imageId } = MachineImage.fromSsmParameter(IMAGE_PARAMETER).getImage(this);
    return new CfnLaunchTemplate(this, 'Template', {
      launchTemplateData: {
        imageId,
        instanceType: fleet.instanceType,
        iamInstanceProfile: { arn: instanceProfileArn },
        userData,
        ...(fleet.spot ? { instanceMarketOptions: { marketType: 'spot' } } : {}),
        metadataOptions: {
          httpEndpoint: 'enabled',
          httpTokens: 'required',
          httpPutResponseHopLimit: METADATA_HOPS,
        },
        networkInterfaces: [{ deviceIndex: 0, associatePublicIpAddress: false, groups: [securityGroupId] }],
        blockDeviceMappings: [
          {
            // The root of Amazon Linux 2023.
            deviceName: '/dev/xvda',
            ebs: { volumeSize: VOLUME_GB, volumeType: 'gp3', encrypted: true, deleteOnTermination: true },
          },
        ],
      },
    });
  }
}
