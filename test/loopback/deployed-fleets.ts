import * as z from 'zod';
import { type CommandDocument, commandDocument } from '../../schemas/run-document.ts';
import type { Resource } from './template.ts';

/** Tag by which the machines of a fleet are told from others. */
const FLEET_TAG = 'baton:fleet';

/** A document of Systems Manager. */
export interface DeployedDocument {
  readonly name: string;
  readonly content: CommandDocument;
}

/** A fleet: its Auto Scaling group, and what each machine of it is made from. */
export interface DeployedFleet {
  readonly name: string;
  readonly group: string;
  readonly machines: number;
  /** Names of its lifecycle hooks, and for how long each waits for an answer. */
  readonly hooks: Readonly<Record<'launch' | 'terminate', { readonly name: string; readonly waitSeconds: number }>>;
  /** The script that a fresh machine runs. */
  readonly userData: string;
  /** Name of the role of its machines. */
  readonly role: string;
  /** What every machine has from its launch on. */
  readonly tags: Readonly<Record<string, string>>;
}

/** All resources of a type, with their properties as they are expected. Throws for others. */
export type ResourcesOf = <Shape extends z.ZodType>(
  type: string,
  shape: Shape,
) => readonly (Resource & { readonly is: z.output<Shape> })[];

/** Throws when a group has not what its machines need. */
export function fleetsIn(of: ResourcesOf): {
  readonly documents: DeployedDocument[];
  readonly fleets: DeployedFleet[];
} {
  const templates = of('AWS::EC2::LaunchTemplate', launchTemplate);
  const profiles = of('AWS::IAM::InstanceProfile', instanceProfile);
  return {
    documents: of('AWS::SSM::Document', document).map(({ is, ref }) => ({ name: ref, content: is.Content })),
    fleets: of('AWS::AutoScaling::AutoScalingGroup', group).map(({ is, ref }) => {
      const made = found(templates, (one) => one.ref === is.LaunchTemplate.LaunchTemplateId, `template of ${ref}`).is
        .LaunchTemplateData;
      const profile = found(profiles, (one) => one.arn === made.IamInstanceProfile.Arn, `profile of ${ref}`).is;
      const tags = is.Tags.filter(({ PropagateAtLaunch }) => PropagateAtLaunch);
      const hookAt = (transition: string) => {
        const hooks = is.LifecycleHookSpecificationList;
        const hook = found(hooks, (one) => one.LifecycleTransition === transition, `hook of ${ref} at ${transition}`);
        return { name: hook.LifecycleHookName, waitSeconds: hook.HeartbeatTimeout };
      };
      return {
        name: found(tags, ({ Key }) => Key === FLEET_TAG, `tag ${FLEET_TAG} of ${ref}`).Value,
        group: ref,
        machines: is.MinSize,
        hooks: {
          launch: hookAt('autoscaling:EC2_INSTANCE_LAUNCHING'),
          terminate: hookAt('autoscaling:EC2_INSTANCE_TERMINATING'),
        },
        userData: Buffer.from(made.UserData, 'base64').toString(),
        role: found(profile.Roles, () => true, `role of ${ref}`),
        tags: Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value])),
      };
    }),
  };
}

function found<One>(all: readonly One[], isWanted: (one: One) => boolean, what: string): One {
  const one = all.find(isWanted);
  if (one === undefined) throw new Error(`there is no ${what}`);
  return one;
}

const text = z.string();
const document = z.looseObject({ Content: commandDocument });
const instanceProfile = z.looseObject({ Roles: z.array(text) });
const launchTemplate = z.looseObject({
  LaunchTemplateData: z.looseObject({ UserData: text, IamInstanceProfile: z.looseObject({ Arn: text }) }),
});
const group = z.looseObject({
  MinSize: z.coerce.number().int(),
  LaunchTemplate: z.looseObject({ LaunchTemplateId: text }),
  LifecycleHookSpecificationList: z.array(
    z.looseObject({ LifecycleHookName: text, LifecycleTransition: text, HeartbeatTimeout: z.coerce.number().int() }),
  ),
  Tags: z.array(z.looseObject({ Key: text, Value: text, PropagateAtLaunch: z.boolean() })),
});
