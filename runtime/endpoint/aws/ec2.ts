import * as z from 'zod';
import { FLEET_TAG } from '../../../schemas/fleet-names.ts';
import type { InstanceRecord, InstanceState, LocalFleet } from '../../engine/local-fleet-records.ts';
import { refused } from './aws-error.ts';
import { type AwsService, type Place, parsedInput } from './aws-service.ts';
import { queryProtocol } from './query-protocol.ts';
import { element, leaf } from './xml.ts';

/** Codes of states (EC2 API reference, InstanceState). */
const CODES: Record<InstanceState, number> = { pending: 0, running: 16, 'shutting-down': 32, terminated: 48 };

const ids = z.looseObject({
  InstanceId: z.array(z.string()).default([]),
  Filter: z.array(z.looseObject({ Name: z.string(), Value: z.array(z.string()).min(1) })).default([]),
});

/** EC2 as far as it is needed to see which workers there are. It makes and ends none: that is its Auto Scaling group's. */
export function ec2Service(fleet: Pick<LocalFleet, 'instances'>, place: Place): AwsService {
  return {
    signingName: 'ec2',
    protocol: queryProtocol({
      namespace: 'http://ec2.amazonaws.com/doc/2016-11-15/',
      item: 'item',
      answer: (_operation, members, requestId) => leaf('requestId', requestId) + members,
      failure: (error, requestId) =>
        element('Response', {}, { inner: element('Errors', {}, { inner: error }) + leaf('RequestID', requestId) }),
    }),
    operations: {
      async DescribeInstances(given) {
        const { InstanceId: wanted, Filter: filters } = parsedInput(ids, given, 'InvalidParameterValue');
        const all = await fleet.instances();
        const missing = wanted.filter((id) => !all.some(({ instanceId }) => instanceId === id));
        if (missing.length > 0) {
          throw refused('InvalidInstanceID.NotFound', `The instance IDs '${missing.join(', ')}' do not exist`);
        }
        const found = all.filter(
          (one) =>
            (wanted.length === 0 || wanted.includes(one.instanceId)) &&
            filters.every(({ Name, Value }) => Value.includes(filteredBy(Name, one))),
        );
        return {
          reservationSet: found.map((one) => ({
            reservationId: `r-${one.instanceId.slice(2)}`,
            ownerId: place.account,
            groupSet: [],
            instancesSet: [shown(one, place)],
          })),
        };
      },
    },
  };
}

function filteredBy(name: string, { instanceId, state, fleet }: InstanceRecord): string {
  switch (name) {
    case 'instance-id':
      return instanceId;
    case 'instance-state-name':
      return state;
    case `tag:${FLEET_TAG}`:
      return fleet;
    default:
      throw refused('InvalidParameterValue', `The filter '${name}' is invalid`);
  }
}

const shown = ({ instanceId, state, launchedAt, fleet }: InstanceRecord, { region }: Place) => ({
  instanceId,
  imageId: 'ami-this-machine',
  instanceState: { code: CODES[state], name: state },
  instanceType: 'local',
  launchTime: launchedAt,
  placement: { availabilityZone: `${region}-a`, tenancy: 'default' },
  tagSet: [{ key: FLEET_TAG, value: fleet }],
});
