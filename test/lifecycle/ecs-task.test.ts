import { describe, expect, it } from '@jest/globals';
import { type EcsTaskStateChangeDetail, ecsTaskStateChangeDetail } from '../../events/aws/ecs-task-state-change.ts';
import { STOP_CODES, STOP_WORDS } from '../../lifecycle/ecs-stop.ts';
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

const OUT_OF_MEMORY = 'OutOfMemoryError: Container killed due to memory usage';
/** The container that GuardDuty puts beside others, as ECS shows it. */
const guard = { name: 'aws-guardduty-agent-AbCd', cpu: 'null', lastStatus: 'STOPPED' };

/** What ECS says of a task that failed to start → reason. Sentences: Amazon ECS developer guide, and what people report. */
const failedToStart = Object.entries({
  'Capacity is unavailable at this time. Please try again later or in a different availability zone': 'no_capacity',
  'SpotInterruptionError: Your Spot Task was interrupted.': 'spot_interrupted',
  'CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref x:1: not found':
    'image_unavailable',
  'CannotPullContainer: The task cannot pull x from the registry. There is a connection issue.': 'image_unavailable',
  'ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: AccessDeniedException':
    'image_unavailable',
  'ResourceInitializationError: Unable to pull secrets or registry auth: The task cannot pull registry auth from Amazon ECR: There is a connection issue. Check your network configuration.':
    'image_unavailable',
  "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't find the specified secret.":
    'secret_unavailable',
  'ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secrets from ssm: AccessDeniedException':
    'secret_unavailable',
  "ResourceInitializationError: unable to pull secrets or registry auth: The task can't retrieve it. Check your network configuration.":
    'secret_unavailable',
  'ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Failed to resolve "fs-1.efs.eu-west-1.amazonaws.com"':
    'files_unavailable',
  'ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: mount.nfs4: access denied by server : unsuccessful EFS utils command execution; code: 32':
    'files_unavailable',
  'CannotCreateVolumeError: mount option is not known': 'files_unavailable',
  'ResourceInitializationError: failed to configure ENI: failed to setup regular eni': 'network_unavailable',
  'ResourceInitializationError: failed to validate logger args: There is a connection issue between the task and Amazon CloudWatch. Check your network configuration.':
    'network_unavailable',
  'Timeout waiting for network interface provisioning to complete.': 'network_unavailable',
  'Unexpected EC2 error while attempting to create Network Interface in subnet subnet-1: InsufficientFreeAddressesInSubnet':
    'network_unavailable',
  'ResourceInitializationError: failed to initialize logging driver: the log group does not exist': 'never_started',
  'ResourceNotFoundException: something that the task needs is gone': 'never_started',
  'CannotStartContainerError: exec: "runner": executable file not found in $PATH': 'never_started',
  'Timeout waiting for EphemeralStorage provisioning to complete.': 'back_end_failed',
  'ContainerRuntimeError: failed to create the container': 'back_end_failed',
  'ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 3m0s': 'back_end_failed',
  'CannotStopContainerError: it does not answer': 'back_end_failed',
  'InternalError: it is us': 'back_end_failed',
  // Words of other rows in the names of roles, programs and paths.
  "ECS was unable to assume the role 'arn:aws:iam::000000000000:role/efs-secrets' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.":
    'role_unavailable',
  'CannotStartContainerError: failed to start: exec "/opt/efs/run": permission denied': 'never_started',
  'CannotStartContainerError: failed to start: exec "/opt/eni/attach ENI": no such file': 'never_started',
  'CannotStartContainerError: failed to start: exec "/get-secrets from": no such file': 'never_started',
  'ResourceInitializationError: failed to initialize logging driver: the log group /efs/eni does not exist':
    'never_started',
}).map(([stoppedReason, code]): [string, Fields, string] => [
  `failed to start: ${stoppedReason}`,
  stopped('TaskFailedToStart', [], { stoppedReason }),
  `ended lost ${code}`,
]);

/** What ECS says where it gives no stop code: the words outweigh the exit code as the code would. */
const withoutStopCode = Object.entries({
  'Host EC2 (instance i-0123) terminated.': 'lost 137 host_lost',
  'Container instance deregistration forced by user': 'lost 137 host_lost',
  'Your Spot Task was interrupted.': 'lost 137 spot_interrupted',
  'Task stopped by (arn:aws:iam::000000000000:user/ada)': 'stopped 137 stopped_outside',
  'Task failed container health checks': 'stopped 137 stopped_outside',
  'Task failed ELB health checks in (target-group x)': 'stopped 137 stopped_outside',
}).map(([stoppedReason, expected]): [string, Fields, string] => [
  `no stop code: ${stoppedReason}`,
  stopped(undefined, [agent(137)], { stoppedReason }),
  `ended ${expected}`,
]);

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
  [
    'three sidecars, each with its own end',
    stopped('EssentialContainerExited', [guard, { name: 'log_router', exitCode: 1 }, agent(0), { name: 'otel' }]),
    'ended exited 0 runner_failed',
  ],
  [
    'two containers named agent',
    stopped('EssentialContainerExited', [agent(0), agent(3)]),
    'ended exited 0 runner_failed, 2 containers are named "agent"',
  ],
  // A16: no exit code means it never ran, whatever the others say.
  [
    'a good sidecar, agent without exit code',
    stopped('EssentialContainerExited', [sidecar(0), agent()]),
    'ended lost never_started',
  ],
  [
    'a good sidecar and no agent',
    stopped('EssentialContainerExited', [sidecar(0)]),
    'ended lost never_started, no container is named "agent"',
  ],
  ['failed to start, no containers', stopped('TaskFailedToStart', []), 'ended lost never_started'],
  [
    'failed to start, containers not told',
    { ...stopped('TaskFailedToStart', []), containers: undefined } as Fields,
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
    'ended lost never_started, no container is named "agent"',
  ],
  [
    'DELETED and nothing told',
    { ...stopped(undefined, []), lastStatus: 'DELETED' },
    'ended lost unknown_stop, no stopCode',
  ],

  // F3, A17: why it stopped outweighs how the process took it.
  ['stopped by somebody, exit 143', stopped('UserInitiated', [agent(143)]), 'ended stopped 143 stopped_outside'],
  ['stopped by somebody before it ran', stopped('UserInitiated', [agent()]), 'ended stopped stopped_outside'],
  ['Spot taken back, exit 137', stopped('SpotInterruption', [agent(137)]), 'ended lost 137 spot_interrupted'],
  ['Spot taken back, exit 0', stopped('SpotInterruption', [agent(0)]), 'ended lost 0 spot_interrupted'],
  ['host terminated', stopped('TerminationNotice', [agent()]), 'ended lost host_lost'],
  ['host unhealthy', stopped('InfrastructureHealth', [agent(137)]), 'ended lost 137 host_lost'],
  ['stopped by a service', stopped('ServiceSchedulerInitiated', [agent(143)]), 'ended stopped 143 stopped_outside'],

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
  [
    'stopped by somebody who writes like ECS',
    stopped('UserInitiated', [agent(137)], { stoppedReason: 'OutOfMemoryError, CannotPullContainerError' }),
    'ended stopped 137 stopped_outside',
  ],
  [
    'stopped by somebody who has a category of his own',
    stopped('UserInitiated', [agent(143)], { stoppedReason: 'PatienceError: it took too long' }),
    'ended stopped 143 stopped_outside',
  ],
  [
    'Spot taken back while memory was short',
    stopped('SpotInterruption', [agent(137, OUT_OF_MEMORY)]),
    'ended lost 137 spot_interrupted',
  ],

  // The words of ECS, where its stop code does not tell enough.
  ...failedToStart,
  [
    'failed to start for the image of a sidecar',
    stopped('TaskFailedToStart', [agent(), { ...guard, reason: 'CannotPullContainerError: pull access denied' }]),
    'ended lost image_unavailable',
  ],
  [
    'failed to start beside sidecars that are named like words of ECS',
    stopped('TaskFailedToStart', [
      agent(),
      { name: 'elasticfilesystem-proxy', exitCode: 1 },
      { name: 'InternalError', reason: 'it gave up' },
    ]),
    'ended lost never_started',
  ],
  [
    'failed to start in a new way',
    stopped('TaskFailedToStart', [agent()], { stoppedReason: 'QuantumError: it is and it is not' }),
    'ended lost never_started, unknown category "QuantumError"',
  ],
  [
    'not started, and no stop code',
    stopped(undefined, [], { stoppedReason: 'CannotPullContainerError: not found' }),
    'ended lost image_unavailable',
  ],
  [
    'a new stop code with known words',
    stopped('QuantumFlip', [], { stoppedReason: 'CannotPullContainerError: not found' }),
    'ended lost image_unavailable, unknown stopCode "QuantumFlip"',
  ],
  ['out of memory', stopped('EssentialContainerExited', [agent(137, OUT_OF_MEMORY)]), 'ended lost 137 out_of_memory'],
  [
    'out of memory, told of the task',
    stopped('EssentialContainerExited', [agent(137)], { stoppedReason: OUT_OF_MEMORY }),
    'ended lost 137 out_of_memory',
  ],
  [
    'out of memory before it ran',
    stopped('TaskFailedToStart', [agent(undefined, OUT_OF_MEMORY)]),
    'ended lost out_of_memory',
  ],
  [
    'a process below the runner was out of memory, exit 0',
    stopped('EssentialContainerExited', [agent(0, OUT_OF_MEMORY)]),
    'ended exited 0 runner_failed',
  ],
  [
    'a sidecar out of memory takes the agent with it',
    stopped('EssentialContainerExited', [{ ...guard, exitCode: 137, reason: OUT_OF_MEMORY }, agent(143)]),
    'ended exited 143 runner_failed',
  ],
  [
    'the image of a sidecar gone, yet the agent exited with 3',
    stopped('EssentialContainerExited', [agent(3), { ...guard, reason: 'CannotPullContainerError' }]),
    'ended exited 3 runner_failed',
  ],
  [
    'a sidecar that talks of Spot, yet the agent exited with 0',
    stopped('EssentialContainerExited', [{ ...guard, reason: 'Your Spot Task was interrupted.' }, agent(0)]),
    'ended exited 0 runner_failed',
  ],
  [
    'its exit code cannot be read',
    stopped('EssentialContainerExited', [agent(undefined, 'CannotInspectContainerError: timed out')]),
    'ended lost back_end_failed',
  ],
  ...withoutStopCode,

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
  ['no stop code, no exit code', stopped(undefined, [agent()]), 'ended lost unknown_stop, no stopCode'],
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

  it.each(STOP_WORDS.map(({ says, code }) => [says, code] as const))('has a row that %s decides', (says, code) => {
    const decided = decisions.filter(([, { stoppedReason = '', containers = [] }]) => {
      const told = [stoppedReason, ...containers.map(({ reason }) => reason ?? '')];
      return STOP_WORDS.find((row) => told.some((text) => row.says.test(text)))?.says === says;
    });
    expect(decided.map(([, , expected]) => expected.split(/[ ,]+/))).toContainEqual(expect.arrayContaining([code]));
  });

  it.each(Object.keys(STOP_CODES))('has a row for the stop code %s', (stopCode) => {
    expect(decisions.some(([, fields]) => fields.stopCode === stopCode)).toBe(true);
  });

  it('tells a person what stood beside an agent that something ended from outside', () => {
    const told = (agentEnd: ReturnType<typeof agent>) =>
      readEcsTask(
        anEcsTask(
          stopped('EssentialContainerExited', [
            { name: 'log_router', exitCode: 1 },
            { ...guard, reason: OUT_OF_MEMORY },
            agentEnd,
          ]),
        ),
      ).observation?.end?.reason.message;
    const beside = `log_router exited with 1; aws-guardduty-agent-AbCd: ${OUT_OF_MEMORY}`;
    expect(told(agent(143))).toBe(`Essential container in task exited; ${beside}`);
    expect(told(agent())).toBe(`Essential container in task exited; ${beside}`);
    expect(told(agent(3))).toBe('Essential container in task exited');
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
