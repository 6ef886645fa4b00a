import { type CommandService, type CommandToSend, CommandTrouble } from '../runtime/command-service.ts';
import { ComputeError } from '../runtime/errors.ts';
import { HOST_EXIT, nothingLeftOf, parseComment } from '../schemas/ssm-command.ts';

/** A command that was sent, and how it stands. Nothing happens to it but by the test. */
export interface TwinCommand extends CommandToSend {
  readonly commandId: string;
  readonly sentAt: string;
  status: string;
  exitCode?: number;
  /** What its host said; by default what the script says that has ended by itself. */
  output?: string;
}

type Call = 'send' | 'get' | 'list' | 'find' | 'cancel';

/** Systems Manager and the hosts behind it, in memory: what was asked is recorded, and it fails on request. */
export function commandsTwin(now: () => string) {
  const calls: string[] = [];
  const sent: TwinCommand[] = [];
  const failures: { call: Call; error: unknown; afterwards: boolean }[] = [];
  let hidden = false;

  const service: CommandService = {
    async send(command) {
      const id = `c-${sent.length + 1}`;
      calls.push(`send ${command.comment}`);
      const failure = failureOf('send');
      if (failure && !failure.afterwards) throw failure.error;
      sent.push({ ...command, commandId: id, sentAt: now(), status: 'Pending' });
      if (failure) throw failure.error;
      return id;
    },
    async get(commandId, instanceId) {
      calls.push(`get ${commandId}`);
      fail('get');
      const command = sent.find((one) => one.commandId === commandId && one.instanceId === instanceId);
      if (!command || hidden) return undefined;
      const { status, exitCode, output = wordsOf(command) } = command;
      return { commandId, status, ...(exitCode === undefined ? {} : { exitCode }), output };
    },
    async listed(instanceId, since) {
      calls.push(`list ${instanceId}`);
      fail('list');
      if (hidden) return [];
      return sent.filter((one) => one.instanceId === instanceId && one.sentAt >= since).reverse();
    },
    async found(commandId) {
      calls.push(`find ${commandId}`);
      fail('find');
      return sent.find((one) => one.commandId === commandId);
    },
    async cancel(commandId) {
      calls.push(`cancel ${commandId}`);
      fail('cancel');
      const command = sent.find((one) => one.commandId === commandId);
      if (!command) throw trouble('gone');
      if (!isOver(command)) command.status = 'Cancelling';
    },
  };

  return {
    service,
    /** `send <comment>`, `get <id>`, `list <instance>`, `find <id>`, `cancel <id>`, in order. */
    calls,
    sent,
    /** The next such call fails; with `afterwards` it did its work, and only its answer is lost. */
    failNext: (call: Call, error: unknown, afterwards = false) => void failures.push({ call, error, afterwards }),
    /** Nothing can be seen of any command, as right after it was sent. */
    hide: (value = true) => {
      hidden = value;
    },
    /** A command that another sent, by its own clock. */
    foreign(command: CommandToSend, sentAt = now()): TwinCommand {
      const other: TwinCommand = { ...command, commandId: `x-${sent.length + 1}`, sentAt, status: 'Pending' };
      sent.push(other);
      return other;
    },
    set(commandId: string, status: string, exitCode?: number, output?: string): void {
      const command = sent.find((one) => one.commandId === commandId);
      if (!command) throw new Error(`no command ${commandId}`);
      command.status = status;
      if (exitCode !== undefined) command.exitCode = exitCode;
      if (output !== undefined) command.output = output;
    },
    /** The host does what an `end` asks of it: whatever runs for the attempt ends, and nothing of it begins any more. */
    endAt(commandId: string): void {
      const end = sent.find((one) => one.commandId === commandId);
      if (!end) throw new Error(`no command ${commandId}`);
      for (const run of sent.filter((one) => one.comment === `${end.parameters.taskId}/${end.parameters.attempt}`)) {
        if (isOver(run)) continue;
        run.exitCode = run.status === 'Pending' ? HOST_EXIT.over : 143;
        run.status = 'Failed';
      }
      end.status = 'Success';
      end.exitCode = 0;
    },
  };

  function fail(call: Call): void {
    const failure = failureOf(call);
    if (failure) throw failure.error;
  }

  function failureOf(call: Call) {
    const at = failures.findIndex((failure) => failure.call === call);
    return at < 0 ? undefined : failures.splice(at, 1)[0];
  }
}

/** The comment of a command has its attempt as its last word. */
const wordsOf = ({ comment, exitCode }: TwinCommand): string => {
  const owner = parseComment(comment)?.owner;
  return exitCode === undefined || exitCode < 0 || !owner ? '' : `baton: ${nothingLeftOf(owner)}`;
};

const isOver = ({ status }: TwinCommand): boolean => !['Pending', 'InProgress', 'Cancelling'].includes(status);

const CODES = {
  gone: 'compute_invalid',
  throttled: 'compute_throttled',
  unavailable: 'compute_unavailable',
  denied: 'compute_denied',
  refused: 'compute_invalid',
} as const;

/** What Systems Manager answers instead of doing it. */
export const trouble = (fault: keyof typeof CODES, unheard = false): CommandTrouble =>
  new CommandTrouble(fault, new ComputeError(CODES[fault], `SSM: ${fault}`), unheard);
