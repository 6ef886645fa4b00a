import { ECSClient } from '@aws-sdk/client-ecs';
import { describe, expect, it } from '@jest/globals';
import type { EcsTaskStateChangeDetail } from '../../../events/aws/ecs-task-state-change.ts';
import { readEcsTask, runTagsOf, startedByOf } from '../../../lifecycle/ecs-task.ts';
import { type EcsBackendOptions, ecsBackend } from '../../../runtime/aws/ecs-backend.ts';
import type { StartEcsRun } from '../../../runtime/ports.ts';
import { aHandle, anArn, anEcsTask, aTaskId, at } from '../../builders.ts';
import { type Answer, anError, aWire, type Script, type Wire } from './wire.ts';

const CLUSTER = aHandle().clusterArn;
const OLD_CLUSTER = 'arn:aws:ecs:eu-west-1:000000000000:cluster/old';

const DEFINITION = aHandle().taskDefinitionArn;

const theRun: StartEcsRun = {
  taskId: aTaskId(),
  attempt: 1,
  startedBy: startedByOf('test', aTaskId(), 1),
  clientToken: `${aTaskId()}-1`,
  environment: { BATON_TASK_ID: aTaskId(), BATON_ATTEMPT: '1', BATON_PAYLOAD: 'ref' },
  command: ['run'],
  definition: DEFINITION,
  capacityProvider: 'FARGATE',
  tags: runTagsOf('test', aTaskId(), 1),
};

async function aBackend(script: Script, options: Partial<EcsBackendOptions> & { maxAttempts?: number } = {}) {
  const wire = await aWire(script);
  const { maxAttempts = 1, ...rest } = options;
  const warnings: string[] = [];
  const compute = ecsBackend({
    client: new ECSClient({ ...wire.client, maxAttempts }),
    cluster: CLUSTER,
    taskFamily: 'baton-test-agent',
    subnets: ['subnet-1', 'subnet-2'],
    securityGroups: ['sg-1'],
    warn: (message) => warnings.push(message),
    ...rest,
  });
  return { compute, wire, warnings };
}

/** Answers of ECS by operation. */
const answering =
  (answers: Partial<Record<'RunTask' | 'StopTask' | 'DescribeTasks' | 'ListTasks', Answer | Script>>): Script =>
  (call, nth) => {
    const answer = answers[call.operation as keyof typeof answers] ?? anError('Unscripted', call.operation);
    return typeof answer === 'function' ? answer(call, nth) : answer;
  };
const operations = (wire: Wire) => wire.calls.map(({ operation }) => operation);

/** A task as the service writes it: times are numbers of seconds. */
function onWire(detail: EcsTaskStateChangeDetail): object {
  const times = Object.entries(detail).filter(([name]) => name.endsWith('At'));
  return { ...detail, ...Object.fromEntries(times.map(([name, time]) => [name, Date.parse(String(time)) / 1000])) };
}
const shown = (...details: EcsTaskStateChangeDetail[]): Answer => ({
  body: { tasks: details.map(onWire), failures: [] },
});
const missing: Answer = { body: { tasks: [], failures: [{ arn: anArn(), reason: 'MISSING' }] } };
/** Knows these tasks as ECS does: in their clusters, lists them by what is wanted of them, describes those that are asked for. */
const ecsWith = (...details: EcsTaskStateChangeDetail[]): Script =>
  answering({
    ListTasks: ({ body }) => {
      const { cluster, desiredStatus = 'RUNNING', startedBy } = body as Record<string, string>;
      const found = details.filter((one) => one.desiredStatus === desiredStatus && one.startedBy === startedBy);
      return { body: { taskArns: found.filter((one) => one.clusterArn === cluster).map(({ taskArn }) => taskArn) } };
    },
    DescribeTasks: ({ body }) => {
      const { cluster, tasks } = body as { cluster: string; tasks: string[] };
      const known = details.filter(({ taskArn, clusterArn }) => clusterArn === cluster && tasks.includes(taskArn));
      const strange = tasks.filter((arn) => !known.some(({ taskArn }) => taskArn === arn));
      return { body: { tasks: known.map(onWire), failures: strange.map((arn) => ({ arn, reason: 'MISSING' })) } };
    },
  });

describe('a run that is started', () => {
  // A5, A6
  it('is one Fargate task of the definition that was named, without a public address, with references only', async () => {
    const { compute, wire } = await aBackend(answering({ RunTask: shown(anEcsTask()) }));
    expect(await compute.start(theRun)).toEqual({ outcome: 'started', handle: aHandle() });
    expect(wire.bodies('RunTask')).toEqual([
      {
        cluster: CLUSTER,
        // T9: never a family, whose newest revision may be another's by then.
        taskDefinition: DEFINITION,
        count: 1,
        launchType: 'FARGATE',
        clientToken: `${aTaskId()}-1`,
        startedBy: `baton/test/${aTaskId()}/1`,
        networkConfiguration: {
          awsvpcConfiguration: {
            subnets: ['subnet-1', 'subnet-2'],
            securityGroups: ['sg-1'],
            assignPublicIp: 'DISABLED',
          },
        },
        overrides: {
          containerOverrides: [
            {
              name: 'agent',
              command: ['run'],
              environment: [
                { name: 'BATON_ATTEMPT', value: '1' },
                { name: 'BATON_PAYLOAD', value: 'ref' },
                { name: 'BATON_TASK_ID', value: aTaskId() },
              ],
            },
          ],
        },
        propagateTags: 'TASK_DEFINITION',
        tags: [
          { key: 'baton:attempt', value: '1' },
          { key: 'baton:stage', value: 'test' },
          { key: 'baton:task', value: aTaskId() },
        ],
      },
    ]);
  });

  it('on Spot names the capacity provider, beside which no launch type may stand', async () => {
    const { compute, wire } = await aBackend(answering({ RunTask: shown(anEcsTask()) }));
    await compute.start({ ...theRun, capacityProvider: 'FARGATE_SPOT' });
    const [asked] = wire.bodies<object>('RunTask');
    expect(asked).toMatchObject({ capacityProviderStrategy: [{ capacityProvider: 'FARGATE_SPOT', weight: 1 }] });
    expect(asked).not.toHaveProperty('launchType');
  });

  it('has a public address where it is told to', async () => {
    const { compute, wire } = await aBackend(answering({ RunTask: shown(anEcsTask()) }), { assignPublicIp: true });
    await compute.start(theRun);
    expect(wire.calls[0]?.text).toContain('"assignPublicIp":"ENABLED"');
  });

  it.each(['FARGATE', 'FARGATE_SPOT'] as const)(
    'on %s is asked for in the same bytes at every try, whatever the order of its variables and tags',
    async (capacityProvider) => {
      const { compute, wire } = await aBackend(answering({ RunTask: shown(anEcsTask()) }));
      const backwards = (values: Readonly<Record<string, string>>) =>
        Object.fromEntries(Object.entries(values).reverse());
      const { environment, tags } = theRun;
      await compute.start({ ...theRun, capacityProvider });
      await compute.start({
        ...theRun,
        capacityProvider,
        environment: backwards(environment),
        tags: backwards(tags),
        repeats: true,
      });
      expect(wire.calls).toHaveLength(2);
      expect(wire.calls[1]?.text).toBe(wire.calls[0]?.text);
    },
  );

  it('is asked for again under the same token when the answer was lost', async () => {
    const { compute, wire } = await aBackend((_, nth) => (nth === 0 ? 'hang up' : shown(anEcsTask())), {
      maxAttempts: 2,
    });
    expect(await compute.start(theRun)).toMatchObject({ outcome: 'started' });
    expect(wire.calls).toHaveLength(2);
    expect(wire.calls[1]?.text).toBe(wire.calls[0]?.text);
  });

  it('is refused without a call when its overrides are longer than 8,192 characters', async () => {
    const { compute, wire } = await aBackend(answering({ RunTask: shown(anEcsTask()) }));
    const overrides = JSON.stringify({
      containerOverrides: [{ name: 'agent', command: ['run'], environment: [{ name: 'BIG', value: '' }] }],
    });
    const sized = (chars: number) => ({ ...theRun, environment: { BIG: 'x'.repeat(chars - overrides.length) } });
    expect(await compute.start(sized(8_192))).toMatchObject({ outcome: 'started' });
    expect(await compute.start(sized(8_193))).toEqual({
      outcome: 'refused',
      reason: { code: 'start_refused', message: 'overrides: 8193 characters, at most 8192' },
    });
    expect(wire.calls).toHaveLength(1);
  });
});

// F15
describe('a client token that was used with other parameters', () => {
  const conflict = (...resourceIds: string[]) => anError('ConflictException', 'token in use', 400, { resourceIds });

  it('has the run that it started adopted, and says so', async () => {
    const { compute, wire, warnings } = await aBackend(
      answering({ RunTask: conflict(anArn('first')), DescribeTasks: shown(anEcsTask({ taskArn: anArn('first') })) }),
    );
    expect(await compute.start(theRun)).toEqual({ outcome: 'started', handle: aHandle('first') });
    expect(wire.bodies('DescribeTasks')).toEqual([{ cluster: CLUSTER, tasks: [anArn('first')] }]);
    expect(warnings).toEqual([expect.stringContaining(`${anArn('first')}: adopted`)]);
  });

  it('starts nothing for a run of somebody else', async () => {
    const { compute } = await aBackend(
      answering({
        RunTask: conflict(anArn()),
        DescribeTasks: shown(anEcsTask({ startedBy: startedByOf('prod', aTaskId(), 1) })),
      }),
    );
    expect(await compute.start(theRun)).toMatchObject({
      outcome: 'refused',
      reason: { code: 'start_refused', message: expect.stringContaining('baton/prod/') },
    });
  });

  it('is tried again while the run cannot be seen yet', async () => {
    const { compute } = await aBackend(answering({ RunTask: conflict(anArn()), DescribeTasks: missing }));
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_unavailable', retry: 'soon' });
  });
});

describe('a start that ECS answers with 200 and no task', () => {
  const failing = (reason: string, detail?: string): Answer => ({
    body: { tasks: [], failures: [{ arn: CLUSTER, reason, detail }] },
  });

  it.each([
    ['RESOURCE:CPU', undefined],
    ['RESOURCE:ENI', undefined],
    ['Capacity is unavailable at this time. Please try again later or in a different availability zone', undefined],
    ['RESOURCE', 'Capacity is unavailable at this time.'],
  ])('is refused, since there is no capacity: %s', async (reason, detail) => {
    const { compute } = await aBackend(answering({ RunTask: failing(reason, detail) }));
    expect(await compute.start(theRun)).toMatchObject({
      outcome: 'refused',
      reason: { code: 'no_capacity', message: expect.stringContaining(reason) },
    });
  });

  it('is tried again when the agent of the host is away', async () => {
    const { compute } = await aBackend(answering({ RunTask: failing('AGENT') }));
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_unavailable', retry: 'soon' });
  });

  it.each(['MemberOf placement constraint unsatisfied.', 'ATTRIBUTE', 'LOCATION', 'something new'])(
    'is refused in its own words: %s',
    async (reason) => {
      const { compute } = await aBackend(answering({ RunTask: failing(reason, 'why') }));
      expect(await compute.start(theRun)).toEqual({
        outcome: 'refused',
        reason: { code: 'start_refused', message: `${CLUSTER}: ${reason}: why` },
      });
    },
  );

  it.each([
    ['nothing at all', { tasks: [], failures: [] }],
    ['two tasks', { tasks: [onWire(anEcsTask()), onWire(anEcsTask({ taskArn: anArn('2') }))], failures: [] }],
    ['a task without a name', { tasks: [{ lastStatus: 'PROVISIONING' }], failures: [] }],
  ])('is never taken for a start: %s', async (_, body) => {
    const { compute } = await aBackend(answering({ RunTask: { body } }));
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_unavailable' });
  });
});

describe('a start that fails', () => {
  it.each([
    ['ThrottlingException', 400, 'Rate exceeded', 'start_throttled'],
    ['AccessDeniedException', 400, 'not allowed to ecs:RunTask', 'start_refused'],
    ['ClientException', 400, "You've reached the limit on the number of tasks you can run", 'no_capacity'],
    ['ThrottlingException', 400, "You've reached the limit on the number of vCPUs you can run", 'no_capacity'],
    ['ClientException', 400, 'Provisioning capacity limit exceeded.', 'no_capacity'],
    ['ServerException', 500, 'Capacity is unavailable at this time.', 'no_capacity'],
  ])('and started nothing is refused, with a reason of its own: %s %i %s', async (name, status, message, code) => {
    const { compute } = await aBackend(answering({ RunTask: anError(name, message, status) }));
    expect(await compute.start(theRun)).toEqual({
      outcome: 'refused',
      reason: { code, message: `ECS RunTask: ${name}: ${message}` },
    });
  });

  // A23
  it('since it is not allowed says so loudly, with its code and what to do', async () => {
    const told: unknown[] = [];
    const { compute } = await aBackend(answering({ RunTask: anError('AccessDeniedException', 'not you') }), {
      failed: (error) => told.push(error),
    });
    await compute.start(theRun);
    expect(told).toMatchObject([
      {
        code: 'compute_denied',
        message: 'ECS RunTask: AccessDeniedException: not you',
        remedy: 'Give the role the action that the message names.',
      },
    ]);
  });

  it('in a way that does not tell what it did throws', async () => {
    const { compute } = await aBackend(answering({ RunTask: anError('ServerException', '', 500) }));
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_unavailable', retry: 'soon' });
  });

  // X8: what turns a call away says nothing of an earlier one, which may have started the run.
  it.each([
    ['ThrottlingException', 'compute_throttled', 'soon'],
    ['AccessDeniedException', 'compute_denied', 'never'],
    ['InvalidParameterException', 'compute_invalid', 'never'],
    ['LimitExceededException', 'compute_throttled', 'soon'],
  ])('with %s when it is repeated throws', async (name, code, retry) => {
    const { compute } = await aBackend(answering({ RunTask: anError(name, 'because') }));
    await expect(compute.start({ ...theRun, repeats: true })).rejects.toMatchObject({ code, retry });
  });

  it('for want of a quota when it is repeated throws: the run that it may have started may have taken the last of it', async () => {
    const told = anError('ClientException', "You've reached the limit on the number of tasks you can run");
    const { compute } = await aBackend(answering({ RunTask: told }));
    await expect(compute.start({ ...theRun, repeats: true })).rejects.toMatchObject({ code: 'compute_capacity' });
  });

  it('that found no room when it is repeated is refused: whoever looks for room has looked for the token', async () => {
    const noRoom = { body: { tasks: [], failures: [{ arn: CLUSTER, reason: 'RESOURCE:CPU' }] } };
    const { compute } = await aBackend(answering({ RunTask: noRoom }));
    expect(await compute.start({ ...theRun, repeats: true })).toMatchObject({ reason: { code: 'no_capacity' } });
  });

  it.each([
    ['an answer that was lost', 'hang up' as const],
    ['an error of ECS itself', anError('ServerException', '', 500)],
  ])('after %s is no refusal, whatever the SDK was told last', async (_, first) => {
    const script: Script = (_call, nth) => (nth === 0 ? first : anError('ThrottlingException', 'Rate exceeded'));
    const { compute, wire } = await aBackend(script, { maxAttempts: 3 });
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_throttled' });
    expect(wire.calls).toHaveLength(3);
  });

  it('after the SDK was turned away every time is refused', async () => {
    const { compute, wire } = await aBackend(() => anError('ThrottlingException', 'Rate exceeded'), { maxAttempts: 2 });
    expect(await compute.start(theRun)).toMatchObject({ outcome: 'refused', reason: { code: 'start_throttled' } });
    expect(wire.calls).toHaveLength(2);
  });

  it('without an answer throws, since nobody knows', async () => {
    const { compute } = await aBackend(answering({ RunTask: 'hang up' }));
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_unavailable', retry: 'soon' });
  });

  it.each([
    'InvalidParameterException',
    'ClientException',
    'ClusterNotFoundException',
    'PlatformUnknownException',
    'PlatformTaskDefinitionIncompatibilityException',
    'UnsupportedFeatureException',
    'BlockedException',
  ])('for good is refused: %s', async (name) => {
    const { compute } = await aBackend(answering({ RunTask: anError(name, 'because') }));
    expect(await compute.start(theRun)).toEqual({
      outcome: 'refused',
      reason: { code: 'start_refused', message: `ECS RunTask: ${name}: because` },
    });
  });

  // T9
  it('since the definition is not active any more is refused in the words of ECS', async () => {
    const { compute } = await aBackend(
      answering({ RunTask: anError('ClientException', 'TaskDefinition is inactive') }),
    );
    expect(await compute.start(theRun)).toEqual({
      outcome: 'refused',
      reason: { code: 'start_refused', message: 'ECS RunTask: ClientException: TaskDefinition is inactive' },
    });
  });

  it('for want of a capacity provider is refused, and says what to do', async () => {
    const told =
      'The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster.';
    const { compute } = await aBackend(answering({ RunTask: anError('InvalidParameterException', told) }));
    expect(await compute.start({ ...theRun, capacityProvider: 'FARGATE_SPOT' })).toEqual({
      outcome: 'refused',
      reason: {
        code: 'start_refused',
        message: `ECS RunTask: InvalidParameterException: ${told} Deploy the infrastructure again, which gives the cluster FARGATE and FARGATE_SPOT, or configure the capacity "on-demand".`,
      },
    });
  });
});

describe('a run that is stopped', () => {
  const handle = { ...aHandle(), clusterArn: OLD_CLUSTER };

  // A20
  it('is stopped by its own handle, whatever cluster is configured now', async () => {
    const { compute, wire } = await aBackend(answering({ StopTask: { body: { task: onWire(anEcsTask()) } } }));
    expect(await compute.stop(handle, 'cancelled')).toBe('stopping');
    expect(wire.bodies('StopTask')).toEqual([{ cluster: OLD_CLUSTER, task: anArn(), reason: 'cancelled' }]);
  });

  it('is stopped with a reason that is not too long', async () => {
    const { compute, wire } = await aBackend(answering({ StopTask: { body: { task: onWire(anEcsTask()) } } }));
    await compute.stop(handle, 'x'.repeat(500));
    expect(wire.bodies<{ reason: string }>('StopTask')[0]?.reason).toHaveLength(255);
  });

  it('has ended already when ECS says so', async () => {
    const stopped = onWire(anEcsTask({ lastStatus: 'STOPPED' }));
    const { compute } = await aBackend(answering({ StopTask: { body: { task: stopped } } }));
    expect(await compute.stop(handle, 'cancelled')).toBe('already_ended');
  });

  // A23
  it.each(['InvalidParameterException', 'ClientException'])('%s is looked into', async (name) => {
    const refused = anError(name, 'The referenced task was not found.');
    const stopping = async (described: Answer) => {
      const { compute, wire } = await aBackend(answering({ StopTask: refused, DescribeTasks: described }));
      const outcome = await compute.stop(handle, 'cancelled').catch((error) => error.code);
      expect(wire.bodies('DescribeTasks')).toEqual([{ cluster: OLD_CLUSTER, tasks: [anArn()] }]);
      return outcome;
    };
    expect(await stopping(shown(anEcsTask({ lastStatus: 'STOPPED' })))).toBe('already_ended');
    expect(await stopping(missing)).toBe('not_found');
    expect(await stopping(anError('ClusterNotFoundException'))).toBe('not_found');
    expect(await stopping(shown(anEcsTask()))).toBe('compute_invalid');
    expect(await stopping(anError('ThrottlingException'))).toBe('compute_throttled');
  });

  it('is not found when its cluster is gone', async () => {
    const { compute } = await aBackend(answering({ StopTask: anError('ClusterNotFoundException') }));
    expect(await compute.stop(handle, 'cancelled')).toBe('not_found');
  });

  it.each([
    ['ThrottlingException', 400, 'compute_throttled', 'soon'],
    ['ServiceUnavailable', 503, 'compute_unavailable', 'soon'],
    ['ServerException', 500, 'compute_unavailable', 'soon'],
    ['AccessDeniedException', 400, 'compute_denied', 'never'],
    ['SomethingNew', 400, 'compute_invalid', 'never'],
  ])('%s %i is an error, never an answer', async (name, status, code, retry) => {
    const { compute } = await aBackend(answering({ StopTask: anError(name, '', status) }));
    await expect(compute.stop(handle, 'cancelled')).rejects.toMatchObject({ code, retry });
  });
});

describe('asking about a run', () => {
  const question = { startedBy: theRun.startedBy };
  const aTaskWith = (name: string, fields: Partial<EcsTaskStateChangeDetail> = {}) =>
    anEcsTask({ taskArn: anArn(name), ...fields });

  it('says what the event of the same state says', async () => {
    const detail = anEcsTask({ lastStatus: 'STOPPED', stoppedAt: at(60) });
    const { compute } = await aBackend(ecsWith(detail));
    expect(await compute.ask(question)).toEqual([readEcsTask(detail).observation]);
  });

  it('finds all that were started so, running, stopping and stopped, and the one of the handle, each once', async () => {
    const { compute, wire } = await aBackend(
      ecsWith(
        aTaskWith('running'),
        aTaskWith('stopping', { desiredStatus: 'STOPPED' }),
        aTaskWith('stopped', { lastStatus: 'STOPPED' }),
        aTaskWith('other', { startedBy: startedByOf('test', aTaskId('green'), 1) }),
      ),
    );
    const found = await compute.ask({ ...question, handle: aHandle('stopped') });
    expect(found.map(({ nativeId, phase }) => [nativeId, phase]).sort()).toEqual([
      [anArn('running'), 'running'],
      [anArn('stopped'), 'ended'],
      [anArn('stopping'), 'running'],
    ]);
    expect(operations(wire)).toEqual(['ListTasks', 'ListTasks', 'DescribeTasks']);
  });

  it('finds the run of the handle when no list has it any more', async () => {
    const script = ecsWith(aTaskWith('old', { lastStatus: 'STOPPED' }));
    const { compute } = await aBackend((call, nth) =>
      call.operation === 'ListTasks' ? { body: { taskArns: [] } } : script(call, nth),
    );
    expect(await compute.ask({ ...question, handle: aHandle('old') })).toMatchObject([{ phase: 'ended' }]);
  });

  it('does not miss a run that is told to stop while it is asked', async () => {
    const asked: string[] = [];
    const { compute } = await aBackend(
      answering({
        ListTasks: ({ body }) => {
          const { desiredStatus = 'RUNNING' } = body as { desiredStatus?: string };
          asked.push(desiredStatus);
          // Wanted to run until somebody has asked for the first time.
          const wanted = asked.length === 1 ? 'RUNNING' : 'STOPPED';
          return { body: { taskArns: desiredStatus === wanted ? [anArn()] : [] } };
        },
        DescribeTasks: shown(anEcsTask({ desiredStatus: 'STOPPED' })),
      }),
    );
    expect(await compute.ask(question)).toHaveLength(1);
    expect(asked).toEqual(['RUNNING', 'STOPPED']);
  });

  it.each(['baton-test-agent', 'baton-test-agent-user'])(
    'finds a stopped run among all of the family %s where ECS takes no second filter beside startedBy',
    async (own) => {
      const mine = anEcsTask({ lastStatus: 'STOPPED', desiredStatus: 'STOPPED' });
      const other = { ...anEcsTask({ taskArn: anArn('other') }), startedBy: 'baton/test/tother/1' };
      const { compute } = await aBackend(
        answering({
          ListTasks: ({ body }) => {
            const { startedBy, desiredStatus, family } = body as Record<string, string>;
            if (startedBy !== undefined && desiredStatus !== undefined) return anError('InvalidParameterException');
            return { body: { taskArns: family === own ? [mine.taskArn, other.taskArn] : [] } };
          },
          DescribeTasks: ({ body }) => {
            const { tasks } = body as { tasks: string[] };
            return { body: { tasks: [mine, other].filter(({ taskArn }) => tasks.includes(taskArn)).map(onWire) } };
          },
        }),
      );
      expect(await compute.ask(question)).toMatchObject([{ nativeId: mine.taskArn, phase: 'ended' }]);
    },
  );

  it('has no answer for what ECS does not know, which proves nothing yet', async () => {
    const { compute } = await aBackend(ecsWith());
    expect(await compute.ask({ ...question, handle: aHandle() })).toEqual([]);
    expect(await compute.ask(question)).toEqual([]);
  });

  it('goes through all pages of a list, and describes 100 at a time', async () => {
    const names = Array.from({ length: 250 }, (_, n) => `n${n}`);
    const all = ecsWith(...names.map((name) => aTaskWith(name)));
    const { compute, wire } = await aBackend((call, nth) => {
      if (call.operation !== 'ListTasks') return all(call, nth);
      const { desiredStatus, nextToken = '0' } = call.body as { desiredStatus: string; nextToken?: string };
      if (desiredStatus === 'STOPPED') return { body: { taskArns: [] } };
      const end = Number(nextToken) + 100;
      const taskArns = names.slice(Number(nextToken), end).map(anArn);
      return { body: { taskArns, ...(end < names.length ? { nextToken: String(end) } : {}) } };
    });
    expect(await compute.ask(question)).toHaveLength(250);
    expect(wire.bodies<{ tasks: string[] }>('DescribeTasks').map(({ tasks }) => tasks.length)).toEqual([100, 100, 50]);
  });

  it('does not turn pages for ever', async () => {
    const { compute, wire } = await aBackend(
      answering({ ListTasks: { body: { taskArns: [anArn()], nextToken: 'on' } }, DescribeTasks: shown(anEcsTask()) }),
    );
    await expect(compute.ask(question)).rejects.toMatchObject({ code: 'compute_invalid' });
    expect(wire.calls).toHaveLength(10);
  });

  // A20
  it('looks into the cluster of the handle and into the one that is configured', async () => {
    const old = { clusterArn: OLD_CLUSTER };
    const { compute } = await aBackend(ecsWith(aTaskWith('first', old), aTaskWith('second', old), aTaskWith('third')));
    const found = await compute.ask({ ...question, handle: { ...aHandle('first'), ...old } });
    expect(found.map(({ nativeId }) => nativeId).sort()).toEqual(['first', 'second', 'third'].map(anArn));
  });

  it('takes a cluster that is gone for one without runs, if a handle says that it has been there', async () => {
    const gone = anError('ClusterNotFoundException');
    const { compute } = await aBackend(answering({ ListTasks: gone, DescribeTasks: gone }));
    expect(await compute.ask({ ...question, handle: aHandle() })).toEqual([]);
    await expect(compute.ask(question)).rejects.toMatchObject({ code: 'compute_invalid' });
  });

  // F29
  it('does not count a run in a status that is new to us as gone', async () => {
    const { compute, warnings } = await aBackend(ecsWith(aTaskWith('run-1', { lastStatus: 'HIBERNATING' })));
    await expect(compute.ask(question)).rejects.toMatchObject({ code: 'compute_unavailable', retry: 'soon' });
    expect(warnings).toEqual([expect.stringContaining('unknown lastStatus "HIBERNATING"')]);
  });

  it('says what is unknown about an end and judges it all the same', async () => {
    const strange = aTaskWith('run-1', { lastStatus: 'STOPPED', stopCode: 'CosmicRay' });
    const { compute, warnings } = await aBackend(ecsWith(strange));
    expect(await compute.ask(question)).toMatchObject([{ phase: 'ended', end: { kind: 'exited', exitCode: 0 } }]);
    expect(warnings).toEqual([expect.stringContaining('unknown stopCode "CosmicRay"')]);
  });

  it.each([
    ['a failure that is not MISSING', { tasks: [], failures: [{ arn: anArn(), reason: 'ODD' }] }],
    ['a task without a status', { tasks: [{ taskArn: anArn() }], failures: [] }],
  ])('does not take %s for an answer', async (_, body) => {
    const { compute } = await aBackend(answering({ ListTasks: { body: { taskArns: [] } }, DescribeTasks: { body } }));
    await expect(compute.ask({ ...question, handle: aHandle() })).rejects.toMatchObject({
      code: 'compute_unavailable',
      message: expect.stringContaining(anArn()),
    });
  });

  // A18
  it.each([
    ['ThrottlingException', 400, 'compute_throttled'],
    ['ServerException', 500, 'compute_unavailable'],
    ['AccessDeniedException', 400, 'compute_denied'],
    ['InvalidParameterException', 400, 'compute_invalid'],
  ])('that fails is an error, never an empty answer: %s %i', async (name, status, code) => {
    const failure = anError(name, '', status);
    const { compute: unlisted } = await aBackend(answering({ ListTasks: failure }));
    await expect(unlisted.ask(question)).rejects.toMatchObject({ code });
    const { compute: undescribed } = await aBackend(
      answering({ ListTasks: { body: { taskArns: [anArn()] } }, DescribeTasks: failure }),
    );
    await expect(undescribed.ask(question)).rejects.toMatchObject({ code });
  });
});
