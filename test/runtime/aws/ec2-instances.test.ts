import { AutoScalingClient, DescribeAutoScalingInstancesCommand } from '@aws-sdk/client-auto-scaling';
import { describe, expect, it } from '@jest/globals';
import { ec2Instances } from '../../../runtime/aws/ec2-instances.ts';
import { machinesOf } from '../../../runtime/embedded-fleet.ts';
import { ec2Service } from '../../../runtime/endpoint/aws/ec2.ts';
import type { InstanceRecord, InstanceState } from '../../../runtime/engine/local-fleet-records.ts';
import { at } from '../../builders.ts';
import { place } from '../endpoint/aws/aws-server.ts';
import { served } from './served.ts';
import { type Answer, aWire } from './wire.ts';

const WORKER = 'i-0abcdef1234567890';
const nobody = async () => {
  throw new Error('nobody asks for that');
};
const NEVER_ASKED = { terminate: nobody, protect: nobody, completeLifecycle: nobody };

/** As the API reference shows an answer: with more states, and more names, than that of the machine. */
const inState = (state: string, code: number): Answer => ({
  xml: `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet><item><groupSet><item><name>terminated</name></item></groupSet><instancesSet><item><instanceId>${WORKER}</instanceId><instanceState>
    <code>${code}</code>
    <name>${state}</name>
  </instanceState><monitoring><state>disabled</state></monitoring></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`,
});
const failing = (code: string, status = 400): Answer => ({
  status,
  xml: `<Response><Errors><Error><Code>${code}</Code><Message>The instance ID '${WORKER}' …</Message></Error></Errors><RequestID>r</RequestID></Response>`,
});

/** The last of the answers stays. */
async function askedOf(...answers: Answer[]) {
  const wire = await aWire(() => (answers.length > 1 ? answers.shift() : answers[0]) as Answer);
  const { endpoint } = wire.client;
  return { wire, isGone: ec2Instances(new AutoScalingClient(wire.client), { endpoint }).isGone(WORKER) };
}

describe('a machine', () => {
  it.each([
    ['pending', 0],
    ['running', 16],
    // Its processes go on for a while.
    ['shutting-down', 32],
    ['stopping', 64],
    // It can be started again.
    ['stopped', 80],
  ])('that EC2 calls %s has not ended', async (state, code) => {
    expect(await (await askedOf(inState(state, code))).isGone).toBe(false);
  });

  it('that EC2 calls terminated, or does not know any more, has ended', async () => {
    expect(await (await askedOf(inState('terminated', 48))).isGone).toBe(true);
    expect(await (await askedOf(failing('InvalidInstanceID.NotFound'))).isGone).toBe(true);
  });

  it.each([
    ['UnauthorizedOperation', 403, 'compute_denied', 1],
    ['RequestLimitExceeded', 503, 'compute_throttled', 3],
    ['InternalError', 500, 'compute_unavailable', 3],
    ['InvalidInstanceID.Malformed', 400, 'compute_invalid', 1],
  ])('of which EC2 says %s is neither there nor gone', async (code, status, told, times) => {
    const { wire, isGone } = await askedOf(failing(code, status));
    await expect(isGone).rejects.toMatchObject({
      code: told,
      message: expect.stringContaining(`EC2 DescribeInstances: ${code}`),
    });
    expect(wire.calls).toHaveLength(times);
  });

  it('of which EC2 does not speak at once is asked about again', async () => {
    const troubles = [failing('RequestLimitExceeded', 503), failing('InternalError', 500)];
    const { wire, isGone } = await askedOf(...troubles, inState('terminated', 48));
    expect([await isGone, wire.calls.length]).toEqual([true, 3]);
  });

  it('of which no answer comes, or none that is understood, is not gone', async () => {
    await expect((await askedOf('hang up')).isGone).rejects.toMatchObject({ code: 'compute_unavailable' });
    const odd = { xml: '<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>' };
    expect(await (await askedOf(odd)).isGone).toBe(false);
  });

  it('is asked about alone, once', async () => {
    const { wire, isGone } = await askedOf(inState('running', 16));
    await isGone;
    expect(wire.calls.map(({ text }) => Object.fromEntries(new URLSearchParams(text)))).toEqual([
      { Action: 'DescribeInstances', Version: '2016-11-15', 'InstanceId.1': WORKER },
    ]);
  });
});

describe('the question', () => {
  const sent = async (
    changes: object,
  ): Promise<{ hosts: string[]; authorization: string; userAgent: string | undefined }> => {
    const seen: { hostname: string; headers: Record<string, string> }[] = [];
    const client = new AutoScalingClient({
      region: 'eu-west-1',
      credentials: { accessKeyId: 'AKIA', secretAccessKey: 'test' },
      maxAttempts: 1,
      ...changes,
      requestHandler: {
        async handle(request: (typeof seen)[number]) {
          seen.push(request);
          throw new Error('far enough');
        },
      } as never,
    });
    const { isGone } = ec2Instances(client);
    for (const call of [() => isGone(WORKER), () => client.send(new DescribeAutoScalingInstancesCommand({}))]) {
      await call().catch(() => undefined);
    }
    return {
      hosts: [...new Set(seen.map(({ hostname }) => hostname))],
      authorization: seen[0]?.headers['authorization'] ?? '',
      userAgent: seen[0]?.headers['user-agent'],
    };
  };

  it('is signed for EC2', async () => {
    const { authorization } = await sent({});
    expect(authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIA\/\d{8}\/eu-west-1\/ec2\/aws4_request, /);
    expect(authorization).toMatch(/SignedHeaders=[^,]*\bhost\b/);
  });

  it('says who asks, as the client does', async () => {
    expect(await sent({ userAgentAppId: 'the-app' })).toMatchObject({ userAgent: 'baton app/the-app' });
    expect(await sent({})).toMatchObject({ userAgent: 'baton' });
  });

  it.each([
    [{}, 'eu-west-1.amazonaws.com', ''],
    [{ region: 'cn-north-1' }, 'cn-north-1.amazonaws.com.cn', ''],
    [{ region: 'us-east-1', useFipsEndpoint: true }, 'us-east-1.amazonaws.com', '-fips'],
    [{ useDualstackEndpoint: true }, 'eu-west-1.api.aws', ''],
  ])(
    'of a client with %j goes where EC2 is, and leaves those of Auto Scaling where they go',
    async (changes, end, fips) => {
      const { hosts } = await sent(changes);
      expect(hosts).toEqual([`ec2${fips}.${end}`, `autoscaling${fips}.${end}`]);
    },
  );
});

it('is answered alike by the fleet of one machine, over the wire and below', async () => {
  const record = (instanceId: string, state: InstanceState): InstanceRecord => ({
    schemaVersion: 1,
    ...{ instanceId, state, fleet: 'main', launchedAt: at(0), changedAt: at(0) },
  });
  const states = ['pending', 'running', 'shutting-down', 'terminated'] as const;
  const all = states.map((state, n) => record(`i-0000000000000000${n}`, state));
  const service = await served([ec2Service({ instances: async () => all }, place)]);
  const client = new AutoScalingClient(service.client);
  try {
    const { isGone } = ec2Instances(client, { endpoint: String(service.client.endpoint) });
    const asked = [...all.map(({ instanceId }) => instanceId), 'i-0fffffffffffffff0'];
    const below = machinesOf({ instances: async () => all, ...NEVER_ASKED });
    for (const answers of [isGone, below.isGone]) {
      expect(await Promise.all(asked.map(answers))).toEqual([false, false, false, true, true]);
    }
  } finally {
    client.destroy();
    await service.close();
  }
});
