import { type PortName, portEnvironment } from '../schemas/environment.ts';

type VariableOf<Port extends PortName> = keyof (typeof portEnvironment)[Port];

/** A variable that some port reads. */
export type VariableName = { [Port in PortName]: VariableOf<Port> }[PortName];

/** What this deployment knows, by variable; what it leaves out has a default in the function, or belongs to a back end that is not there. */
export type Variables = { readonly [Name in VariableName]?: string };

/** Exactly the variables that these ports read. Throws, with all names at once, when the deployment lacks one. */
export function environmentOf(ports: readonly PortName[], variables: Variables): Record<string, string> {
  const environment: Record<string, string> = {};
  const missing: string[] = [];
  for (const port of ports) {
    for (const [name, schema] of Object.entries(portEnvironment[port])) {
      const value = variables[name as VariableName];
      if (value !== undefined) environment[name] = value;
      else if (!schema.safeParse(undefined).success) missing.push(name);
    }
  }
  if (missing.length > 0) throw new Error(`This deployment has no value for ${[...new Set(missing)].join(', ')}.`);
  return environment;
}
