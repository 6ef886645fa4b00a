import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { explanationText } from '../../cli/explanation-text.ts';
import { plain } from '../../cli/paint.ts';
import { causalTree } from '../../lifecycle/causal-tree.ts';
import { explain, type Known } from '../../lifecycle/explain.ts';
import { type Explanation, explanation } from '../../schemas/explanation.ts';
import { because, type Reason } from '../../schemas/reason.ts';
import { leaseOf } from '../../schemas/slot.ts';
import type { Task } from '../../schemas/task.ts';
import { aClaim, aReport, aResult, aRunRecord, aTask, aTaskId, at } from '../builders.ts';
import { type CliScene, openCliScene, type Running } from './scene.ts';

const text = (task: Task, around: Partial<Omit<Known, 'task'>> = {}): string[] =>
  explanationText(explain({ task, records: [], slot: undefined, journal: undefined, at: at(60), ...around }), plain);
/** Lines below a heading, up to the next blank one. */
const below = (heading: string, lines: readonly string[]): string[] => {
  const from = lines.indexOf(heading) + 1;
  const to = lines.indexOf('', from);
  return lines.slice(from, to < 0 ? undefined : to).map((line) => line.trim());
};

describe('an explanation', () => {
  it('begins with what the state means, why, and what to do', () => {
    const lines = text(aTask({ status: 'STOPPING', reason: because('spot_interrupted', 'Spot took it.') }));
    expect(lines[0]).toBe(`${aTaskId()}  STOPPING for 1 min 00 s`);
    expect(lines).toContain('  state       The run must end; its end is awaited.');
    expect(lines).toContain('  reason      spot_interrupted: Spot took it.');
    expect(lines).toContain('  what to do  Spot capacity was taken back. Baton tries again from saved work.');
  });

  it('promises no further attempt of a task that is over, and advises nothing that its reason says', () => {
    const ended = (reason: Reason) => text(aTask({ status: 'FAILED', reason }));
    expect(ended(because('host_lost', 'It went.'))).toContain(
      '  what to do  The host under the run went away. Baton does not try again.',
    );
    expect(ended(because('cancelled', 'Cancelled on request.')).join()).not.toContain('what to do');
  });

  it('says of a back end whose word may be lost that it is asked', () => {
    const task = aTask({ status: 'RUNNING', compute: 'ec2' });
    expect(text({ ...task, due: { ...task.due, life: at(70) } } as Task)).toContain(
      `  due         ${at(70)} (in 10.0 s): its back end is asked about it`,
    );
  });

  it('says what comes next, by whom, and when at the latest', () => {
    expect(below('what comes next', text(aTask({ status: 'SUBMITTED' })))).toEqual([
      'next        a slot is asked for',
      `by          admit-task, on ${aTaskId()}#1#TaskSubmitted`,
      `no later    ${at(20)} (40.0 s ago): the last step is repeated if nobody took it up`,
      `due         ${at(20)} (40.0 s ago): the last step is repeated if nobody took it up`,
      `due         ${at(3600)} (in 59 min 00 s): the task times out`,
    ]);
  });

  it('names who is in the way of a task that waits', () => {
    const waiter = { since: at(1), priority: 0, order: 1, correlationId: 'c' };
    const slot = {
      key: 'user:ada',
      limit: 1,
      holders: { [leaseOf(aTaskId('gray'), 1)]: { since: at(0), priority: 0 } },
      waiters: { [leaseOf(aTaskId(), 1)]: waiter },
      nextOrder: 2,
    };
    expect(text(aTask({ status: 'QUEUED' }), { slot })).toContain(
      `  slot        waits for "user:ada" since ${at(1)}, place 1 (1 of 1 held, 1 waiting); held by ${aTaskId('gray')} since ${at(0)}`,
    );
  });

  it('tells of each attempt what it began with, what its runner said, and why it was lost', () => {
    const savedWork = { branch: 'baton/x', commit: 'c0ffeec0ffeec0ffee' };
    const records = [aRunRecord({ claim: aClaim(), savedWork, noClaim: true, closed: true })];
    expect(below('attempt 1', text(aTask({ status: 'BACKOFF' }), { records }))).toEqual([
      'begins      from the base branch. It is the first.',
      `claimed     +0.00 s by ${aClaim().nativeId}`,
      'saved work  baton/x at c0ffeec0ffee',
      'fence       closed: nothing of it counts any more',
      'lost        +0.00 s: cancelled: Somebody asked.',
      'what to do  Cancelled on request.',
      `next one    ${at(2)}`,
    ]);
  });

  it('tells where a task runs, and on what, whether it was asked for or not', () => {
    expect(text(aTask({ status: 'RUNNING', compute: 'agentcore' }))).toContain(
      '  compute     agentcore (isolation shared, capacity on-demand)',
    );
    const asked = aTask({ status: 'RUNNING', isolation: 'per-user', capacity: 'spot-first' });
    expect(text(asked)).toContain('  compute     ecs (isolation per-user, capacity spot-first)');
  });

  it('tells of a run whose back end tells nothing what signs of life it gave, and when they are looked at again', () => {
    const task = aTask({ status: 'RUNNING', compute: 'agentcore' });
    const life = { sign: 'x', at: at(30), looks: 2 };
    const records = [aRunRecord({ claim: aClaim(), heartbeatAt: at(29) })];
    const lines = text({ ...task, run: { ...task.run, life }, due: { ...task.due, life: at(70) } } as Task, {
      records,
    });
    expect(below('attempt 1', lines)).toEqual(
      expect.arrayContaining([
        'life        its latest sign was first seen +30.0 s; 2 looks since found no newer one',
        'heartbeat   the latest +29.0 s',
      ]),
    );
    expect(below('what comes next', lines)).toEqual(
      expect.arrayContaining([
        `next        the agent ends, and its runner reports; until then it gives signs of life, which are looked at next at ${at(70)}`,
        `due         ${at(70)} (in 10.0 s): its signs of life are looked at`,
      ]),
    );
  });

  it.each([
    ['ecs', 'heard up to version 3, ended'],
    ['ec2', 'heard that its command is in progress, ended'],
  ] as const)('tells how far its back end has told of a run on %s, in words of that back end', (compute, far) => {
    const task = aTask({ status: 'RUNNING' });
    const run = { ...task.run, seen: { 'run-1': 3 }, endedIds: ['run-1', 'run-2'] };
    const lines = below('attempt 1', text({ ...task, compute, run } as Task));
    expect(lines).toEqual(expect.arrayContaining([`back end    run-1: ${far}`, 'back end    run-2: heard of, ended']));
  });

  it('tells of saved work that an attempt should have begun with and did not find', () => {
    const lostWork = { branch: 'baton/x', commit: 'c0ffeec0ffeec0ffee' };
    const records = [aRunRecord({ claim: aClaim(), report: aReport({ result: aResult({ lostWork }) }) })];
    expect(below('attempt 1', text(aTask({ status: 'RUNNING' }), { records }))).toContain(
      'not found   the saved work baton/x at c0ffeec0ffee: it went on without it',
    );
  });

  it('draws what led to what, and marks what cannot be linked', () => {
    const task = aTask({ status: 'QUEUED' });
    const [first, second] = task.history;
    const history = [first, { ...second, cause: { id: `${task.taskId}#1#TaskSubmitted`, type: 'TaskSubmitted' } }];
    expect(below('how it came here', text({ ...task, history } as Task))).toEqual([
      '+0.00 s  ada asked for a task on /srv/repository  ← Test',
      '+0.00 s  └ SUBMITTED  A request becomes a task.  → TaskSubmitted (not proven)',
      '+0.00 s    └ QUEUED  No slot is free; the task waits in line.  → TaskQueued (not proven)',
      '(not proven): nothing shows yet that it was delivered; what drives the task is published again until something does',
    ]);
    expect(below('how it came here', text(task))).toContain(
      '+0.00 s  └ somebody said something  ← Test  (nothing links it to what came before)',
    );
  });

  it('begins at the margin again with each attempt', () => {
    const lost = aTask({ status: 'BACKOFF' });
    const admitted = {
      ...lost.history[1],
      version: 8,
      attempt: 2,
      cause: { id: `${lost.taskId}#7#AttemptDue`, type: 'AttemptDue' },
    };
    const task = {
      ...aTask({ status: 'ADMITTED' }),
      attempt: 2,
      version: 8,
      history: [...lost.history, admitted],
    } as Task;
    expect(causalTree(task, []).unlinked.map(({ type }) => type)).not.toContain('AttemptDue');
    const lines = text(task);
    const margin = lines.findIndex((line) => line.trim() === 'attempt 2' && line.startsWith('    '));
    expect(lines[margin + 1]).toMatch(/^ +\+0\.00 s {2}ADMITTED/);
  });

  it('tells what changed nothing, or where that is', () => {
    const ignored = [{ at: at(2), cause: { id: 'e-1', type: 'RunClaimed' }, reason: 'of_another_attempt' }];
    const kept = text(aTask({ status: 'RUNNING' }), { journal: { duplicates: 1, ignored } });
    expect(below('what changed nothing', kept)).toEqual([
      '1 duplicate was absorbed.',
      '+2.00 s  RunClaimed: of another attempt  e-1',
    ]);
    expect(below('what changed nothing', text(aTask({ status: 'RUNNING' })))).toEqual([
      'Ignored events are in the logs of the functions, each with its task and its reason.',
    ]);
  });

  it('takes out what would steer the terminal', () => {
    const reason = because('agent_failed', '\u001b[31mred\u001b[0m');
    expect(text(aTask({ status: 'FAILED', reason })).join('\n')).not.toContain('\u001b');
  });
});

describe('baton explain', () => {
  let scene: CliScene;
  let world: Running;
  let taskId: string;
  beforeAll(async () => {
    scene = openCliScene();
    world = scene.start(['dev', '--port', '0']);
    await world.says('ready ');
    const agent = 'echo at work; sleep 300';
    const words = ['--repo', 'repo', '--prompt', 'do it', '--agent', agent, '--json'];
    taskId = JSON.parse((await scene.run(['submit', ...words])).stdout).taskId;
  });
  afterAll(async () => {
    world.kill('SIGTERM');
    await world.ended;
    await scene.close();
  });

  const asked = async (...words: string[]): Promise<Explanation> => {
    const { code, stdout, stderr } = await scene.run(['explain', taskId, '--json', ...words]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return explanation.parse(JSON.parse(stdout));
  };

  it('tells what a running task waits for, and everything that led there', async () => {
    let told = await asked();
    while (told.status !== 'RUNNING') told = await asked();
    expect(told).toMatchObject({
      taskId,
      settled: false,
      unlinked: [],
      tree: { kind: 'request', type: 'TaskRequested' },
      next: { who: 'the runner', by: told.deadlineAt, otherwise: 'the task times out' },
      slot: { standing: 'holds' },
      ignored: { keptIn: 'journal' },
    });
    expect(told.attemptsMade).toMatchObject([
      { attempt: 1, start: { from: 'base_branch' }, runner: { noClaim: false } },
    ]);
  });

  it('tells how a cancelled task ended, and that nothing is left to do', async () => {
    await scene.run(['cancel', taskId, '--reason', 'seen enough']);
    let told = await asked();
    while (!told.settled) told = await asked();
    expect(told).toMatchObject({
      status: 'CANCELLED',
      unlinked: [],
      next: null,
      due: [],
      reason: { code: 'cancelled', message: 'seen enough' },
      end: { detectedBy: expect.any(String), settledAt: expect.any(String) },
    });
    const { code, stdout } = await scene.run(['explain', taskId.slice(0, 8)]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('nothing: all is done') });
    expect(stdout).toMatch(/a requester asked that the task ends {2}← TaskCancelRequested/);
    expect(stdout).toMatch(/└ Settled: the last fact was delivered, compute ended \(proven\)/);
  });

  it('tells the same of a deployment, but not what was ignored', async () => {
    const environment = {
      AWS_ENDPOINT_URL: /http:\/\/127\.0\.0\.1:\d+/.exec(world.stdout())?.[0] ?? '',
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
    };
    const { stdout } = await scene.run(['explain', taskId, '--aws', '--json'], { environment });
    const there = explanation.parse(JSON.parse(stdout));
    const here = await asked();
    // The endpoint of a world shows tasks and runs of its table; on AWS the item of the slot key is there as well.
    expect({ ...there, at: here.at, ignored: here.ignored, slot: here.slot }).toEqual(here);
    expect(there.ignored).toEqual({ keptIn: 'logs', duplicates: 0, events: [] });
  });

  it('of a task that nobody knows says so', async () => {
    const { code, stderr } = await scene.run(['explain', 'tnothere']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('There is no task "tnothere" here') });
  });
});
