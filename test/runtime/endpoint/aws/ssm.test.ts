import {
  CancelCommandCommand,
  DescribeDocumentCommand,
  GetCommandInvocationCommand,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  SendCommandCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ssmService } from '../../../../runtime/endpoint/aws/ssm.ts';
import { type CommandRecord, FleetFault, type FleetFaultKind } from '../../../../runtime/engine/local-fleet-records.ts';
import { at } from '../../../builders.ts';
import { served } from '../../aws/served.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const WORKER = 'i-0123456789abcdef0';
const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
const aCommand = (changes: Partial<CommandRecord> = {}): CommandRecord => ({
  schemaVersion: 1,
  commandId: idOf(1),
  instanceId: WORKER,
  document: 'baton-run',
  parameters: { action: 'run' },
  comment: 't/1',
  requestedAt: at(0),
  deliverySeconds: 60,
  executionSeconds: 600,
  status: 'Pending',
  details: 'Pending',
  responseCode: -1,
  ...changes,
});

/** The service over commands that only write down what they are asked, as an SDK client sees it. */
async function aService(known: CommandRecord[] = [], fault?: FleetFaultKind) {
  const did: unknown[] = [];
  const fail = (): void => {
    if (fault) throw new FleetFault(fault, 'because');
  };
  const service = await served([
    ssmService({
      documents: () => ['baton-run'],
      async send(request) {
        fail();
        did.push(request);
        return aCommand({ comment: request.comment, parameters: request.parameters });
      },
      async cancel(commandId) {
        fail();
        did.push(commandId);
      },
      command: async (commandId) => known.find((one) => one.commandId === commandId),
      commands: async () => known,
      output: () => 'x'.repeat(30_000),
    }),
  ]);
  const client = new SSMClient(service.client);
  open.push({
    close: async () => {
      client.destroy();
      await service.close();
    },
  });
  return { client, did };
}

const send = (more: object = {}) =>
  new SendCommandCommand({
    InstanceIds: [WORKER],
    DocumentName: 'baton-run',
    TimeoutSeconds: 60,
    Comment: 't/1',
    Parameters: { action: ['run'] },
    ...more,
  });

it('a document is described by its name, and one that is not there is told as that', async () => {
  const { client } = await aService();
  const { Document } = await client.send(new DescribeDocumentCommand({ Name: 'baton-run' }));
  expect(Document).toMatchObject({ Name: 'baton-run', Status: 'Active', DocumentType: 'Command' });
  const other = client.send(new DescribeDocumentCommand({ Name: 'baton-other-run' }));
  await expect(other).rejects.toMatchObject({ name: 'InvalidDocument' });
});

describe('a command that is sent', () => {
  it('reaches the fleet whole, and is answered before it begins', async () => {
    const { client, did } = await aService();
    const { Command } = await client.send(send());
    expect(Command).toMatchObject({
      CommandId: idOf(1),
      Status: 'Pending',
      InstanceIds: [WORKER],
      Comment: 't/1',
      Parameters: { action: ['run'] },
      RequestedDateTime: new Date(at(0)),
      ExpiresAfter: new Date(Date.parse(at(0)) + 660_000),
    });
    const parameters = { action: 'run' };
    expect(did).toEqual([
      { instanceId: WORKER, document: 'baton-run', parameters, comment: 't/1', deliverySeconds: 60 },
    ]);
  });

  it('without a time for its delivery has an hour', async () => {
    const { client, did } = await aService();
    await client.send(send({ TimeoutSeconds: undefined }));
    expect(did).toMatchObject([{ deliverySeconds: 3_600 }]);
  });

  it.each([
    ['with a comment of 101 characters', { Comment: 'x'.repeat(101) }, 'ValidationException'],
    ['with less than 30 s for its delivery', { TimeoutSeconds: 29 }, 'ValidationException'],
    ['with more than 30 days for it', { TimeoutSeconds: 2_592_001 }, 'ValidationException'],
    ['with a document of no name', { DocumentName: 'a b c' }, 'ValidationException'],
    ['for two instances', { InstanceIds: [WORKER, 'i-00000000000000001'] }, 'InvalidParameters'],
    ['for whatever has a tag', { InstanceIds: [], Targets: [{ Key: 'tag:a', Values: ['b'] }] }, 'InvalidParameters'],
    ['for nobody', { InstanceIds: undefined }, 'InvalidParameters'],
    ['with two values of a parameter', { Parameters: { action: ['run', 'end'] } }, 'InvalidParameters'],
  ])('is refused %s', async (_, more, name) => {
    const { client, did } = await aService();
    await expect(client.send(send(more))).rejects.toMatchObject({ name, $metadata: { httpStatusCode: 400 } });
    expect(did).toEqual([]);
  });

  it.each([
    ['unknown_instance', 'InvalidInstanceId', 400],
    ['unknown_document', 'InvalidDocument', 400],
    ['invalid_parameters', 'InvalidParameters', 400],
    ['throttled', 'ThrottlingException', 400],
    ['denied', 'AccessDeniedException', 400],
    ['internal', 'InternalServerError', 500],
  ] as const)('is refused as the SDK knows it: %s', async (kind, name, status) => {
    const { client } = await aService([], kind);
    const refusal = { name, message: 'because', $metadata: { httpStatusCode: status } };
    await expect(client.send(send())).rejects.toMatchObject(refusal);
  });
});

describe('a command that is asked about', () => {
  const get = (more: object = {}) =>
    new GetCommandInvocationCommand({ CommandId: idOf(1), InstanceId: WORKER, ...more });

  it('tells how far it is, and its output only when it has ended', async () => {
    const { client } = await aService([aCommand({ status: 'InProgress', details: 'InProgress', startedAt: at(1) })]);
    expect(await client.send(get())).toMatchObject({
      Status: 'InProgress',
      ResponseCode: -1,
      ExecutionStartDateTime: at(1),
      ExecutionEndDateTime: '',
      StandardOutputContent: '',
    });
  });

  it.each([
    [{ status: 'Failed', details: 'Failed', responseCode: 7 }, 'failed to run commands: exit status 7'],
    [{ status: 'Failed', details: 'Failed', responseCode: -1 }, ''],
    [{ status: 'Success', details: 'Success', responseCode: 0 }, ''],
    [{ status: 'TimedOut', details: 'ExecutionTimedOut', responseCode: 137 }, ''],
  ] as const)('has at the end of the errors what the agent of SSM says of a failure: %j', async (end, words) => {
    const { client } = await aService([aCommand({ ...end, endedAt: at(9) })]);
    expect((await client.send(get())).StandardErrorContent).toBe(words);
  });

  it('shows at most 24,000 characters of what it has printed', async () => {
    const ended = { status: 'TimedOut', details: 'ExecutionTimedOut', responseCode: 137, endedAt: at(9) } as const;
    const { client } = await aService([aCommand(ended)]);
    const told = await client.send(get());
    expect(told).toMatchObject({ Status: 'TimedOut', StatusDetails: 'ExecutionTimedOut', ResponseCode: 137 });
    expect(told.StandardOutputContent).toHaveLength(24_000);
  });

  it.each([
    ['on another instance', { InstanceId: 'i-00000000000000001' }],
    ['of another id', { CommandId: idOf(2) }],
  ])('is not there %s', async (_, more) => {
    const { client } = await aService([aCommand()]);
    await expect(client.send(get(more))).rejects.toMatchObject({ name: 'InvocationDoesNotExist' });
  });
});

describe('commands that are listed', () => {
  const known = [3, 2, 1].map((number) =>
    aCommand({
      commandId: idOf(number),
      requestedAt: at(number),
      comment: `t/${number}`,
      ...(number === 3 ? { instanceId: 'i-00000000000000001' } : {}),
      ...(number === 1 ? ({ status: 'Success', details: 'Success', responseCode: 0, endedAt: at(9) } as const) : {}),
    }),
  );
  const commentsOf = (commands: { Comment?: string | undefined }[] = []) => commands.map(({ Comment }) => Comment);

  it.each([
    ['all', {}, ['t/3', 't/2', 't/1']],
    ['those of an instance', { InstanceId: WORKER }, ['t/2', 't/1']],
    ['one', { CommandId: idOf(2) }, ['t/2']],
    ['those that ended well', { Filters: [{ key: 'Status' as const, value: 'Success' }] }, ['t/1']],
    ['those since', { Filters: [{ key: 'InvokedAfter' as const, value: at(2) }] }, ['t/3', 't/2']],
    ['those before', { Filters: [{ key: 'InvokedBefore' as const, value: at(2) }] }, ['t/1']],
    ['those of a document', { Filters: [{ key: 'DocumentName' as const, value: 'other' }] }, []],
  ])('are %s', async (_, asked, comments) => {
    const { client } = await aService(known);
    expect(commentsOf((await client.send(new ListCommandsCommand(asked))).Commands)).toEqual(comments);
    const { CommandInvocations } = await client.send(new ListCommandInvocationsCommand(asked));
    expect(commentsOf(CommandInvocations)).toEqual(comments);
  });

  it('come in pages', async () => {
    const { client } = await aService(known);
    const first = await client.send(new ListCommandsCommand({ MaxResults: 2 }));
    const { NextToken } = first;
    const second = await client.send(new ListCommandsCommand({ MaxResults: 2, ...(NextToken ? { NextToken } : {}) }));
    expect([...commentsOf(first.Commands), ...commentsOf(second.Commands)]).toEqual(['t/3', 't/2', 't/1']);
    expect(second.NextToken).toBeUndefined();
  });

  it('say with details what their script exited with', async () => {
    const { client } = await aService(known);
    const asked = { CommandId: idOf(1), Details: true };
    const { CommandInvocations } = await client.send(new ListCommandInvocationsCommand(asked));
    expect(CommandInvocations?.[0]?.CommandPlugins).toMatchObject([{ ResponseCode: 0, Status: 'Success' }]);
  });
});

describe('a command that is cancelled', () => {
  it('is asked to end', async () => {
    const { client, did } = await aService([aCommand()]);
    await client.send(new CancelCommandCommand({ CommandId: idOf(1), InstanceIds: [WORKER] }));
    expect(did).toEqual([idOf(1)]);
  });

  it('on an instance that it is not for is refused', async () => {
    const { client, did } = await aService([aCommand()]);
    const command = new CancelCommandCommand({ CommandId: idOf(1), InstanceIds: ['i-00000000000000001'] });
    await expect(client.send(command)).rejects.toMatchObject({ name: 'InvalidInstanceId' });
    expect(did).toEqual([]);
  });

  it('must be there', async () => {
    const { client } = await aService([], 'unknown_command');
    const command = new CancelCommandCommand({ CommandId: idOf(1) });
    await expect(client.send(command)).rejects.toMatchObject({ name: 'InvalidCommandId' });
  });
});
