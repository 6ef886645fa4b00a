import { SSMClient } from '@aws-sdk/client-ssm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ssmCommands } from '../../../runtime/aws/ssm-commands.ts';
import type { CommandService, CommandToSend } from '../../../runtime/command-service.ts';
import { payloadRef } from '../../../runtime/payloads.ts';
import { aTaskId, at } from '../../builders.ts';
import { type AwsStub, awsStub } from './aws-stub.ts';
import { aWire, clientConfig } from './wire.ts';

const WORKER = 'i-0abcdef1234567890';
const taskId = aTaskId();
const command: CommandToSend = {
  instanceId: WORKER,
  parameters: {
    action: 'run',
    taskId,
    attempt: '1',
    payload: payloadRef('secret', taskId, 'input'),
    executionTimeout: '3600',
  },
  comment: `${taskId}/1`,
  deliverySeconds: 120,
};

let stub: AwsStub;
let clients: SSMClient[];
let commands: CommandService;
beforeEach(async () => {
  stub = await awsStub();
  const client = new SSMClient({ ...clientConfig(stub.url), maxAttempts: 3 });
  const sender = new SSMClient({ ...clientConfig(stub.url), maxAttempts: 1 });
  clients = [client, sender];
  commands = ssmCommands({ client, sender, document: 'baton-run', logGroup: '/baton/hosts' });
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  await stub.close();
});
const fails = (name: string, status = 400) => ({ fails: name, status });
const made = (operation: string) => stub.calls.filter((call) => call.operation === operation).map(({ input }) => input);

describe('sending a command', () => {
  it("names the fleet's own document, one worker, and the parameters; whose it is stands in the comment", async () => {
    stub.answer('SendCommand', () => ({ Command: { CommandId: 'c-1' } }));
    expect(await commands.send(command)).toBe('c-1');
    expect(made('SendCommand')).toEqual([
      {
        DocumentName: 'baton-run',
        InstanceIds: [WORKER],
        Parameters: Object.fromEntries(Object.entries(command.parameters).map(([name, value]) => [name, [value]])),
        Comment: `${taskId}/1`,
        TimeoutSeconds: 120,
        CloudWatchOutputConfig: { CloudWatchOutputEnabled: true, CloudWatchLogGroupName: '/baton/hosts' },
      },
    ]);
  });

  // B4: there is no token, so only what surely sent nothing is repeated.
  it.each([
    ['InternalServerError', 500, 'unavailable', true],
    ['InvalidInstanceId', 400, 'gone', false],
    ['InvalidDocument', 400, 'refused', false],
    ['InvalidParameters', 400, 'refused', false],
    ['UnsupportedPlatformType', 400, 'refused', false],
    ['AccessDeniedException', 400, 'denied', false],
  ])('that fails with %s (%i) is tried once, and is "%s"', async (name, status, fault, unheard) => {
    stub.answer('SendCommand', () => fails(name, status));
    await expect(commands.send(command)).rejects.toMatchObject({ fault, unheard });
    expect(made('SendCommand')).toHaveLength(1);
  });

  // F15
  it('whose answer is lost is not sent again: it may run by now', async () => {
    const wire = await aWire(() => 'hang up');
    const [client, sender] = [3, 1].map((maxAttempts) => new SSMClient({ ...wire.client, maxAttempts }));
    if (!client || !sender) throw new Error('no client');
    clients.push(client, sender);
    const alone = ssmCommands({ client, sender, document: 'baton-run' });
    await expect(alone.send(command)).rejects.toMatchObject({ fault: 'unavailable', unheard: true });
    expect(wire.calls).toHaveLength(1);
  });

  it('that is turned away for too many calls is sent again, so often and no more', async () => {
    let times = 0;
    stub.answer('SendCommand', () => (++times < 3 ? fails('ThrottlingException') : { Command: { CommandId: 'c-3' } }));
    expect(await commands.send(command)).toBe('c-3');
    stub.answer('SendCommand', () => fails('ThrottlingException'));
    await expect(commands.send(command)).rejects.toMatchObject({ fault: 'throttled', unheard: false });
    expect(made('SendCommand')).toHaveLength(3 + 4);
  });

  it('without an id in the answer is a command of which nobody knows', async () => {
    stub.answer('SendCommand', () => ({}));
    await expect(commands.send(command)).rejects.toMatchObject({ fault: 'unavailable', unheard: true });
  });
});

describe('asking about a command', () => {
  it('tells the status, both ways, what the host exited with, and the end of what it said', async () => {
    stub.answer('GetCommandInvocation', () => ({
      Status: 'TimedOut',
      StatusDetails: 'Delivery Timed Out',
      ResponseCode: -1,
      StandardOutputContent: `${'x'.repeat(1_000)} the end\n`,
      StandardErrorContent: 'failed to run commands: exit status 1',
    }));
    const answer = await commands.get('c-1', WORKER);
    expect(answer).toMatchObject({
      commandId: 'c-1',
      status: 'TimedOut',
      statusDetails: 'Delivery Timed Out',
      exitCode: -1,
    });
    expect(answer?.output).toMatch(/the end$/);
    expect(answer?.output?.length).toBeLessThanOrEqual(300);
    expect(made('GetCommandInvocation')).toEqual([{ CommandId: 'c-1', InstanceId: WORKER }]);
  });

  // B19
  it.each(['InvocationDoesNotExist', 'InvalidCommandId'])('that is not known (%s) finds nothing', async (name) => {
    stub.answer('GetCommandInvocation', () => fails(name));
    expect(await commands.get('c-1', WORKER)).toBeUndefined();
  });

  it('tries again when it may pass, and says what did not', async () => {
    let times = 0;
    stub.answer('GetCommandInvocation', () =>
      ++times < 2 ? fails('InternalServerError', 500) : { Status: 'Success' },
    );
    expect(await commands.get('c-1', WORKER)).toEqual({ commandId: 'c-1', status: 'Success' });
    stub.answer('GetCommandInvocation', () => fails('AccessDeniedException'));
    await expect(commands.get('c-1', WORKER)).rejects.toMatchObject({ code: 'compute_denied' });
  });
});

describe('looking for commands', () => {
  it('of a worker reads all pages since a time, of the document alone', async () => {
    stub.answer('ListCommands', ({ NextToken }) =>
      NextToken === 'more'
        ? { Commands: [{ CommandId: 'c-1', Comment: 'one' }] }
        : { Commands: [{ CommandId: 'c-2' }], NextToken: 'more' },
    );
    expect(await commands.listed(WORKER, at(61))).toEqual([{ commandId: 'c-2' }, { commandId: 'c-1', comment: 'one' }]);
    expect(made('ListCommands')[0]).toEqual({
      InstanceId: WORKER,
      MaxResults: 50,
      Filters: [
        { key: 'InvokedAfter', value: '2026-01-01T00:01:01Z' },
        { key: 'DocumentName', value: 'baton-run' },
      ],
    });
  });

  it('does not go on for ever', async () => {
    stub.answer('ListCommands', () => ({ Commands: [], NextToken: 'more' }));
    await expect(commands.listed(WORKER, at(0))).rejects.toMatchObject({ code: 'compute_invalid' });
    expect(made('ListCommands')).toHaveLength(10);
  });

  it('of a machine or an id that is not known finds none', async () => {
    stub.answer('ListCommands', () => fails('InvalidInstanceId'));
    expect(await commands.listed(WORKER, at(0))).toEqual([]);
    stub.answer('ListCommands', () => fails('InvalidCommandId'));
    expect(await commands.found('c-1')).toBeUndefined();
  });

  it('by its id asks for that one', async () => {
    stub.answer('ListCommands', () => ({ Commands: [{ CommandId: 'c-1', Comment: 'one' }] }));
    expect(await commands.found('c-1')).toEqual({ commandId: 'c-1', comment: 'one' });
    expect(made('ListCommands')).toEqual([{ CommandId: 'c-1', MaxResults: 50 }]);
  });
});

// A23
describe('cancelling a command', () => {
  it('is for one worker', async () => {
    stub.answer('CancelCommand', () => ({}));
    await commands.cancel('c-1', WORKER);
    expect(made('CancelCommand')).toEqual([{ CommandId: 'c-1', InstanceIds: [WORKER] }]);
  });

  it.each([
    ['InvalidCommandId', 'gone', 'compute_invalid'],
    ['InvalidInstanceId', 'gone', 'compute_invalid'],
    ['AccessDeniedException', 'denied', 'compute_denied'],
    ['ThrottlingException', 'throttled', 'compute_throttled'],
  ])('that fails with %s is "%s"', async (name, fault, code) => {
    stub.answer('CancelCommand', () => fails(name));
    await expect(commands.cancel('c-1', WORKER)).rejects.toMatchObject({ fault, error: { code } });
  });
});
