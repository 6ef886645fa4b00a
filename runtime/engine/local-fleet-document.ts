import { randomUUID } from 'node:crypto';
import { type CommandDocument, variableOf } from '../../schemas/run-document.ts';
import type { CommandRecord, CommandRequest } from './local-fleet-records.ts';

/** What SSM would refuse about the parameters of a command; undefined if nothing. */
export function whyInvalid(document: CommandDocument, given: Readonly<Record<string, string>>): string | undefined {
  const stray = Object.keys(given).find((name) => !Object.hasOwn(document.parameters, name));
  if (stray !== undefined) return `Parameter "${stray}" is not defined in the document.`;
  for (const [name, { default: otherwise, allowedPattern }] of Object.entries(document.parameters)) {
    const value = given[name] ?? otherwise;
    if (value === undefined) return `Parameter "${name}" requires a value.`;
    if (allowedPattern !== undefined && !new RegExp(allowedPattern).test(value))
      return `Parameter "${name}" has value "${value}" not matching ${allowedPattern}.`;
  }
  return undefined;
}

/** A command as it is accepted: nothing of it has begun. */
export function newCommand(request: CommandRequest, document: CommandDocument, at: string): CommandRecord {
  const parameters = { ...defaultsOf(document), ...request.parameters };
  const { instanceId, comment, deliverySeconds } = request;
  return {
    schemaVersion: 1,
    commandId: randomUUID(),
    instanceId,
    document: request.document,
    parameters,
    comment,
    requestedAt: at,
    deliverySeconds,
    executionSeconds: executionSecondsOf(document, parameters),
    status: 'Pending',
    details: 'Pending',
    responseCode: -1,
  };
}

const defaultsOf = ({ parameters }: CommandDocument): Record<string, string> =>
  Object.fromEntries(
    Object.entries(parameters).flatMap(([name, { default: value }]) => (value === undefined ? [] : [[name, value]])),
  );

/** The lines of a document's script with its parameters in them, as SSM's agent writes them: without those that only variables carry. */
export function scriptOf(
  { parameters, mainSteps: [{ inputs }] }: CommandDocument,
  values: Readonly<Record<string, string>>,
): string[] {
  const written = Object.entries(values).filter(([name]) => parameters[name]?.interpolationType === undefined);
  return inputs.runCommand.map((line) => replaced(line, Object.fromEntries(written)));
}

/** The time that a document gives its script, in seconds. */
export const executionSecondsOf = (
  { mainSteps: [{ inputs }] }: CommandDocument,
  values: Readonly<Record<string, string>>,
): number => Number(replaced(inputs.timeoutSeconds, values));

const replaced = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replace(/\{\{\s*([\w-]+)\s*\}\}/g, (whole, name) =>
    Object.hasOwn(values, name) ? (values[name] ?? '') : whole,
  );

/** The parameters that only variables carry, as the script finds them. */
export function variablesOf(
  { parameters }: CommandDocument,
  values: Readonly<Record<string, string>>,
): Record<string, string> {
  const carried = Object.entries(values).filter(([name]) => parameters[name]?.interpolationType === 'ENV_VAR');
  return Object.fromEntries(carried.map(([name, value]) => [variableOf(name), value]));
}
