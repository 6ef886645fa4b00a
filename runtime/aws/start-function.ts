import { type PortName, portEnvironment } from '../../schemas/environment.ts';
import { BatonError } from '../errors.ts';
import type { Reaction } from '../react.ts';
import type { Adapter } from './adapters/adapter.ts';
import * as clock from './adapters/clock.ts';
import { deliveryLog } from './delivery-log.ts';
import { type FunctionEnvironment, functionEnvironment, timingsOf } from './environment.ts';
import { type LambdaFunction, lambdaHandler } from './lambda.ts';

/** How long a function waits for its first calls while it starts, in milliseconds: Lambda begins again after 10 s, and these are a favour. */
const PRIME_MAX_MS = 4_000;

/** Troubles with which no delivery can be handled: the function does not start. */
const FATAL: ReadonlySet<string> = new Set(['bad_configuration', 'bus_missing']);

/** The adapters of a rule's ports, and of the bus. */
export type Adapters = { readonly [Name in PortName]?: Adapter<Name> };

/**
 * The cold start of a function: checks its whole environment, opens the ports and makes their first calls, so that what costs time once
 * is not paid by a delivery. Rejects with `bad_configuration`, `missing_port` or `bus_missing`; any other trouble is logged and met again
 * by the delivery that needs the port.
 */
export async function startFunction(reaction: Reaction, adapters: Adapters): Promise<LambdaFunction> {
  const { rule } = reaction;
  const besides = [...(rule.once ? ['effects'] : []), ...(rule.delivery === 'queue' ? ['letters'] : [])];
  const names = ['bus', ...besides, ...rule.uses].map((name) => portNamed(name, rule.name));
  const environment = functionEnvironment(names, process.env);
  const ports = Object.fromEntries(rule.uses.map((name) => [name, opened(portNamed(name, rule.name))]));
  const bus = opened('bus');
  const effects = rule.once ? opened('effects') : undefined;
  const letters = rule.delivery === 'queue' ? opened('letters') : undefined;
  const log = deliveryLog(rule);
  await withinMs(PRIME_MAX_MS, prime());
  const { tasks, settings }: Partial<FunctionEnvironment> = environment;
  const timings = timingsOf(tasks ?? settings ?? {});
  return lambdaHandler(reaction, {
    ports,
    bus,
    clock: clock.open(),
    timings,
    log,
    ...(effects ? { effects } : {}),
    ...(letters ? { letters } : {}),
  });

  function opened<Name extends PortName>(name: Name) {
    return adapterOf(name, adapters).open(environment[name]);
  }

  async function prime(): Promise<void> {
    const primed = await Promise.allSettled(names.map(primeOne));
    for (const [place, result] of primed.entries()) {
      if (result.status === 'fulfilled') continue;
      const { reason } = result;
      if (reason instanceof BatonError && FATAL.has(reason.code)) throw reason;
      log.logger.warn('not primed', { port: names[place], reason: String(reason) });
    }
  }

  async function primeOne<Name extends PortName>(name: Name): Promise<void> {
    await adapterOf(name, adapters).prime?.(environment[name]);
  }
}

function portNamed(name: string, rule: string): PortName {
  if (Object.hasOwn(portEnvironment, name)) return name as PortName;
  throw new BatonError('missing_port', `rule "${rule}" uses "${name}", which no environment is known for`);
}

function adapterOf<Name extends PortName>(name: Name, adapters: Adapters): Adapter<Name> {
  const adapter: Adapter<Name> | undefined = adapters[name];
  if (adapter) return adapter;
  throw new BatonError('missing_port', `this function was built without the adapter of the port "${name}"`);
}

/** Resolves when the work ends or the time is over, whichever comes first; the work goes on alone then. */
async function withinMs(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}
