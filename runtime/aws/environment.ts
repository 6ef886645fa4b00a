import * as z from 'zod';
import { awsTimings, contradictionIn, type Timings } from '../../lifecycle/timings.ts';
import { type PortName, portEnvironment } from '../../schemas/environment.ts';
import { BatonError } from '../errors.ts';

/** What one port reads from the environment, checked and in its own types. */
export type EnvironmentOf<Name extends PortName> = z.infer<z.ZodObject<(typeof portEnvironment)[Name]>>;

/** The environment of a function, by the ports that it has. */
export type FunctionEnvironment<Name extends PortName = PortName> = { readonly [One in Name]: EnvironmentOf<One> };

interface Waits {
  readonly [TIMINGS]?: Readonly<Record<string, number>> | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Variables that change waits. */
const TIMINGS = 'BATON_TIMINGS';

/**
 * Reads what these ports need, all or nothing. Throws one `bad_configuration` that names every variable that is missing or wrong,
 * and never says a value.
 */
export function functionEnvironment<Name extends PortName>(
  names: readonly Name[],
  variables: Variables,
): FunctionEnvironment<Name> {
  const complaints = new Map<string, string>();
  const environment: Partial<Record<PortName, unknown>> = {};
  for (const name of names) {
    const parsed = z.object(portEnvironment[name]).safeParse(variables);
    environment[name] = parsed.data;
    for (const { path, message } of parsed.error?.issues ?? []) {
      const variable = String(path[0]);
      complaints.set(variable, variables[variable] === undefined ? 'is not set' : message);
    }
    for (const unknown of unknownWaits(parsed.data)) complaints.set(TIMINGS, `there is no wait "${unknown}"`);
    const contradiction = contradictionIn(timingsOf((parsed.data ?? {}) as Waits));
    if (contradiction !== undefined) complaints.set(TIMINGS, contradiction);
  }
  if (complaints.size > 0) throw badConfiguration(complaints);
  return environment as FunctionEnvironment<Name>;
}

/** The waits of this deployment: those for AWS, each of which `BATON_TIMINGS` may change. */
export const timingsOf = (environment: Waits): Timings => ({
  ...awsTimings,
  ...environment[TIMINGS],
});

const unknownWaits = (environment: { [TIMINGS]?: object } | undefined): string[] =>
  Object.keys(environment?.[TIMINGS] ?? {}).filter((name) => !(name in awsTimings));

function badConfiguration(complaints: ReadonlyMap<string, string>): BatonError {
  const told = [...complaints].map(([variable, complaint]) => `${variable} ${complaint}`).sort();
  return new BatonError('bad_configuration', `The environment of this function is not complete: ${told.join('; ')}`);
}
