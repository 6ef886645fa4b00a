import { describe, expect, it } from '@jest/globals';
import { acceptTask } from '../../handlers/accept-task.ts';
import { REPOSITORIES_KEY } from '../../runtime/records.ts';
import { taskIdFor } from '../../runtime/task-id.ts';
import { PROMPT_MAX_BYTES } from '../../schemas/task-request.ts';
import { aRequest, at } from '../builders.ts';
import { aScene, typesOf } from './scene.ts';

const request = { repository: '/srv/repository', prompt: 'Mend the roof.', userId: 'ada', idempotencyKey: 'roof' };
const taskId = taskIdFor('ada', { key: 'roof' });

describe('a request', () => {
  it('becomes a task under an id that derives from user and key', async () => {
    const scene = aScene();
    const told = await scene.deliver(acceptTask, aRequest('TaskRequested', request, 'request-7'));
    expect(typesOf(told)).toEqual(['TaskSubmitted']);
    expect(await scene.task(taskId)).toMatchObject({
      status: 'SUBMITTED',
      version: 1,
      userId: 'ada',
      slotKey: 'user:ada',
      compute: 'ecs',
      agentCommand: 'default-agent',
      attempts: 3,
      deadlineAt: at(3600),
      correlationId: 'request-7',
      history: [{ cause: { id: 'request-7', type: 'TaskRequested' } }],
    });
  });

  it('keeps its prompt in the payload store, and out of every record and event', async () => {
    const scene = aScene();
    const told = await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    const task = await scene.task(taskId);
    expect(await scene.payloads.get(task?.promptRef ?? '')).toBe('Mend the roof.');
    expect(JSON.stringify([told, task])).not.toContain('roof.');
  });

  // G2
  it('must be screened, and says so, where the deployment requires it; elsewhere it need not', async () => {
    const required = aScene({ settings: { screening: 'required' } });
    const [submitted] = await required.deliver(acceptTask, aRequest('TaskRequested', request));
    expect(submitted?.detail.data).toMatchObject({ screening: 'required' });
    expect(await required.task(taskId)).toMatchObject({ screening: 'required' });
    const off = aScene();
    const [other] = await off.deliver(acceptTask, aRequest('TaskRequested', request));
    expect(other?.detail.data).not.toHaveProperty('screening');
    expect(await off.task(taskId)).not.toHaveProperty('screening');
  });

  it('may name an issue or a pull request, and no other text', async () => {
    const scene = aScene();
    const context = 'https://github.com/ada/engine/pull/7';
    await scene.deliver(acceptTask, aRequest('TaskRequested', { ...request, context }));
    expect(await scene.task(taskId)).toMatchObject({ context });
    const elsewhere = { ...request, idempotencyKey: 'other', context: 'http://169.254.169.254/latest/meta-data' };
    expect(typesOf(await scene.deliver(acceptTask, aRequest('TaskRequested', elsewhere)))).toEqual(['TaskRejected']);
  });

  it('has its alarm set', async () => {
    const scene = aScene();
    await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    expect(scene.armed).toEqual([at(20)]);
    expect((await scene.task(taskId))?.armedAt).toBe(at(20));
  });

  it('takes what it asks for', async () => {
    const scene = aScene();
    const asked = {
      ...request,
      baseBranch: 'main',
      agentCommand: 'mine',
      timeoutSeconds: 60,
      attempts: 1,
      labels: { a: 'b' },
    };
    await scene.deliver(acceptTask, aRequest('TaskRequested', { ...asked, origin: { kind: 'chat', reference: '42' } }));
    expect(await scene.task(taskId)).toMatchObject({
      baseBranch: 'main',
      agentCommand: 'mine',
      deadlineAt: at(60),
      attempts: 1,
      labels: { a: 'b' },
      origin: { kind: 'chat', reference: '42' },
    });
  });

  it('under a source of its own is a task of the one whose source it is', async () => {
    const scene = aScene();
    const { userId: _, ...unnamed } = request;
    await scene.deliver(acceptTask, { ...aRequest('TaskRequested', unnamed), source: 'baton.request.ada' });
    expect(await scene.task(taskId)).toMatchObject({ userId: 'ada' });
  });

  it('without user and key is known by its envelope', async () => {
    const scene = aScene();
    await scene.deliver(acceptTask, aRequest('TaskRequested', { repository: '/r', prompt: 'p' }, 'request-8'));
    expect(await scene.task(taskIdFor('local', { eventId: 'request-8' }))).toMatchObject({ userId: 'local' });
  });

  it('delivered three times is one task, told once', async () => {
    const scene = aScene();
    expect(await scene.thrice(acceptTask, aRequest('TaskRequested', request))).toEqual([['TaskSubmitted'], [], []]);
    expect(scene.duplicates()).toBe(2);
  });

  it('whose first delivery died before telling is told by the retry, under the same id', async () => {
    const scene = aScene();
    const event = aRequest('TaskRequested', request);
    const [first] = await scene.deliver(acceptTask, event);
    expect(await scene.deliver(acceptTask, event, { tries: 2 })).toEqual([first]);
  });

  // F22
  it('sent again in a new envelope is the same task', async () => {
    const scene = aScene();
    await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    expect(await scene.deliver(acceptTask, aRequest('TaskRequested', request))).toEqual([]);
    expect(await scene.store.list('TASK#', { limit: 9 })).toHaveLength(1);
  });

  it('sent again when all is settled does not bring its prompt back', async () => {
    const scene = aScene();
    await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    const task = await scene.task(taskId);
    if (!task) throw new Error('expected a task');
    await scene.has({ ...task, settledAt: at(9), status: 'COMPLETED' } as typeof task);
    await scene.payloads.delete(task.promptRef);
    await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    expect(await scene.payloads.get(task.promptRef)).toBeUndefined();
  });

  it('replayed from the archive starts nothing', async () => {
    const scene = aScene();
    expect(await scene.deliver(acceptTask, { ...aRequest('TaskRequested', request), 'replay-name': 'again' })).toEqual(
      [],
    );
    expect(await scene.task(taskId)).toBeUndefined();
    expect(scene.ignored).toEqual(['replay']);
  });
});

describe('a known key with other content', () => {
  it('is reported, and the first answer stands', async () => {
    const scene = aScene();
    await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    const told = await scene.deliver(acceptTask, aRequest('TaskRequested', { ...request, prompt: 'Paint the door.' }));
    expect(typesOf(told)).toEqual(['IdempotencyKeyReused']);
    const task = await scene.task(taskId);
    expect(await scene.payloads.get(task?.promptRef ?? '')).toBe('Mend the roof.');
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toHaveLength(1);
  });
});

// X7
describe('the same request from many at once', () => {
  it('is one task, told once', async () => {
    const scene = aScene();
    const told = await Promise.all(
      Array.from({ length: 50 }, (_, n) => scene.deliver(acceptTask, aRequest('TaskRequested', request, `racer-${n}`))),
    );
    expect(told.flat()).toHaveLength(1);
    expect(await scene.store.list('TASK#', { limit: 9 })).toHaveLength(1);
  });
});

describe('a request that cannot become a task', () => {
  it.each([
    ['no prompt', { prompt: undefined }, 'prompt'],
    ['an empty prompt', { prompt: '  \n' }, 'prompt is empty'],
    ['too large a prompt', { prompt: 'ż'.repeat(PROMPT_MAX_BYTES / 2 + 1) }, 'larger than'],
    ['no repository', { repository: '' }, 'repository is empty'],
    ['a repository that reads as an option', { repository: '--upload-pack=x' }, 'must not begin with "-"'],
    // A22
    ['an unknown back end', { compute: 'mainframe' }, 'compute'],
    ['an unknown field', { repo: 'x' }, 'repo'],
    ['too many attempts', { attempts: 11 }, 'attempts'],
    ['a time-out of a year', { timeoutSeconds: 31_536_000 }, 'timeoutSeconds'],
    ['a key without end', { idempotencyKey: 'k'.repeat(257) }, 'idempotencyKey'],
  ])('because of %s is rejected with the reason', async (_, fields, says) => {
    const scene = aScene();
    const told = await scene.deliver(acceptTask, aRequest('TaskRequested', { ...request, ...fields }));
    expect(typesOf(told)).toEqual(['TaskRejected']);
    expect(told[0]?.detail.data).toMatchObject({
      reason: { code: 'bad_request', message: expect.stringContaining(says) },
    });
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toEqual([]);
  });

  it.each([[undefined], [null], ['a text'], [[]], [7]])('because its data is %p is rejected', async (data) => {
    const scene = aScene();
    expect(typesOf(await scene.deliver(acceptTask, aRequest('TaskRequested', data)))).toEqual(['TaskRejected']);
  });

  // F25
  it('is for a repository whose configuration this version cannot read', async () => {
    const scene = aScene();
    const config = { limit: 2, subscribers: [{ channel: 'email', target: 'ada@example.com' }] };
    const entries = [{ name: '/srv/repo*', config, setAt: at(0), setBy: 'newer' }];
    await scene.store.put(REPOSITORIES_KEY, { entries }, 'any');
    const told = await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    const says = /"\/srv\/repo\*" holds for this repository.*cannot read it: config\.subscribers\.0\.channel: /;
    expect(told[0]?.detail.data).toMatchObject({
      reason: { code: 'bad_request', message: expect.stringMatching(says) },
    });
    expect(await scene.task(taskId)).toBeUndefined();
    const other = aRequest('TaskRequested', { ...request, repository: '/srv/other', idempotencyKey: 'other' });
    expect(typesOf(await scene.deliver(acceptTask, other))).toEqual(['TaskSubmitted']);
  });

  it('brings an agent command where configuration does not allow it', async () => {
    const scene = aScene({ settings: { agentCommandAllowed: false } });
    const told = await scene.deliver(acceptTask, aRequest('TaskRequested', { ...request, agentCommand: 'mine' }));
    expect(typesOf(told)).toEqual(['TaskRejected']);
  });

  it.each([
    [['ecs'], { compute: 'elsewhere' }],
    [[], {}],
  ] as const)(
    'because the deployment has %j and it asks for %j is rejected before any compute starts',
    async (computes, more) => {
      const scene = aScene({ settings: { computes } });
      const told = await scene.deliver(acceptTask, aRequest('TaskRequested', { ...request, ...more }));
      expect(typesOf(told)).toEqual(['TaskRejected']);
      expect(JSON.stringify(told)).toMatch(/compute/);
      expect(scene.compute.calls).toEqual([]);
    },
  );

  it('under a source of its own cannot name another user', async () => {
    const scene = aScene();
    const event = { ...aRequest('TaskRequested', request), source: 'baton.request.bob' };
    expect(typesOf(await scene.deliver(acceptTask, event))).toEqual(['TaskRejected']);
    expect(await scene.task(taskId)).toBeUndefined();
  });

  it('is rejected once, and the rejection stands under its key', async () => {
    const scene = aScene();
    const bad = { ...request, prompt: '' };
    expect(await scene.thrice(acceptTask, aRequest('TaskRequested', bad))).toEqual([['TaskRejected'], [], []]);
    expect(await scene.deliver(acceptTask, aRequest('TaskRequested', request))).toEqual([
      expect.objectContaining({ 'detail-type': 'IdempotencyKeyReused' }),
    ]);
    expect(await scene.task(taskId)).toBeUndefined();
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toEqual([]);
  });

  it('whose first delivery died before telling is told by the retry', async () => {
    const scene = aScene();
    const event = aRequest('TaskRequested', { ...request, prompt: '' });
    const first = await scene.deliver(acceptTask, event);
    expect(await scene.deliver(acceptTask, event, { tries: 2 })).toEqual(first);
  });

  it('under the key of a task does not reject that', async () => {
    const scene = aScene();
    await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    const bad = aRequest('TaskRequested', { ...request, prompt: '' });
    expect(await scene.deliver(acceptTask, bad, { tries: 2 })).toEqual([]);
    expect((await scene.task(taskId))?.status).toBe('SUBMITTED');
  });

  it('whose repository was configured otherwise since a delivery died leaves no prompt behind', async () => {
    const scene = aScene();
    await scene.payloads.put(taskId, request.prompt);
    await scene.configurations.set(request.repository, { fleet: 'gone' }, { id: 'c', at: at(0) });
    const event = aRequest('TaskRequested', request);
    expect(typesOf(await scene.deliver(acceptTask, event, { tries: 2 }))).toEqual(['TaskRejected']);
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toEqual([]);
  });

  it('is told so by the retry of a delivery that died before telling, though by now it could be one', async () => {
    const scene = aScene();
    await scene.configurations.set(request.repository, { fleet: 'gone' }, { id: 'c', at: at(0) });
    const event = aRequest('TaskRequested', request);
    const [rejected] = await scene.deliver(acceptTask, event);
    await scene.configurations.set(request.repository, null, { id: 'd', at: at(1) });
    expect(await scene.deliver(acceptTask, event)).toEqual([]);
    expect(await scene.deliver(acceptTask, event, { tries: 2 })).toEqual([rejected]);
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toEqual([]);
  });

  it('that became a task keeps its prompt, whatever is configured since', async () => {
    const scene = aScene();
    await scene.deliver(acceptTask, aRequest('TaskRequested', request));
    await scene.configurations.set(request.repository, { fleet: 'gone' }, { id: 'c', at: at(0) });
    expect(await scene.deliver(acceptTask, aRequest('TaskRequested', request), { tries: 2 })).toEqual([]);
    expect(await scene.payloads.get((await scene.task(taskId))?.promptRef ?? '')).toBe(request.prompt);
  });
});
