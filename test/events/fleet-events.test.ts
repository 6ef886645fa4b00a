import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { asgLaunchLifecycle, asgTerminateLifecycle } from '../../events/aws/asg-lifecycle.ts';
import { ec2InstanceState } from '../../events/aws/ec2-instance-state.ts';
import { ec2SpotWarning } from '../../events/aws/ec2-spot-warning.ts';
import { ssmCommandInvocation } from '../../events/aws/ssm-command-invocation.ts';
import type { NativeEventDefinition } from '../../events/define.ts';
import { workerBootFailed } from '../../events/worker-boot-failed.ts';
import { workerRegistered } from '../../events/worker-registered.ts';

interface Recorded {
  readonly source: string;
  readonly 'detail-type': string;
  readonly detail: Record<string, unknown>;
}
const fixture = (name: string): Recorded =>
  JSON.parse(readFileSync(new URL(`../fixtures/native/${name}.json`, import.meta.url), 'utf8')) as Recorded;

describe('an event of AWS about a fleet', () => {
  it.each<[string, NativeEventDefinition]>([
    ['ssm-command-invocation', ssmCommandInvocation],
    ['ssm-command-invocation.delivery-timed-out', ssmCommandInvocation],
    ['ec2-instance-state', ec2InstanceState],
    ['ec2-spot-warning', ec2SpotWarning],
    ['asg-terminate-lifecycle', asgTerminateLifecycle],
    ['asg-launch-lifecycle', asgLaunchLifecycle],
  ])('is read as AWS writes it, and keeps what is new to us: %s', (name, definition) => {
    const { source, 'detail-type': type, detail } = fixture(name);
    expect({ source, type }).toEqual({ source: definition.source, type: definition.type });
    const newer = { ...detail, 'new-field': { deep: [1] } };
    expect(definition.schema.parse(newer)).toEqual(newer);
  });

  it('is refused without the machine that it is about', () => {
    for (const { schema } of [ssmCommandInvocation, ec2InstanceState, ec2SpotWarning, asgLaunchLifecycle]) {
      expect(schema.safeParse({ state: 'running' }).success).toBe(false);
    }
  });
});

describe('what a machine says of itself', () => {
  it('names a fleet and a machine, and nothing else that could be taken for one', () => {
    const said = { fleet: 'builders', worker: 'i-0abcdef1234567890' };
    expect(workerRegistered.schema.safeParse(said).success).toBe(true);
    expect(workerRegistered.schema.safeParse({ ...said, worker: 'mi-0abcdef1234567890' }).success).toBe(true);
    for (const wrong of [
      { worker: 'i-1; reboot' },
      { worker: '../i-0abcdef1' },
      { fleet: 'Builders#1' },
      { fleet: '' },
    ]) {
      expect(workerRegistered.schema.safeParse({ ...said, ...wrong }).success).toBe(false);
      expect(workerBootFailed.schema.safeParse({ ...said, message: 'x', ...wrong }).success).toBe(false);
    }
  });
});
