import * as z from 'zod';
import { fleetName } from '../schemas/ssm-command.ts';
import { FLEET_DEFAULT, FLEET_WORKERS_MAX } from '../schemas/worker.ts';

/** Fleets of one deployment: each is named in the roles of most functions of the back end. */
export const FLEETS_MAX = 5;

/** Four processors and 16 GB: builds and tests of an ordinary repository, and its agent beside them. */
const INSTANCE_TYPE_DEFAULT = 'm7g.xlarge';

/** Types of EC2 with a Graviton processor: the first letter behind the generation is a "g"; and the first family of all, `a1`. */
const ARM_TYPE = /^(a1|[a-z]{1,4}\d{1,2}g[a-z]{0,4})\.[a-z0-9-]{2,16}$/;

/** As the boot of a machine takes it (`agent/host/boot.sh`): the name stands in a file and in a command line. */
const HOST_IMAGE = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,300}$/;

export const isHostImage = (image: string): boolean => HOST_IMAGE.test(image);

/** Machines that stand ready for tasks, all alike. */
export interface FleetSettings {
  readonly name: string;
  readonly machines: number;
  readonly instanceType: string;
  /** On spare capacity: cheaper, and taken back with two minutes' notice. */
  readonly spot: boolean;
}

/** What a deployment with EC2 has when nobody says otherwise. */
export const FLEETS_DEFAULT: readonly FleetSettings[] = [
  { name: FLEET_DEFAULT, machines: 1, instanceType: INSTANCE_TYPE_DEFAULT, spot: false },
];

const ENTRY = /^([^=:]+)=(\d{1,6})(?::([^:]+)(?::(spot))?)?$/;

/** One fleet, as `<name>=<machines>[:<instance type>[:spot]]`. */
export const fleet = z
  .string()
  .regex(ENTRY, { error: ({ input }) => `is not <name>=<machines>[:<instance type>[:spot]]: ${input}`, abort: true })
  .transform((text): FleetSettings => {
    const [, name = '', machines, instanceType = INSTANCE_TYPE_DEFAULT, spot] = ENTRY.exec(text) ?? [];
    return { name, machines: Number(machines), instanceType, spot: spot !== undefined };
  })
  .superRefine(({ name, machines, instanceType }, { addIssue }) => {
    if (!fleetName.safeParse(name).success) {
      addIssue(`has no name of a fleet: 1 to 32 small letters, digits and "-", a letter first: ${name}`);
    }
    if (machines < 1 || machines > FLEET_WORKERS_MAX) {
      addIssue(`asks for ${machines} machines; a fleet has from 1 to ${FLEET_WORKERS_MAX}`);
    }
    if (instanceType === 'spot') {
      addIssue(`has spot where the type stands, which comes first: ${name}=${machines}:${INSTANCE_TYPE_DEFAULT}:spot`);
    } else if (!ARM_TYPE.test(instanceType)) {
      addIssue(`has ${instanceType}, which is no type of EC2 with a Graviton processor; the image is for ARM`);
    }
  });
