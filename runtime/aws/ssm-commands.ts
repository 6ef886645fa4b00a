import { setTimeout as sleep } from 'node:timers/promises';
import {
  CancelCommandCommand,
  type Command,
  GetCommandInvocationCommand,
  ListCommandsCommand,
  type ListCommandsCommandInput,
  SendCommandCommand,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import { type CommandService, type CommandToSend, CommandTrouble, type ListedCommand } from '../command-service.ts';
import { ComputeError } from '../errors.ts';
import { type SsmOperation, ssmError, ssmFaultOf } from './ssm-faults.ts';

/** Tries of a command that is turned away for too many calls, and the pause before the second, in milliseconds; it doubles. */
const SEND_TRIES = 4;
const SEND_PAUSE_MS = 200;
/** Commands of one page (Systems Manager API reference, ListCommands). */
const LIST_PAGE = 50;
/** Pages that are read for one attempt. A worker gets some commands an hour, so more is no answer but a defect. */
const LIST_PAGES_MAX = 10;
/** The end of what a host said, for people, in characters. */
const OUTPUT_MAX_CHARS = 300;

export interface SsmCommandsOptions {
  readonly client: SSMClient;
  /**
   * A client that tries once. Systems Manager has no token by which it would know a repetition: the SDK's own, after an answer that was lost,
   * would run a command twice.
   */
  readonly sender: SSMClient;
  /** Name of the fleet's own document. */
  readonly document: string;
  /** Where what the hosts say is kept in whole, if anywhere. */
  readonly logGroup?: string;
}

/** Commands on workers, by Systems Manager. */
export function ssmCommands({ client, sender, document, logGroup }: SsmCommandsOptions): CommandService {
  return {
    async send(command) {
      const request = new SendCommandCommand(inputOf(command));
      for (let tries = 1; ; tries++) {
        try {
          const { Command: sent } = await sender.send(request);
          if (sent?.CommandId) return sent.CommandId;
        } catch (error) {
          const trouble = troubleOf('SendCommand', error);
          // Only what was turned away at the door may be repeated here.
          if (trouble.fault !== 'throttled' || tries >= SEND_TRIES) throw trouble;
          await sleep(SEND_PAUSE_MS * 2 ** (tries - 1));
          continue;
        }
        const told = 'SSM SendCommand: an answer without the id of a command';
        throw new CommandTrouble('unavailable', new ComputeError('compute_unavailable', told), true);
      }
    },

    async get(commandId, instanceId) {
      try {
        const answer = await client.send(
          new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: instanceId }),
        );
        const { Status: status = '', StatusDetails: statusDetails, ResponseCode: exitCode } = answer;
        const output = lastOf(answer.StandardOutputContent || answer.StandardErrorContent);
        return {
          ...{ commandId, status },
          ...(statusDetails === undefined ? {} : { statusDetails }),
          ...(exitCode === undefined ? {} : { exitCode }),
          ...(output === '' ? {} : { output }),
        };
      } catch (error) {
        const trouble = troubleOf('GetCommandInvocation', error);
        if (trouble.fault === 'gone') return undefined;
        throw trouble.error;
      }
    },

    listed: (instanceId, since) =>
      list({
        InstanceId: instanceId,
        Filters: [
          // Whole seconds, as the reference writes it.
          { key: 'InvokedAfter', value: `${since.slice(0, 19)}Z` },
          { key: 'DocumentName', value: document },
        ],
      }),

    found: async (commandId) => (await list({ CommandId: commandId }))[0],

    async cancel(commandId, instanceId) {
      try {
        await client.send(new CancelCommandCommand({ CommandId: commandId, InstanceIds: [instanceId] }));
      } catch (error) {
        throw troubleOf('CancelCommand', error);
      }
    },
  };

  function inputOf({ instanceId, parameters, comment, deliverySeconds }: CommandToSend) {
    return {
      DocumentName: document,
      InstanceIds: [instanceId],
      Parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
      Comment: comment,
      TimeoutSeconds: deliverySeconds,
      ...(logGroup === undefined
        ? {}
        : { CloudWatchOutputConfig: { CloudWatchOutputEnabled: true, CloudWatchLogGroupName: logGroup } }),
    };
  }

  async function list(question: ListCommandsCommandInput): Promise<ListedCommand[]> {
    const all: ListedCommand[] = [];
    let next: string | undefined;
    for (let page = 0; page < LIST_PAGES_MAX; page++) {
      const { commands, token } = await pageOf({ ...question, MaxResults: LIST_PAGE, NextToken: next });
      all.push(...commands.flatMap(listedOf));
      if (token === undefined) return all;
      next = token;
    }
    throw new ComputeError('compute_invalid', `SSM ListCommands: more than ${LIST_PAGES_MAX} pages`);
  }

  async function pageOf(question: ListCommandsCommandInput): Promise<{ commands: Command[]; token?: string }> {
    try {
      const { Commands: commands = [], NextToken: token } = await client.send(new ListCommandsCommand(question));
      return { commands, ...(token === undefined || token === '' ? {} : { token }) };
    } catch (error) {
      const trouble = troubleOf('ListCommands', error);
      if (trouble.fault === 'gone') return { commands: [] };
      throw trouble.error;
    }
  }
}

function troubleOf(operation: SsmOperation, error: unknown): CommandTrouble {
  const fault = ssmFaultOf(error);
  return new CommandTrouble(fault, ssmError(operation, error, fault), fault === 'unavailable');
}

/** Commands of others may have no comment. */
const listedOf = ({ CommandId: commandId, Comment: comment }: Command): ListedCommand[] =>
  commandId === undefined ? [] : [{ commandId, ...(comment === undefined ? {} : { comment }) }];

const lastOf = (text = ''): string => text.trim().slice(-OUTPUT_MAX_CHARS);
