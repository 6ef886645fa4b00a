import { type CommandFault, type CommandService, CommandTrouble, type ListedCommand } from '../command-service.ts';
import { ComputeError } from '../errors.ts';
import { type CommandRecord, FleetFault, type FleetFaultKind, isOver, type LocalFleet } from './local-fleet-records.ts';

/** What the embedded fleet refuses, as the client of the real SSM would sort it. */
const troubles = {
  unknown_instance: ['gone', 'compute_invalid'],
  unknown_command: ['gone', 'compute_invalid'],
  unknown_document: ['refused', 'compute_invalid'],
  invalid_parameters: ['refused', 'compute_invalid'],
  throttled: ['throttled', 'compute_throttled'],
  denied: ['denied', 'compute_denied'],
  internal: ['unavailable', 'compute_unavailable'],
} as const satisfies Record<FleetFaultKind, readonly [CommandFault, string]>;

/** The end of what a host said, for people, in characters. */
const OUTPUT_MAX_CHARS = 300;

/** The commands of this machine's workers as the back end asks for them, without the way through a protocol. */
export const localCommands = (
  fleet: Pick<LocalFleet, 'send' | 'cancel' | 'command' | 'commands' | 'output'>,
  document: string,
): CommandService => ({
  send: async ({ parameters, ...command }) =>
    (await orTrouble(() => fleet.send({ ...command, document, parameters: { ...parameters } }))).commandId,

  async get(commandId, instanceId) {
    const known = await fleet.command(commandId);
    if (known?.instanceId !== instanceId) return undefined;
    const { status, details: statusDetails, responseCode: exitCode } = known;
    const output = isOver(known) ? fleet.output(known).trim().slice(-OUTPUT_MAX_CHARS) : '';
    return { commandId, status, statusDetails, exitCode, ...(output === '' ? {} : { output }) };
  },

  async listed(instanceId, since) {
    const all = await fleet.commands();
    const isMeant = (one: CommandRecord): boolean =>
      one.instanceId === instanceId && one.document === document && one.requestedAt >= since;
    return all.filter(isMeant).map(listedOf);
  },

  async found(commandId) {
    const known = await fleet.command(commandId);
    return known && listedOf(known);
  },

  cancel: (commandId) => orTrouble(() => fleet.cancel(commandId)),
});

const listedOf = ({ commandId, comment }: CommandRecord): ListedCommand => ({ commandId, comment });

async function orTrouble<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof FleetFault)) throw error;
    const [fault, code] = troubles[error.kind];
    const told = new ComputeError(code, `SSM: ${error.message}`, { cause: error });
    throw new CommandTrouble(fault, told, fault === 'unavailable');
  }
}
