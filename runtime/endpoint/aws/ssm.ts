import * as z from 'zod';
import {
  agentWords,
  type CommandRecord,
  FleetFault,
  type FleetFaultKind,
  isOver,
  type LocalFleet,
} from '../../engine/local-fleet-records.ts';
import { AwsError, refused } from './aws-error.ts';
import { type AwsService, pageOf, parsedInput } from './aws-service.ts';
import { jsonProtocol } from './json-protocol.ts';

/** The part of the embedded fleet that the API of SSM needs. */
export type FleetCommands = Pick<LocalFleet, 'documents' | 'send' | 'cancel' | 'command' | 'commands' | 'output'>;

/** Characters of a comment, and of what GetCommandInvocation shows of the output (Systems Manager API reference). */
const COMMENT_MAX_CHARS = 100;
const OUTPUT_MAX_CHARS = 24_000;
/** Bounds of the time for delivery in seconds, and what SSM takes when none is given (the same, SendCommand). */
const DELIVERY_S = { min: 30, max: 2_592_000, usual: 3_600 } as const;
/** Items of one list (the same, ListCommands). */
const PAGE_MAX = 50;

const text = z.string();
const commandId = z.string().length(36);
const sendCommand = z.looseObject({
  InstanceIds: z.array(text).max(50).default([]),
  Targets: z.array(z.unknown()).max(5).default([]),
  DocumentName: z.string().regex(/^[a-zA-Z0-9_\-.:/]{3,128}$/),
  DocumentVersion: text.optional(),
  TimeoutSeconds: z.int().min(DELIVERY_S.min).max(DELIVERY_S.max).default(DELIVERY_S.usual),
  Comment: z.string().max(COMMENT_MAX_CHARS).default(''),
  Parameters: z.record(text, z.array(text)).default({}),
});
const getInvocation = z.looseObject({ CommandId: commandId, InstanceId: text, PluginName: text.optional() });
const describeDocument = z.looseObject({ Name: text });
const cancelCommand = z.looseObject({ CommandId: commandId, InstanceIds: z.array(text).max(50).default([]) });
const filterKeys = ['InvokedAfter', 'InvokedBefore', 'Status', 'DocumentName'] as const;
const list = z.looseObject({
  CommandId: commandId.optional(),
  InstanceId: text.optional(),
  MaxResults: z.int().min(1).max(PAGE_MAX).default(PAGE_MAX),
  NextToken: text.optional(),
  Filters: z
    .array(z.looseObject({ key: z.enum(filterKeys), value: text }))
    .max(5)
    .default([]),
  Details: z.boolean().default(false),
});

const errors: Record<FleetFaultKind, readonly [code: string, status: number]> = {
  unknown_instance: ['InvalidInstanceId', 400],
  unknown_command: ['InvalidCommandId', 400],
  unknown_document: ['InvalidDocument', 400],
  invalid_parameters: ['InvalidParameters', 400],
  throttled: ['ThrottlingException', 400],
  denied: ['AccessDeniedException', 400],
  internal: ['InternalServerError', 500],
};

/** Run Command over the workers of this machine. A command here is for one instance. */
export function ssmService(fleet: FleetCommands): AwsService {
  return {
    signingName: 'ssm',
    targetPrefix: 'AmazonSSM',
    protocol: jsonProtocol('1.1'),
    operations: {
      async DescribeDocument(given) {
        const { Name } = parsedInput(describeDocument, given);
        if (!fleet.documents().includes(Name))
          throw refused('InvalidDocument', `Document with name ${Name} does not exist.`);
        return {
          Document: { Name, Status: 'Active', DocumentType: 'Command', DocumentFormat: 'JSON', DocumentVersion: '1' },
        };
      },
      async SendCommand(given) {
        const input = parsedInput(sendCommand, given);
        const [instanceId, ...others] = input.InstanceIds;
        if (instanceId === undefined || others.length > 0 || input.Targets.length > 0)
          throw refused('InvalidParameters', 'A command is for one instance here, by InstanceIds.');
        const request = {
          instanceId,
          document: input.DocumentName,
          parameters: singleValues(input.Parameters),
          comment: input.Comment,
          deliverySeconds: input.TimeoutSeconds,
        };
        return { Command: shownCommand(await orError(() => fleet.send(request))) };
      },
      async GetCommandInvocation(given) {
        const input = parsedInput(getInvocation, given);
        const command = await fleet.command(input.CommandId);
        if (command?.instanceId !== input.InstanceId) throw refused('InvocationDoesNotExist', '');
        return { ...shownResult(command), StandardOutputContent: outputOf(command) };
      },
      async ListCommands(given) {
        const { items, next } = await listed(given);
        return { Commands: items.map(shownCommand), ...next };
      },
      async ListCommandInvocations(given) {
        const { items, next, input } = await listed(given);
        const shown = items.map((one) => ({
          ...shownInvocation(one),
          CommandPlugins: input.Details ? [{ ...shownPlugin(one), Output: outputOf(one) }] : [],
        }));
        return { CommandInvocations: shown, ...next };
      },
      async CancelCommand(given) {
        const input = parsedInput(cancelCommand, given);
        const command = await fleet.command(input.CommandId);
        const stray = input.InstanceIds.find((id) => id !== command?.instanceId);
        if (command && stray !== undefined) throw refused('InvalidInstanceId', `The command is not for ${stray}.`);
        await orError(() => fleet.cancel(input.CommandId));
        return {};
      },
    },
  };

  async function listed(given: object) {
    const input = parsedInput(list, given);
    const found = (await fleet.commands()).filter((command) => isWanted(command, input));
    return { input, ...paged(found, input) };
  }

  function outputOf(command: CommandRecord): string {
    return isOver(command) ? fleet.output(command).slice(0, OUTPUT_MAX_CHARS) : '';
  }
}

function paged(found: readonly CommandRecord[], { MaxResults, NextToken }: z.infer<typeof list>) {
  const { page, next } = pageOf(found, MaxResults, NextToken);
  return { items: page, next };
}

function isWanted(command: CommandRecord, { CommandId, InstanceId, Filters }: z.infer<typeof list>): boolean {
  if (CommandId !== undefined && command.commandId !== CommandId) return false;
  if (InstanceId !== undefined && command.instanceId !== InstanceId) return false;
  return Filters.every((filter) => passes(command, filter));
}

function passes(command: CommandRecord, { key, value }: z.infer<typeof list>['Filters'][number]): boolean {
  switch (key) {
    case 'InvokedAfter':
      return Date.parse(command.requestedAt) >= Date.parse(value);
    case 'InvokedBefore':
      return Date.parse(command.requestedAt) < Date.parse(value);
    case 'Status':
      return command.status === value;
    case 'DocumentName':
      return command.document === value;
  }
}

/** Parameters of type String have one value each. */
function singleValues(given: Readonly<Record<string, readonly string[]>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, [value, ...more]]) => {
      if (value === undefined || more.length > 0)
        throw refused('InvalidParameters', `Parameter "${name}" is of type String and takes one value.`);
      return [name, value];
    }),
  );
}

const seconds = (at: string): number => Date.parse(at) / 1_000;

const shownCommand = (command: CommandRecord) => ({
  CommandId: command.commandId,
  DocumentName: command.document,
  DocumentVersion: '$DEFAULT',
  Comment: command.comment,
  ExpiresAfter: seconds(command.requestedAt) + command.deliverySeconds + command.executionSeconds,
  Parameters: Object.fromEntries(Object.entries(command.parameters).map(([name, value]) => [name, [value]])),
  InstanceIds: [command.instanceId],
  Targets: [],
  RequestedDateTime: seconds(command.requestedAt),
  Status: command.status,
  StatusDetails: command.details,
  MaxConcurrency: '50',
  MaxErrors: '0',
  TargetCount: 1,
  CompletedCount: isOver(command) ? 1 : 0,
  ErrorCount: isOver(command) && command.status !== 'Success' ? 1 : 0,
  DeliveryTimedOutCount: command.details === 'DeliveryTimedOut' ? 1 : 0,
  TimeoutSeconds: command.deliverySeconds,
});

const shownInvocation = (command: CommandRecord) => ({
  CommandId: command.commandId,
  InstanceId: command.instanceId,
  Comment: command.comment,
  DocumentName: command.document,
  DocumentVersion: '$DEFAULT',
  RequestedDateTime: seconds(command.requestedAt),
  Status: command.status,
  StatusDetails: command.details,
});

const shownPlugin = (command: CommandRecord) => ({
  Name: 'run',
  Status: command.status === 'Cancelling' ? 'InProgress' : command.status,
  StatusDetails: command.details,
  ResponseCode: command.responseCode,
});

/** Times are texts here, and empty until they are known (Systems Manager API reference, GetCommandInvocation). */
const shownResult = (command: CommandRecord) => ({
  CommandId: command.commandId,
  InstanceId: command.instanceId,
  Comment: command.comment,
  DocumentName: command.document,
  DocumentVersion: '$DEFAULT',
  PluginName: 'run',
  ResponseCode: command.responseCode,
  ExecutionStartDateTime: command.startedAt ?? '',
  ExecutionEndDateTime: command.endedAt ?? '',
  Status: command.status,
  StatusDetails: command.details,
  StandardErrorContent: agentWords(command),
});

async function orError<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof FleetFault) throw new AwsError(...errors[error.kind], error.message);
    throw error;
  }
}
