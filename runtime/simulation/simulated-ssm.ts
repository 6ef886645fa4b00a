import { ssmCommandInvocation } from '../../events/aws/ssm-command-invocation.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { HOST_EXIT, NO_RESPONSE, nothingLeftOf, parseComment } from '../../schemas/ssm-command.ts';
import { type CommandFault, type CommandService, type CommandToSend, CommandTrouble } from '../command-service.ts';
import { ComputeError, type ErrorCode } from '../errors.ts';
import type { Gate, Scene } from './scene.ts';
import type { HostScript, SimulatedHost } from './simulated-host.ts';

/** How long handing a command over takes, and how long where its worker is not reached at once, in milliseconds. */
const DELIVERED_MAX_MS = 3_000;
const DELAYED_MAX_MS = 240_000;
/** How long a command may be invisible to questions, in milliseconds: they are eventually consistent. */
const INVISIBLE_MAX_MS = 8_000;
/** How long somebody who sends waits for an answer, in milliseconds. */
const ANSWER_MAX_MS = 25_000;
/** When a script is ended that shall run into its time-out, or whose command arrives again, in milliseconds. */
const LATER_MAX_MS = [30_000, 900_000] as const;
/** After what time SSM gives up on a worker that says nothing any more, in milliseconds. */
const GIVEN_UP_MAX_MS = 1_800_000;
/** From asking a script to end to its end, in milliseconds. */
const CANCEL_MAX_MS = 5_000;

const codes = {
  gone: 'compute_invalid',
  throttled: 'compute_throttled',
  unavailable: 'compute_unavailable',
  denied: 'compute_denied',
  refused: 'compute_invalid',
} as const satisfies Record<CommandFault, ErrorCode>;

const trouble = (fault: CommandFault, message: string, unheard = false): CommandTrouble =>
  new CommandTrouble(fault, new ComputeError(codes[fault], `SSM: ${message}`), unheard);

/** Statuses after which nothing follows, but what the script says that runs all the same. */
type Given = 'Undeliverable' | 'Terminated' | 'DeliveryTimedOut' | 'ExecutionTimedOut' | 'TimedOut' | 'Cancelled';
type Status = 'Pending' | 'Delayed' | 'InProgress' | 'Cancelling' | 'Success' | 'Failed' | Given;

/** One command for one worker. */
export interface SimulatedCommand extends CommandToSend {
  readonly commandId: string;
  readonly sentMs: number;
  readonly shownFromMs: number;
  status: Status;
  exitCode?: number;
  /** Its worker has it, or may get it yet. */
  mayArrive: boolean;
  script?: HostScript;
}

export interface SimulatedSsm {
  /** Systems Manager as one invocation of a handler sees it. */
  seenBy(gate: Gate): CommandService;
  readonly commands: readonly SimulatedCommand[];
}

export interface SsmSurroundings {
  readonly scene: Scene;
  /** The host behind an id, as long as SSM reaches it; and whether there is one that does not answer. */
  readonly hostOf: (instanceId: string) => { readonly host?: SimulatedHost; readonly isKnown: boolean };
  /** An event of AWS sets out. */
  readonly tell: (event: Pick<Envelope, 'source' | 'detail-type' | 'detail'>, what: string) => void;
  /** Somebody reached it during a replay. */
  readonly reachedOut: (what: string) => void;
  readonly sent: (command: SimulatedCommand) => void;
}

/** Systems Manager as its documentation describes it, with the faults that the scene has: it hands commands over, and its word proves little. */
export function simulatedSsm({ scene, hostOf, tell, reachedOut, sent }: SsmSurroundings): SimulatedSsm {
  const { time, trace, has } = scene;
  const random = scene.random.fork('ssm');
  const commands: SimulatedCommand[] = [];

  return { seenBy, commands };

  function seenBy(gate: Gate): CommandService {
    return {
      async send(command) {
        await comesBy(`send ${command.comment}`);
        if (gate.replay) reachedOut(`ssm send ${command.comment}`);
        if (!hostOf(command.instanceId).isKnown) throw trouble('gone', `no worker ${command.instanceId}`);
        if (has('failing-start') && random.chance(0.1)) throw trouble('refused', 'the document is invalid');
        if (has('no-capacity') && random.chance(0.15)) throw trouble('throttled', 'too many commands');
        if (has('late-handle') && random.chance(0.1))
          throw trouble('unavailable', 'no answer, and nothing was sent', true);
        const { commandId } = create(command);
        if (has('late-handle') && random.chance(0.3)) {
          if (random.chance(0.5)) throw trouble('unavailable', `no answer; it was ${commandId}`, true);
          await gate.sleep(random.int(1_000, ANSWER_MAX_MS));
        }
        await gate.point(`sent ${commandId}`);
        return commandId;
      },
      async get(commandId, instanceId) {
        await asks(`get ${commandId}`);
        const command = shown().find((one) => one.commandId === commandId && one.instanceId === instanceId);
        return command && invocationOf(command);
      },
      async listed(instanceId, since) {
        await asks(`list ${instanceId}`);
        return shown()
          .filter((one) => one.instanceId === instanceId && one.sentMs >= Date.parse(since))
          .reverse();
      },
      async found(commandId) {
        await asks(`find ${commandId}`);
        return shown().find((one) => one.commandId === commandId);
      },
      async cancel(commandId) {
        await comesBy(`cancel ${commandId}`);
        if (gate.replay) reachedOut(`ssm cancel ${commandId}`);
        const command = shown().find((one) => one.commandId === commandId);
        if (!command) throw trouble('gone', `no command ${commandId}`);
        cancel(command);
        await gate.point(`cancelled ${commandId}`);
      },
    };

    /** Questions fail with what their adapter throws. */
    async function asks(what: string): Promise<void> {
      try {
        await comesBy(what);
      } catch (error) {
        throw error instanceof CommandTrouble ? error.error : error;
      }
    }

    async function comesBy(what: string): Promise<void> {
      await gate.point(`ssm ${what}`);
      await gate.store.durable();
      if (has('throttled-start') && random.chance(0.2)) throw trouble('throttled', 'Rate exceeded.');
    }
  }

  function shown(): SimulatedCommand[] {
    return commands.filter(({ shownFromMs }) => shownFromMs <= time.nowMs());
  }

  function invocationOf({ commandId, status, comment, exitCode = NO_RESPONSE }: SimulatedCommand) {
    const owner = parseComment(comment)?.owner;
    // A script that came to its end has looked; with `unproven` it found something.
    const hasLooked = owner && exitCode !== NO_RESPONSE && exitCode !== HOST_EXIT.unproven;
    const details = has('unknown-status') && random.chance(0.2) ? 'Hibernating' : spelt(status);
    return {
      commandId,
      status: details === 'Hibernating' ? details : coarse(status),
      statusDetails: details,
      exitCode,
      ...(hasLooked ? { output: nothingLeftOf(owner) } : {}),
    };
  }

  function create(given: CommandToSend): SimulatedCommand {
    const lag = has('delay') || has('reorder') ? random.int(0, INVISIBLE_MAX_MS) : 0;
    const command: SimulatedCommand = {
      ...given,
      commandId: `c-${commands.length + 1}`,
      sentMs: time.nowMs(),
      shownFromMs: time.nowMs() + lag,
      status: 'Pending',
      mayArrive: true,
    };
    commands.push(command);
    trace.line(`ssm takes ${command.commandId}: ${command.comment} for ${command.instanceId}`);
    sent(command);
    after(random.int(10, DELIVERED_MAX_MS), () => handOver(command));
    after(given.deliverySeconds * 1_000, () => {
      if (command.status !== 'Pending' && command.status !== 'Delayed') return;
      // SSM's agent may have it, and have said so in vain.
      ends(command, 'DeliveryTimedOut', has('lost-command') && random.chance(0.3));
    });
    return command;
  }

  function handOver(command: SimulatedCommand): void {
    if (command.status === 'Pending' && has('lost-command') && random.chance(0.2)) {
      ends(command, random.pick(['Undeliverable', 'Terminated', 'Terminated']), random.chance(0.4));
      return;
    }
    if (command.status === 'Pending' && has('late-command') && random.chance(0.4)) {
      change(command, 'Delayed');
      after(random.int(1_000, DELAYED_MAX_MS), () => arrive(command));
      return;
    }
    arrive(command);
  }

  /** Its worker begins with it, whatever SSM says of it meanwhile. */
  function arrive(command: SimulatedCommand): void {
    const { host } = hostOf(command.instanceId);
    if (!command.mayArrive || command.script || !host) return;
    execute(command, host);
    if (isOpen(command)) change(command, 'InProgress');
    if (has('command-again') && random.chance(0.3)) {
      after(random.int(1, random.pick(LATER_MAX_MS)), () => {
        const still = hostOf(command.instanceId).host;
        if (!still) return;
        trace.line(`host ${command.instanceId} is given ${command.commandId} again`);
        execute(command, still);
      });
    }
    const limitMs = Number(command.parameters.executionTimeout) * 1_000;
    const early = has('execution-time-out') && random.chance(0.25) ? random.int(1, random.pick(LATER_MAX_MS)) : limitMs;
    after(Math.min(early, limitMs), () => {
      if (!isOpen(command)) return;
      ends(command, 'ExecutionTimedOut', false);
      command.script?.kill();
    });
  }

  function execute(command: SimulatedCommand, host: SimulatedHost): void {
    const script = host.execute(command.parameters, (exitCode) => {
      if (script !== command.script) return;
      // The word of the worker may never come.
      if (has('lost-command') && random.chance(0.15)) {
        after(random.int(60_000, GIVEN_UP_MAX_MS), () => isOpen(command) && ends(command, 'TimedOut', false));
        return;
      }
      after(random.int(1, 1_000), () => {
        if (!isOpen(command)) return;
        command.exitCode = exitCode;
        change(command, exitCode === 0 ? 'Success' : 'Failed');
      });
    });
    command.script = script;
  }

  function cancel(command: SimulatedCommand): void {
    if (!isOpen(command) || command.status === 'Cancelling') return;
    if (command.status !== 'InProgress') {
      // What has set out arrives.
      ends(command, 'Cancelled', has('lost-command') && random.chance(0.3));
      return;
    }
    change(command, 'Cancelling');
    if (has('ignores-stop') && random.chance(0.3)) return;
    after(random.int(1, CANCEL_MAX_MS), () => {
      if (!isOpen(command)) return;
      command.script?.kill();
      ends(command, 'Cancelled', false);
    });
  }

  /** SSM has given up on it. `arrivesYet`: its worker gets it all the same. */
  function ends(command: SimulatedCommand, status: Given, arrivesYet: boolean): void {
    command.mayArrive = arrivesYet;
    change(command, status);
    if (arrivesYet) after(random.int(1, DELAYED_MAX_MS), () => arrive(command));
  }

  function change(command: SimulatedCommand, status: Status): void {
    command.status = status;
    const { commandId, instanceId } = command;
    const said =
      has('unknown-status') && random.chance(0.05) ? 'Hibernating' : random.pick([spelt(status), coarse(status)]);
    const detail = {
      'command-id': commandId,
      'document-name': 'baton-run',
      'instance-id': instanceId,
      status: said,
    };
    tell(
      { source: ssmCommandInvocation.source, 'detail-type': ssmCommandInvocation.type, detail },
      `${commandId} ${said}`,
    );
  }

  /** SSM writes both. */
  function spelt(status: Status): string {
    return random.chance(0.5)
      ? status
      : status.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').replace('In Progress', 'InProgress');
  }

  function after(ms: number, work: () => void): void {
    time.at(time.nowMs() + ms, work);
  }
}

const isOpen = ({ status }: SimulatedCommand): boolean =>
  status === 'Pending' || status === 'Delayed' || status === 'InProgress' || status === 'Cancelling';

/** `Status` of an invocation, where `StatusDetails` says more (Systems Manager API reference, CommandInvocation). */
const coarse = (status: Status): string => {
  if (status === 'DeliveryTimedOut' || status === 'ExecutionTimedOut') return 'TimedOut';
  return status === 'Undeliverable' || status === 'Terminated' ? 'Failed' : status;
};
