import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { payloadRef } from '../../runtime/payloads.ts';
import { nativeIdOf, runHandle } from '../../schemas/run-handle.ts';
import {
  COMMENT_MAX_CHARS,
  commandParameters,
  commentOf,
  documentParameters,
  type Ec2Handle,
  NO_PAYLOAD,
  parseComment,
  parseWorkerRunId,
  workerRunId,
} from '../../schemas/ssm-command.ts';
import { aTaskId } from '../builders.ts';

const taskId = aTaskId();
const run = {
  action: 'run',
  taskId,
  attempt: '1',
  payload: payloadRef('secret', taskId, 'the input'),
  executionTimeout: '3600',
};

describe('the parameters of the document', () => {
  it('take a run, and the end of one', () => {
    expect(commandParameters.safeParse(run).success).toBe(true);
    expect(commandParameters.safeParse({ ...run, action: 'end', payload: NO_PAYLOAD }).success).toBe(true);
  });

  // B11, B12
  it('let nothing through that a shell reads otherwise than as letters', () => {
    const harmless = /^[A-Za-z0-9._-]+$/;
    const name = fc.constantFrom(...(Object.keys(documentParameters) as (keyof typeof documentParameters)[]));
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        "'; reboot '",
        '$(id)',
        '`id`',
        'a\nb',
        '1\n',
        '-\n',
        '{{ssm:secret}}',
        '{{ payload }}',
        '$IFS',
        '\\',
        '"',
      ),
    );
    void fc.assert(
      fc.property(name, hostile, fc.boolean(), (field, text, behind) => {
        const value = behind ? `${run[field]}${text}` : text;
        if (commandParameters.safeParse({ ...run, [field]: value }).success) expect(value).toMatch(harmless);
      }),
    );
  });

  it.each([...Object.keys(documentParameters)])('must have %s', (field) => {
    const { [field]: _gone, ...rest } = run as Record<string, string>;
    expect(commandParameters.safeParse(rest).success).toBe(false);
    expect(commandParameters.safeParse({ ...run, [field]: '' }).success).toBe(false);
  });

  it('are no others', () => {
    expect(commandParameters.safeParse({ ...run, commands: 'reboot' }).success).toBe(false);
  });
});

describe('the native identity of a run on a worker', () => {
  const owner = { taskId, attempt: 12 };

  it('says where it is and whose, and that of a run elsewhere says nothing', () => {
    expect(parseWorkerRunId(workerRunId({ instanceId: 'i-0abcdef1', ...owner }))).toEqual({
      instanceId: 'i-0abcdef1',
      owner,
    });
    for (const other of [undefined, '', 'arn:aws:ecs:x:1:task/c/t', `x/${taskId}/1`, `i-0abcdef1/${taskId}/0`]) {
      expect(parseWorkerRunId(other)).toBeUndefined();
    }
  });
});

describe('the comment of a command', () => {
  const longest = { taskId, attempt: 999_999 };

  it.each(['run', 'end'] as const)('says whose it is, and that it is to %s', (action) => {
    expect(parseComment(commentOf(action, longest))).toEqual({ action, owner: longest });
    expect(commentOf(action, longest).length).toBeLessThanOrEqual(COMMENT_MAX_CHARS);
  });

  it('of others means nothing', () => {
    for (const other of [undefined, '', 'patch', `${taskId}/0`, `${taskId}/1 `, `x${taskId}/1`, `stop ${taskId}/1`]) {
      expect(parseComment(other)).toBeUndefined();
    }
  });
});

// A2
describe('the handle of a run on a worker', () => {
  const handle: Ec2Handle = {
    backend: 'ec2',
    fleet: 'builders',
    instanceId: 'i-0abcdef1234567890',
    region: 'eu-west-1',
    taskId,
    attempt: 2,
    commandId: 'c-1',
  };

  it('survives a JSON round trip, whole', () => {
    expect(runHandle.parse(JSON.parse(JSON.stringify(handle)))).toEqual(handle);
  });

  it('names who claims before its command has an id, and never two attempts alike', () => {
    const { commandId: _unknown, ...planned } = handle;
    expect(nativeIdOf(planned)).toBe(nativeIdOf(handle));
    expect(nativeIdOf({ ...handle, attempt: 3 })).not.toBe(nativeIdOf(handle));
    expect(nativeIdOf({ ...handle, instanceId: 'i-0abcdef1234567891' })).not.toBe(nativeIdOf(handle));
  });

  it.each(['fleet', 'instanceId', 'region', 'taskId', 'attempt'])('without %s is refused', (field) => {
    const { [field]: _gone, ...rest } = handle as Record<string, unknown>;
    expect(runHandle.safeParse(rest).success).toBe(false);
  });
});
