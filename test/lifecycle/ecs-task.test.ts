import { describe, expect, it } from '@jest/globals';
import { type EcsTaskStateChangeDetail, ecsTaskStateChangeDetail } from '../../events/aws/ecs-task-state-change.ts';
import { parseStartedBy, readEcsTask, startedByOf } from '../../lifecycle/ecs-task.ts';
import { aHandle, anArn, anEcsTask, aTaskId } from '../builders.ts';

type Fields = Partial<EcsTaskStateChangeDetail>;
const agent = (exitCode?: number, reason?: string) => ({
  name: 'agent',
  ...(exitCode === undefined ? {} : { exitCode }),
  ...(reason === undefined ? {} : { reason }),
});
const sidecar = (exitCode?: number) => ({
  name: 'aws-guardduty-agent',
  ...(exitCode === undefined ? {} : { exitCode }),
});
const stopped = (stopCode: string | undefined, containers: Fields['containers'], more: Fields = {}): Fields => ({
  ...anEcsTask({ lastStatus: 'STOPPED', containers, ...more }),
  stopCode,
});

/** What ECS shows (lastStatus × stopCode × exit code × containers) → phase, kind of end, exit code, reason; and what was strange about it. */
const decisions: [string, Fields, string][] = [
  // A17: before STOPPED nothing has ended.
  ['PROVISIONING', { lastStatus: 'PROVISIONING' }, 'starting'],
  ['PENDING', { lastStatus: 'PENDING' }, 'starting'],
  ['ACTIVATING', { lastStatus: 'ACTIVATING' }, 'starting'],
  ['RUNNING', { lastStatus: 'RUNNING' }, 'running'],
  ['DEACTIVATING', { lastStatus: 'DEACTIVATING' }, 'running'],
  ['STOPPING', { lastStatus: 'STOPPING' }, 'running'],
  ['DEPROVISIONING', { lastStatus: 'DEPROVISIONING' }, 'running'],
  ['RUNNING, its container already exited', { containers: [agent(0)] }, 'running'],
  ['RUNNING, its sidecar already failed', { containers: [agent(), sidecar(1)] }, 'running'],
  ['PENDING, told to stop', { lastStatus: 'PENDING', desiredStatus: 'STOPPED', stopCode: 'UserInitiated' }, 'starting'],
  ['DEPROVISIONING, its container exited', { lastStatus: 'DEPROVISIONING', containers: [agent(3)] }, 'running'],
  // F32: the warning is not the end.
  ['the Spot warning', { desiredStatus: 'STOPPED', stopCode: 'SpotInterruption' }, 'running'],
  ['a stop that was asked for, still RUNNING', { desiredStatus: 'STOPPED', stopCode: 'UserInitiated' }, 'running'],

  ['exit 0', stopped('EssentialContainerExited', [agent(0)]), 'ended exited 0 runner_failed'],
  ['exit 3', stopped('EssentialContainerExited', [agent(3)]), 'ended exited 3 runner_failed'],
  ['exit 137', stopped('EssentialContainerExited', [agent(137)]), 'ended exited 137 runner_failed'],
  [
    'DELETED with exit 0',
    { ...stopped('EssentialContainerExited', [agent(0)]), lastStatus: 'DELETED' },
    'ended exited 0 runner_failed',
  ],
  // F2: judged by the named container only.
  [
    'a failed sidecar first, exit 0',
    stopped('EssentialContainerExited', [sidecar(137), agent(0)]),
    'ended exited 0 runner_failed',
  ],
  [
    'a failed sidecar last, exit 0',
    stopped('EssentialContainerExited', [agent(0), sidecar(1)]),
    'ended exited 0 runner_failed',
  ],
  [
    'a sidecar without exit code, exit 0',
    stopped('EssentialContainerExited', [sidecar(), agent(0)]),
    'ended exited 0 runner_failed',
  ],
  [
    'a good sidecar, exit 5',
    stopped('EssentialContainerExited', [sidecar(0), agent(5)]),
    'ended exited 5 runner_failed',
  ],
  // A16: no exit code means it never ran, whatever the others say.
  [
    'a good sidecar, agent without exit code',
    stopped('EssentialContainerExited', [sidecar(0), agent()]),
    'ended lost never_started',
  ],
  ['a good sidecar and no agent', stopped('EssentialContainerExited', [sidecar(0)]), 'ended lost never_started'],
  ['failed to start, no containers', stopped('TaskFailedToStart', []), 'ended lost never_started'],
  [
    'failed to start, containers not told',
    { ...stopped('TaskFailedToStart', []), containers: undefined } as Fields,
    'ended lost never_started',
  ],
  [
    'failed to start, image not found',
    stopped('TaskFailedToStart', [agent(undefined, 'CannotPullContainerError')]),
    'ended lost never_started',
  ],

  [
    'failed to start although a sidecar ran',
    stopped('TaskFailedToStart', [sidecar(0), agent()]),
    'ended lost never_started',
  ],
  [
    'failed to start, yet its container exited',
    stopped('TaskFailedToStart', [agent(1)]),
    'ended exited 1 runner_failed',
  ],
  [
    'a container of another name exited with 0',
    stopped('EssentialContainerExited', [{ name: 'Agent', exitCode: 0 }]),
    'ended lost never_started',
  ],
  ['DELETED and nothing told', { ...stopped(undefined, []), lastStatus: 'DELETED' }, 'ended lost unknown_stop'],

  // F3, A17: why it stopped outweighs how the process took it.
  ['stopped by somebody, exit 143', stopped('UserInitiated', [agent(143)]), 'ended stopped 143 stopped_outside'],
  ['stopped by somebody before it ran', stopped('UserInitiated', [agent()]), 'ended stopped stopped_outside'],
  ['Spot taken back, exit 137', stopped('SpotInterruption', [agent(137)]), 'ended lost 137 spot_interrupted'],
  ['Spot taken back, exit 0', stopped('SpotInterruption', [agent(0)]), 'ended lost 0 spot_interrupted'],
  ['host terminated', stopped('TerminationNotice', [agent()]), 'ended lost host_lost'],
  ['host unhealthy', stopped('InfrastructureHealth', [agent(137)]), 'ended lost 137 host_lost'],
  ['stopped by a service', stopped('ServiceSchedulerInitiated', [agent(143)]), 'ended lost 143 host_lost'],

  [
    'stopped by somebody, its agent had exited with 0',
    stopped('UserInitiated', [agent(0)]),
    'ended stopped 0 stopped_outside',
  ],
  ['Spot taken back before it ran', stopped('SpotInterruption', []), 'ended lost spot_interrupted'],
  [
    'host terminated under a sidecar',
    stopped('TerminationNotice', [sidecar(0), agent(143)]),
    'ended lost 143 host_lost',
  ],

  // F29: the unknown is said, and never guessed into an end.
  [
    'a new stop code, exit 0',
    stopped('QuantumFlip', [agent(0)]),
    'ended exited 0 runner_failed, unknown stopCode "QuantumFlip"',
  ],
  [
    'a new stop code, no exit code',
    stopped('QuantumFlip', [agent()]),
    'ended lost unknown_stop, unknown stopCode "QuantumFlip"',
  ],
  ['no stop code, exit 3', stopped(undefined, [agent(3)]), 'ended exited 3 runner_failed'],
  ['no stop code, no exit code', stopped(undefined, [agent()]), 'ended lost unknown_stop'],
  ['a new status', { lastStatus: 'HIBERNATING' }, 'nothing, unknown lastStatus "HIBERNATING"'],
  ['a status in lower case', { lastStatus: 'stopped' }, 'nothing, unknown lastStatus "stopped"'],

  ["somebody else's task", { startedBy: 'ecs-svc/123' }, 'nothing, not started by Baton: startedBy "ecs-svc/123"'],
  ['a task that says no startedBy', { startedBy: undefined } as Fields, 'nothing, not started by Baton: startedBy ""'],
  ['attempt 0', { startedBy: 'baton/test/t0/0' }, 'nothing, not started by Baton: startedBy "baton/test/t0/0"'],
];

describe('reading an ECS task', () => {
  it('is a table of at least 40 cases', () => {
    expect(new Set(decisions.map(([name]) => name)).size).toBe(decisions.length);
    expect(decisions.length).toBeGreaterThanOrEqual(40);
  });

  it.each(decisions)('%s', (_, fields, expected) => {
    const { observation, remark } = readEcsTask(anEcsTask(fields));
    const { phase, end } = observation ?? {};
    const seen = phase ? [phase, end?.kind, end?.exitCode, end?.reason.code] : ['nothing'];
    expect([seen.filter((word) => word !== undefined).join(' '), remark].filter(Boolean).join(', ')).toBe(expected);
  });

  it('knows whose run it is, and all that stopping it needs', () => {
    expect(readEcsTask(anEcsTask({ version: 4 })).observation).toEqual({
      taskId: aTaskId(),
      attempt: 1,
      nativeId: anArn(),
      handle: aHandle(),
      sequence: 4,
      phase: 'running',
    });
  });

  it("tells a person what ECS told: its reason and the container's", () => {
    const detail = anEcsTask(
      stopped('TaskFailedToStart', [agent(undefined, 'pull access denied')], {
        stoppedReason: 'CannotPullContainerError',
      }),
    );
    expect(readEcsTask(detail).observation?.end?.reason.message).toBe('CannotPullContainerError; pull access denied');
  });

  it('cuts a reason without end', () => {
    const detail = anEcsTask(stopped('TaskFailedToStart', [], { stoppedReason: 'x'.repeat(5000) }));
    expect(readEcsTask(detail).observation?.end?.reason.message).toHaveLength(500);
  });

  it('does not mind fields that are new', () => {
    const parsed = ecsTaskStateChangeDetail.parse({ ...anEcsTask(), galaxy: 'far away' });
    expect(readEcsTask(parsed).observation?.phase).toBe('running');
  });
});

describe('startedBy', () => {
  it('names task and attempt, and is read back', () => {
    const startedBy = startedByOf('prod', aTaskId(), 10);
    expect(startedBy).toMatch(/^[A-Za-z0-9/_-]{1,128}$/);
    expect(parseStartedBy(startedBy)).toEqual({ stage: 'prod', taskId: aTaskId(), attempt: 10 });
  });

  it.each([
    '',
    'baton',
    'baton/prod',
    `baton/prod/${aTaskId()}`,
    `baton/prod/${aTaskId()}/1/2`,
    `other/prod/${aTaskId()}/1`,
  ])('that reads "%s" is not ours', (startedBy) => {
    expect(parseStartedBy(startedBy)).toBeUndefined();
  });
});

describe('a task of another stage of the same account', () => {
  it('is not ours, although user and key gave it the same id', () => {
    const detail = anEcsTask({ startedBy: startedByOf('dev', aTaskId(), 1), lastStatus: 'RUNNING' });
    expect(readEcsTask(detail, 'prod')).toEqual({ remark: 'of stage "dev"' });
    expect(readEcsTask(detail, 'dev').observation?.phase).toBe('running');
  });
});
