import { setTimeout as sleep } from 'node:timers/promises';
import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { Instances } from '../ports.ts';
import { computeError, faultOf, sdkError } from './sdk-errors.ts';

/** What EC2 speaks (API reference): the protocol of Auto Scaling, with other names in its answers. */
const VERSION = '2016-11-15';
const SERVICE = 'ec2';
/** State of one that has ended; it is listed for about an hour more. */
const TERMINATED = 'terminated';
/** Said of one that is not listed any more. One that is just being made is not known either, and has no run. */
const NOT_FOUND = 'InvalidInstanceID.NotFound';

/** How often a question is asked that EC2 is too busy for, or does not answer: a look without its word waits half an hour for the next. */
const TRIES = 3;
/** Between two of these, in milliseconds: short for a function that waits, and most such troubles are over by then. */
const PAUSE_MS = 200;

/** How EC2 is reached where that is not by its usual name. */
export interface Ec2Place {
  readonly endpoint?: string | undefined;
}

/**
 * EC2's own word on machines, in whichever group they are. One question does not need the SDK's largest client: it goes over the connection
 * of a client for Auto Scaling that is there for nothing else, with its credentials and its signature.
 */
export function ec2Instances({ config }: AutoScalingClient, { endpoint }: Ec2Place = {}): Instances {
  return {
    async isGone(worker) {
      try {
        return (await tried(() => stateOf(worker))) === TERMINATED;
      } catch (error) {
        if (sdkError(error).name === NOT_FOUND) return true;
        throw computeError('EC2 DescribeInstances', error);
      }
    },
  };

  /** The SDK repeats nothing here. A question changes nothing. */
  async function tried<T>(ask: () => Promise<T>): Promise<T> {
    for (let number = 1; ; number++) {
      try {
        return await ask();
      } catch (error) {
        const fault = faultOf(error);
        if (number >= TRIES || (fault !== 'throttled' && fault !== 'unavailable')) throw error;
        await sleep(PAUSE_MS);
      }
    }
  }

  async function stateOf(worker: string): Promise<string | undefined> {
    const form = new URLSearchParams({ Action: 'DescribeInstances', Version: VERSION, 'InstanceId.1': worker });
    const { status, text } = await answered(form.toString());
    if (status === 200) return STATE.exec(text)?.[1];
    const { groups: { code = '', message = '' } = {} } = FAILURE.exec(text) ?? {};
    throw Object.assign(new Error(message), { name: code, $metadata: { httpStatusCode: status } });
  }

  async function answered(body: string): Promise<{ status: number; text: string }> {
    const [region, UseFIPS, UseDualStack, appId] = await Promise.all([
      config.region(),
      config.useFipsEndpoint(),
      config.useDualstackEndpoint(),
      config.userAgentAppId(),
    ]);
    const { protocol, hostname, port, pathname } = place({ Region: region, UseFIPS, UseDualStack });
    const signer = await config.signer({ name: 'sigv4', signingName: SERVICE, signingRegion: region, properties: {} });
    const request = {
      method: 'POST',
      protocol,
      hostname,
      ...(port === '' ? {} : { port: Number(port) }),
      path: pathname,
      query: {},
      headers: {
        host: port === '' ? hostname : `${hostname}:${port}`,
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': String(Buffer.byteLength(body)),
        // Who asks, in the words of the SDK: CloudTrail keeps them.
        'user-agent': appId === undefined ? 'baton' : `baton app/${appId}`,
      },
      body,
    };
    const signed = await signer.sign(request, { signingRegion: region, signingService: SERVICE });
    const { response } = await config.requestHandler.handle(
      signed as Parameters<typeof config.requestHandler.handle>[0],
    );
    const chunks: Buffer[] = [];
    for await (const chunk of response.body) chunks.push(Buffer.from(chunk));
    return { status: response.statusCode, text: Buffer.concat(chunks).toString('utf8') };
  }

  /** Both services are called alike in every partition, with FIPS and without. */
  function place(asked: Parameters<typeof config.endpointProvider>[0]): URL {
    if (endpoint !== undefined) return new URL(endpoint);
    // A copy: the SDK remembers what it has answered, and gives it to every client.
    const url = new URL(config.endpointProvider(asked).url);
    url.hostname = url.hostname.replace(/^autoscaling/, SERVICE);
    return url;
  }
}

/** Of the one machine that was asked about. */
const STATE = /<instanceState>\s*<code>\d+<\/code>\s*<name>([a-z-]+)<\/name>/;
const FAILURE = /<Code>(?<code>[^<]*)<\/Code>\s*<Message>(?<message>[^<]*)<\/Message>/;
