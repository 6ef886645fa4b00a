import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { BODY_MAX_BYTES, loopbackServer } from '../../runtime/endpoint/loopback-server.ts';
import { payloadSecrets } from '../../runtime/endpoint/payload-secret.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { runPayload } from '../../schemas/run-payload.ts';
import { type TaskView, taskSummary, taskView } from '../../schemas/task-view.ts';
import { apiError, deadLetterView, redriven, worldView } from '../../schemas/world-api.ts';
import { aRequest as anAsking } from '../builders.ts';
import { eventually, linesOf, openScene, type Scene } from '../flows/scene.ts';

let scene: Scene;
beforeAll(async () => {
  // A runner that says who it is and then leaves everything to the test.
  scene = await openScene({
    runnerCommand: ['/bin/sh', '-c', 'env > environment; while [ ! -e end ]; do sleep 0.1; done'],
    limit: 50,
  });
});
afterAll(async () => {
  const tasks = await scene.world.list();
  await Promise.allSettled(tasks.filter(({ endedAt }) => !endedAt).map(({ taskId }) => scene.world.cancel(taskId)));
  await eventually(() => (scene.world.unsettled() === 0 ? true : undefined), 'every run to end');
  await scene.close();
});

interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: unknown;
}

interface Asking {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  readonly text?: string | Buffer;
}

/** Below `fetch`, so that a test can say what no well-behaved client says. */
function ask(path: string, { method, headers, json, text }: Asking = {}): Promise<Told> {
  const body = json === undefined ? text : JSON.stringify(json);
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: scene.world.port,
        path,
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const told = Buffer.concat(chunks).toString();
          const isJson = String(response.headers['content-type']).includes('json');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: told,
            json: isJson ? JSON.parse(told) : undefined,
          });
        });
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

const api = (path: string, asking: Asking = {}): Promise<Told> => ask(`/baton/v1${path}`, asking);
const bearing = (token: string): Asking => ({ headers: { authorization: `Bearer ${token}` } });
const errorIn = (told: Told) => apiError.parse(told.json).error;
const aRequest = (more: object = {}) => ({
  repository: '/a/repository',
  prompt: 'Do it.',
  agentCommand: 'true',
  ...more,
});

async function aTask(more: object = {}): Promise<TaskView> {
  return taskView.parse((await api('/tasks', { json: aRequest(more) })).json);
}

/** A task whose runner has started, and what that runner knows. */
async function aRunningTask(): Promise<{
  task: TaskView;
  payload: RunPayload;
  nativeId: string;
  runDir: string;
  reference: string;
  secret: string;
}> {
  const { taskId } = await aTask();
  const runDir = join(await scene.world.logPath(taskId), '..');
  const environment = await eventually(() => {
    const lines = linesOf(join(runDir, 'environment'));
    return lines.length > 5 ? lines : undefined;
  }, 'the runner');
  const variable = (name: string) =>
    environment.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  const reference = variable('BATON_PAYLOAD');
  const secret = variable('BATON_PAYLOAD_SECRET');
  const payload = runPayload.parse((await api(`/payloads/${reference}`, bearing(secret))).json);
  const task = await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
  return { task, payload, nativeId: variable('BATON_NATIVE_ID'), runDir, reference, secret };
}

describe('asking for a task', () => {
  it('answers with the task, once it is stored', async () => {
    const told = await api('/tasks', { json: aRequest({ labels: { team: 'a' } }) });
    expect(told.status).toBe(200);
    const task = taskView.parse(told.json);
    expect(task).toMatchObject({ repository: '/a/repository', userId: 'local', labels: { team: 'a' } });
    expect((await api(`/tasks/${task.taskId}`)).json).toMatchObject({ taskId: task.taskId });
    expect(told.text).not.toContain('Do it.');
  });

  it('answers the same request under the same key with the same task', async () => {
    const first = await aTask({ idempotencyKey: 'k1' });
    const second = await aTask({ idempotencyKey: 'k1' });
    expect(second.taskId).toBe(first.taskId);
    expect(second.reused).toBeUndefined();
    expect(await aTask({ idempotencyKey: 'k1', prompt: 'Other.' })).toMatchObject({
      taskId: first.taskId,
      reused: true,
    });
    expect((await aTask({ idempotencyKey: 'k1', userId: 'other' })).taskId).not.toBe(first.taskId);
  });

  it.each<[string, object, RegExp]>([
    ['an empty prompt', { prompt: ' \n' }, /prompt is empty/],
    ['a prompt that is too large', { prompt: 'ä'.repeat(40_000) }, /larger than 65536 bytes/],
    ['no repository', { repository: '' }, /repository is empty/],
    ['a relative repository', { repository: 'somewhere/else' }, /neither an absolute path nor an address/],
    ['a repository that looks like an option', { repository: '--upload-pack=x' }, /must not begin with "-"/],
    ['an unknown field', { promt: 'x' }, /promt/],
    ['an unknown back end', { compute: 'lambda' }, /compute/],
    ['a wrong type', { timeoutSeconds: 'soon' }, /timeoutSeconds/],
    ['too long a time-out', { timeoutSeconds: 1e6 }, /timeoutSeconds/],
    ['too many attempts', { attempts: 11 }, /attempts/],
    ['an empty agent command', { agentCommand: '' }, /agentCommand is empty/],
  ])('refuses %s, and says what is wrong', async (_what, more, message) => {
    const told = await api('/tasks', { json: aRequest(more) });
    expect(told.status).toBe(400);
    expect(errorIn(told)).toMatchObject({ code: 'bad_input', message: expect.stringMatching(message) });
    expect(errorIn(told).remedy).not.toBe('');
  });

  it('names everything that is wrong at once', async () => {
    const { message } = errorIn(await api('/tasks', { json: { prompt: '', compute: 'x' } }));
    expect(message).toMatch(/repository.*prompt.*compute/);
  });

  it('takes the largest prompt, whatever is in it', async () => {
    const told = await api('/tasks', { json: aRequest({ prompt: '\u0001'.repeat(65_536) }) });
    expect(told.status).toBe(200);
  });
});

describe('a request that was refused on the bus', () => {
  it('stays refused under its key', async () => {
    const refused = { idempotencyKey: 'refused', repository: '', prompt: 'x' };
    const asking = {
      version: '0',
      id: 'refused-1',
      source: 'baton.request',
      account: '',
      time: '',
      region: '',
      resources: [],
    };
    const event = { ...asking, 'detail-type': 'TaskRequested', detail: { data: refused } } satisfies Record<
      string,
      unknown
    >;
    await scene.world.engine.bus.publish([{ ...event, version: '0' }]);
    await eventually(() => (scene.world.engine.bus.pending() === 0 ? true : undefined), 'the refusal');
    const told = await api('/tasks', { json: aRequest({ idempotencyKey: 'refused' }) });
    expect([told.status, errorIn(told).code]).toEqual([422, 'rejected']);
    expect(errorIn(told).message).toContain('repository is empty');
  });
});

describe('reading tasks', () => {
  it('takes the beginning of a task id', async () => {
    const { taskId } = await aTask();
    expect((await api(`/tasks/${taskId.slice(0, 12)}`)).json).toMatchObject({ taskId });
  });

  it.each([
    ['too short', 't01', 404],
    ['unknown', 't0000000', 404],
    ['not an id', 'T%2e%2e', 404],
  ])('refuses an id that is %s', async (_what, id, status) => {
    const told = await api(`/tasks/${id}`);
    expect(told.status).toBe(status);
    expect(errorIn(told).code).toBe('unknown_task');
  });

  it('refuses a beginning that several tasks share', async () => {
    const store = scene.world.engine.store;
    const twin = { status: 'REJECTED', reason: { code: 'x', message: 'x' } };
    await store.put('TASK#tzzzzz1', twin, 'any');
    await store.put('TASK#tzzzzz2', twin, 'any');
    const told = await api('/tasks/tzzzzz');
    expect([told.status, errorIn(told).code]).toEqual([409, 'ambiguous_task']);
    await store.delete('TASK#tzzzzz1');
    await store.delete('TASK#tzzzzz2');
  });

  it('lists them newest first, page by page, without their history', async () => {
    for (let number = 0; number < 3; number++) await aTask();
    const whole = taskSummary.array().parse((await api('/tasks')).json);
    expect(whole.map(({ submittedAt }) => submittedAt)).toEqual(
      whole
        .map(({ submittedAt }) => submittedAt)
        .toSorted()
        .toReversed(),
    );
    expect(whole.every((task) => !('history' in task))).toBe(true);
    const first = taskSummary.array().parse((await api('/tasks?limit=2')).json);
    const rest = taskSummary.array().parse((await api(`/tasks?limit=2&after=${first[1]?.taskId}`)).json);
    expect([...first, ...rest].map(({ taskId }) => taskId)).toEqual(whole.slice(0, 4).map(({ taskId }) => taskId));
    expect((await api('/tasks?user=nobody')).json).toEqual([]);
    // Runs of earlier tests may have ended; those of the three that were just asked for wait.
    const ended = taskSummary.array().parse((await api('/tasks?settled=true')).json);
    expect(ended.filter(({ settled }) => !settled)).toEqual([]);
    const open = taskSummary.array().parse((await api('/tasks?settled=false')).json);
    expect(open.slice(0, 3).map(({ taskId }) => taskId)).toEqual(whole.slice(0, 3).map(({ taskId }) => taskId));
  });

  it.each(['limit=0', 'limit=x', 'limit=1001', 'settled=maybe', 'surprise=1'])(
    'refuses the query %s',
    async (query) => {
      const told = await api(`/tasks?${query}`);
      expect([told.status, errorIn(told).code]).toEqual([400, 'bad_input']);
    },
  );
});

describe('cancelling', () => {
  it('answers once the wish was heard', async () => {
    const { task } = await aRunningTask();
    const told = await api(`/tasks/${task.taskId}/cancel`, { json: { reason: 'enough' } });
    expect(told.status).toBe(200);
    expect(told.json).toMatchObject({ status: 'STOPPING', intent: 'cancelled', reason: { message: 'enough' } });
  });

  it('refuses a task that has ended', async () => {
    const { task, payload, nativeId } = await aRunningTask();
    const headers = { authorization: `Bearer ${payload.runToken}` };
    const at = new Date().toISOString();
    const result = {
      branch: null,
      commit: null,
      baseCommit: null,
      filesChanged: 0,
      insertions: 0,
      deletions: 0,
      pullRequest: null,
    };
    const report = { schemaVersion: 1, outcome: 'succeeded', result, agentExitCode: 0, startedAt: at, endedAt: at };
    for (const [verb, json] of [
      ['claim', { nativeId }],
      ['report', { nativeId, report }],
      ['events', { nativeId, seq: 1, type: 'RunReported', data: {} }],
    ] as const) {
      await api(`/runs/${task.taskId}/1/${verb}`, { headers, json });
    }
    await scene.until(task.taskId, ({ endedAt }) => endedAt !== undefined, 'to end');
    const told = await api(`/tasks/${task.taskId}/cancel`, { json: {} });
    expect([told.status, errorIn(told).code]).toEqual([409, 'task_ended']);
    expect(errorIn(told).message).toContain('COMPLETED');
  });

  it('refuses an unknown task, an unknown field and a reason that is too long', async () => {
    expect((await api('/tasks/t00000000/cancel', { json: {} })).status).toBe(404);
    const { taskId } = await aTask();
    expect((await api(`/tasks/${taskId}/cancel`, { json: { why: 'x' } })).status).toBe(400);
    expect((await api(`/tasks/${taskId}/cancel`, { json: { reason: 'x'.repeat(501) } })).status).toBe(400);
  });
});

describe('the log of a run', () => {
  it('is given in pieces that do not tear a character, and says where it ends', async () => {
    const { task, runDir } = await aRunningTask();
    const log = (offset: number) => api(`/tasks/${task.taskId}/log?offset=${offset}`);
    const whole = 'first\nübergroß\n';
    appendFileSync(join(runDir, 'agent.log'), Buffer.from(whole).subarray(0, 7));
    const first = await log(0);
    expect(first.text).toBe('first\n');
    expect(first.headers).toMatchObject({
      'x-baton-log-end': 'false',
      'x-baton-log-next': '6',
      'x-baton-log-attempt': '1',
    });
    expect(first.headers['content-type']).toContain('text/plain');
    appendFileSync(join(runDir, 'agent.log'), Buffer.from(whole).subarray(7));
    expect((await log(6)).text).toBe('übergroß\n');
    expect((await log(9_999)).text).toBe('');

    appendFileSync(join(runDir, 'agent.log'), 'x'.repeat(300_000));
    appendFileSync(join(runDir, 'end'), '');
    await eventually(() => (linesOf(join(runDir, 'exit.json')).length > 0 ? true : undefined), 'the end of the run');
    let text = '';
    let end = '';
    for (let offset = 0; end !== 'true'; ) {
      const piece = await log(offset);
      text += piece.text;
      end = String(piece.headers['x-baton-log-end']);
      offset = Number(piece.headers['x-baton-log-next']);
    }
    expect(text).toBe(`${whole}${'x'.repeat(300_000)}`);
  });

  it('is empty while there is none, and refused for an attempt that never was', async () => {
    const { taskId } = await aTask();
    expect(await api(`/tasks/${taskId}/log`)).toMatchObject({ status: 200, headers: { 'x-baton-log-end': 'false' } });
    expect((await api(`/tasks/${taskId}/log?attempt=2`)).status).toBe(400);
    expect((await api(`/tasks/${taskId}/log?offset=-1`)).status).toBe(400);
  });
});

describe('the events of a world', () => {
  it('come as server-sent events, those of one task when asked, and never with a prompt', async () => {
    const known = await aTask();
    const all = listen('/baton/v1/events');
    const one = listen(`/baton/v1/events?task=${known.taskId}`);
    await Promise.all([all.until('connected'), one.until('connected')]);
    const other = await aTask({ prompt: 'a secret wish' });
    await scene.world.cancel(known.taskId);
    await all.until(`${other.taskId}#1#TaskSubmitted`);
    await one.until('event: TaskCancelRequested');
    expect(all.text()).toMatch(/id: \S+\nevent: TaskRequested\ndata: \{.*\}\n\n/);
    expect(all.text()).not.toContain('a secret wish');
    expect(one.text()).not.toContain(other.taskId);
    all.leave();
    one.leave();
    expect((await api('/events?task=t00000000')).status).toBe(404);
  });

  it('are no longer sent to a client that does not read them', async () => {
    const { engine } = scene.world;
    const asked = request({ host: '127.0.0.1', port: scene.world.port, path: '/baton/v1/events' });
    const response = await new Promise<IncomingMessage>((resolve) => asked.once('response', resolve).end());
    const gone = new Promise((resolve) => asked.once('close', resolve));
    response.on('error', () => undefined);
    // Nobody reacts to it, everybody who listens is told.
    const large = (id: string): Envelope => ({
      version: '0',
      id,
      'detail-type': 'Something Large',
      source: 'somebody.else',
      account: '',
      time: '',
      region: '',
      resources: [],
      detail: { data: { text: 'x'.repeat(1_000_000) } },
    });
    for (let number = 0; number < 20; number++) await engine.bus.publish([large(`large-${number}`)]);
    await eventually(() => (engine.bus.pending() === 0 ? true : undefined), 'the bus to be quiet');
    await new Promise((resolve) => setTimeout(resolve, 200));
    response.resume();
    await gone;
    expect(response.complete).toBe(false);
  });
});

function listen(path: string) {
  let heard = '';
  const asked = request({ host: '127.0.0.1', port: scene.world.port, path }, (response) => {
    response.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
    });
    response.on('error', () => undefined);
  });
  asked.on('error', () => undefined);
  asked.end();
  return {
    text: () => heard,
    until: (text: string) =>
      eventually(
        () => (heard.includes(text) ? true : undefined),
        () => `${text} in ${heard}`,
      ),
    leave: () => asked.destroy(),
  };
}

describe('the world', () => {
  it('says who it is and how many tasks are not settled', async () => {
    await aTask();
    // Runs of earlier tests may end meanwhile: what was asked counts when the number is the same before and after it.
    const [world, unsettled] = await eventually(async () => {
      const before = scene.world.unsettled();
      const asked = worldView.parse((await api('/world')).json);
      return before === scene.world.unsettled() ? ([asked, before] as const) : undefined;
    }, 'a moment in which no task settles');
    expect(world).toMatchObject({ pid: process.pid, url: scene.world.url, dataDir: scene.dataDir });
    expect(unsettled).toBeGreaterThan(0);
    expect(world.unsettled).toBe(unsettled);
    expect(Object.values(world.tasks).reduce((sum, count) => sum + count, 0)).toBe(world.unsettled);
  });

  it('counts the deliveries that were given up, and shows the latest without their prompts', async () => {
    const count = async (): Promise<number> => worldView.parse((await api('/world')).json).deadLetters;
    const before = await count();
    const malformed = (id: string): Envelope => ({
      version: '0',
      id,
      'detail-type': 'TaskCancelRequested',
      source: 'baton.request',
      account: '',
      time: '',
      region: '',
      resources: [],
      detail: { data: { taskId: 7, prompt: 'a secret wish' } },
    });
    for (const number of [1, 2, 3]) await scene.world.engine.bus.publish([malformed(`dead-${number}`)]);
    await eventually(async () => ((await count()) === before + 3 ? true : undefined), 'three dead letters');

    const told = await api('/dead-letters?limit=2');
    const letters = z.array(deadLetterView).parse(told.json);
    expect(letters.map(({ event }) => event.id)).toEqual(['dead-3', 'dead-2']);
    expect(letters[0]).toMatchObject({ rule: 'cancel-task', tries: 1, error: { code: 'malformed_event' } });
    expect(told.text).not.toContain('a secret wish');
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'what=1'])
      expect((await api(`/dead-letters?${query}`)).status).toBe(400);
  });
});

describe('a dead letter of a world', () => {
  /** A delivery that an earlier life of the world gave up, and that can be handled now. */
  async function given(rule: string, event: Envelope): Promise<string> {
    const letter = {
      event,
      rule,
      tries: 3,
      at: new Date().toISOString(),
      error: { code: 'unexpected', message: 'no' },
    };
    const order = `zzzzzzzz${(letters++).toString(36)}`;
    await scene.world.engine.store.put(`DEAD#${order}#${rule}`, letter, 'any');
    return `${order}.${rule}`;
  }
  let letters = 0;
  const cancelOf = (taskId: string, id: string) => anAsking('TaskCancelRequested', { taskId }, id);
  const listed = async (query = '') => z.array(deadLetterView).parse((await api(`/dead-letters${query}`)).json);
  const redrive = (json: object) => api('/dead-letters/redrive', { json });

  it('has an id, a task, an age, and a remedy; one rule can be asked for, and older ones page by page', async () => {
    const taskId = await scene.submit('true');
    const first = await given('cancel-task', cancelOf(taskId, 'first'));
    const second = await given('admit-task', cancelOf(taskId, 'second'));
    expect((await listed('?limit=2')).map(({ id }) => id)).toEqual([second, first]);
    expect(await listed(`?limit=1&before=${encodeURIComponent(second)}`)).toMatchObject([
      { id: first, rule: 'cancel-task', taskId, tries: 3, error: { code: 'unexpected', remedy: expect.any(String) } },
    ]);
    expect((await listed('?rule=admit-task')).map(({ id }) => id)).toEqual([second]);
    await redrive({ ids: [first, second] });
  });

  it('is delivered to the rule that failed and to no other, and is gone when that has handled it', async () => {
    const taskId = await scene.submit('true');
    const id = await given('cancel-task', cancelOf(taskId, 'wanted'));
    const heard: string[] = [];
    const stop = scene.world.listen((event) => heard.push(event.id));
    const { status, json } = await api(`/dead-letters/${id}/redrive`, { json: {} });
    stop();
    expect({ status, json }).toEqual({ status: 200, json: { id, rule: 'cancel-task', outcome: 'handled' } });
    await scene.until(taskId, ({ status }) => ['STOPPING', 'CANCELLED'].includes(status), 'to be cancelled');
    // It was not published again: who listens, and other rules, hear what it caused and not the event.
    expect(heard).not.toContain('wanted');
    expect((await listed()).map((letter) => letter.id)).not.toContain(id);
  });

  it('that fails again is kept under its id, with all its tries', async () => {
    const id = await given('cancel-task', { ...cancelOf('x', 'still-wrong'), detail: { data: { taskId: 7 } } });
    expect((await redrive({ ids: [id] })).json).toMatchObject([
      { id, outcome: 'failed', error: { code: 'malformed_event', remedy: expect.any(String) } },
    ]);
    expect((await listed()).find((letter) => letter.id === id)).toMatchObject({ tries: 4 });
  });

  it('of a rule, or of any, is redriven with all others of it', async () => {
    const mine = await given('take-progress', cancelOf('x', 'not-for-it'));
    const others = (await listed('?limit=100')).map(({ id }) => id).filter((id) => id !== mine);
    expect((await redrive({ rule: 'take-progress' })).json).toMatchObject([{ id: mine }]);
    const told = z.array(redriven).parse((await redrive({ all: true })).json);
    expect(told.map(({ id }) => id)).toEqual(expect.arrayContaining(others));
  });

  it('that nobody has is unknown; and nothing is redriven by what a page of another site can send', async () => {
    expect(await api('/dead-letters/none.cancel-task/redrive', { json: {} })).toMatchObject({
      status: 404,
      json: { error: { code: 'unknown_letter' } },
    });
    const id = await given('cancel-task', cancelOf('x', 'guarded'));
    expect((await api(`/dead-letters/${id}/redrive`, { method: 'POST' })).status).toBe(415);
    for (const json of [{}, { all: false }, { ids: [] }, { ids: [id], all: true }])
      expect((await redrive(json)).status).toBe(400);
  });
});

describe('a world that is not open yet', () => {
  it('has callers come again', async () => {
    const server = await loopbackServer(0);
    try {
      const answer = await fetch(`${server.url}/baton/v1/world`);
      expect(answer.status).toBe(503);
      expect(apiError.parse(await answer.json()).error.code).toBe('world_starting');
    } finally {
      await server.close();
    }
  });

  it.each([70_000, -1])('cannot bind port %d', async (port) => {
    await expect(loopbackServer(port)).rejects.toMatchObject({ code: 'bad_input' });
  });
});

describe('a runner', () => {
  it('claims, confirms, beats, saves and reports with its token, and nobody else in its place', async () => {
    const { task, payload, nativeId } = await aRunningTask();
    const headers = { authorization: `Bearer ${payload.runToken}` };
    const post = (verb: string, json: object): Promise<Told> =>
      api(`/runs/${task.taskId}/1/${verb}`, { headers, json });
    const savedWork = { branch: payload.branch, commit: 'abc' };

    expect((await post('confirm', { nativeId })).status).toBe(409);
    expect(await post('claim', { nativeId })).toMatchObject({ status: 200, json: { outcome: 'claimed' } });
    expect(await post('claim', { nativeId })).toMatchObject({ status: 200, json: { outcome: 'already' } });
    const stranger = await post('claim', { nativeId: 'somebody else' });
    expect([stranger.status, errorIn(stranger).code]).toEqual([409, 'run_fenced']);
    expect((await post('confirm', { nativeId })).status).toBe(200);
    expect((await post('heartbeat', { nativeId })).status).toBe(200);
    expect((await post('heartbeat', { nativeId: 'somebody else' })).status).toBe(409);
    expect((await post('first-word', { nativeId: 'somebody else' })).status).toBe(409);
    expect(await post('first-word', { nativeId })).toMatchObject({ status: 200, json: { outcome: 'kept' } });
    expect(await post('first-word', { nativeId })).toMatchObject({ status: 200, json: { outcome: 'already' } });
    expect((await post('saved-work', { nativeId, savedWork })).status).toBe(200);
    const data = { text: 'half way' };
    expect((await post('events', { nativeId, seq: 1, type: 'RunProgressed', data })).status).toBe(202);
    const shown = await scene.until(task.taskId, ({ progress }) => progress !== undefined, 'to progress');
    expect(shown).toMatchObject({ progress: { seq: 1, text: 'half way' }, savedWork, run: { nativeId } });

    const at = new Date().toISOString();
    const result = {
      branch: payload.branch,
      commit: 'abc',
      baseCommit: 'def',
      filesChanged: 1,
      insertions: 1,
      deletions: 0,
      pullRequest: null,
    };
    const report = { schemaVersion: 1, outcome: 'succeeded', result, agentExitCode: 0, startedAt: at, endedAt: at };
    expect((await post('report', { nativeId, report: { ...report, outcome: 'perhaps' } })).status).toBe(400);
    expect(await post('report', { nativeId, report })).toMatchObject({ status: 200, json: { outcome: 'stored' } });
    expect(await post('report', { nativeId, report })).toMatchObject({ status: 200, json: { outcome: 'already' } });
    expect((await post('events', { nativeId, seq: 2, type: 'RunReported', data: {} })).status).toBe(202);
    await scene.until(task.taskId, ({ status }) => status === 'COMPLETED', 'to complete');
  });

  it('is refused with a wrong token, the token of another attempt, or none', async () => {
    const { task, payload, nativeId } = await aRunningTask();
    const claim = (path: string, authorization: string): Promise<Told> =>
      api(path, { headers: { authorization }, json: { nativeId } });
    const path = `/runs/${task.taskId}/1/claim`;
    for (const told of [
      await claim(path, 'Bearer wrong'),
      await claim(path, `Basic ${payload.runToken}`),
      await claim(path, ''),
      await claim(`/runs/${task.taskId}/2/claim`, `Bearer ${payload.runToken}`),
      await claim('/runs/t000000000000000000000000/1/claim', `Bearer ${payload.runToken}`),
    ]) {
      expect([told.status, errorIn(told).code]).toEqual([403, 'token_refused']);
    }
  });

  it('gets nothing under a reference that is none, or is not a run payload', async () => {
    const secrets = payloadSecrets(JSON.parse(readFileSync(join(scene.dataDir, 'secret'), 'utf8')));
    expect((await api('/payloads/guess', bearing(secrets.of('guess')))).status).toBe(404);
    const stored = await scene.world.engine.store.list('PAYLOAD#', { limit: 1000 });
    const prompt = stored.find(({ value }) => value === 'Do it.');
    expect(prompt).toBeDefined();
    const reference = prompt?.key.slice('PAYLOAD#'.length) ?? '';
    expect((await api(`/payloads/${reference}`, bearing(secrets.of(reference)))).status).toBe(404);
  });

  it('gets its payload with the secret that only it was given, which no event shows', async () => {
    const events = listen('/baton/v1/events');
    await events.until('connected');
    const { task, payload, nativeId, reference, secret, runDir } = await aRunningTask();
    for (const [asking, status] of [
      [{}, 403],
      [bearing(payload.runToken), 403],
      [bearing(reference), 403],
      [bearing(`${secret}AAAA`), 403],
      [bearing(secret), 200],
    ] as const) {
      const told = await api(`/payloads/${reference}`, asking);
      expect(told.status).toBe(status);
      if (status === 403)
        expect([errorIn(told).code, told.text.includes(payload.prompt)]).toEqual(['token_refused', false]);
    }
    await events.until('"lastStatus":"RUNNING"');
    expect(events.text()).toContain('"name":"BATON_PAYLOAD","value":"(left out)"');
    expect(events.text()).toContain(nativeId);
    for (const hidden of [reference, secret, payload.runToken, payload.prompt])
      expect(events.text()).not.toContain(hidden);
    for (const path of [`/tasks/${task.taskId}`, '/tasks', '/world']) {
      const { text } = await api(path);
      for (const hidden of [reference, secret, payload.runToken]) expect(text).not.toContain(hidden);
    }
    expect(statSync(join(runDir, 'run.json')).mode & 0o077).toBe(0);
    events.leave();
  });

  it('cannot say what it is not asked for', async () => {
    const { task, payload, nativeId } = await aRunningTask();
    const headers = { authorization: `Bearer ${payload.runToken}` };
    const say = (json: object): Promise<Told> => api(`/runs/${task.taskId}/1/events`, { headers, json });
    expect((await say({ nativeId, seq: 1, type: 'TaskCompleted', data: {} })).status).toBe(400);
    expect((await say({ nativeId, seq: 1, type: 'RunProgressed', data: { text: 'x'.repeat(501) } })).status).toBe(400);
    expect((await say({ nativeId, seq: 1, type: 'RunProgressed', data: { text: 'x', taskId: 'other' } })).status).toBe(
      202,
    );
    await scene.until(
      task.taskId,
      ({ ignored }) => ignored.some(({ reason }) => reason.includes('fenced')),
      'to ignore it',
    );
  });
});

describe('what is not a call of this API', () => {
  it('is told in the words of AWS that a call to AWS needs a signature', async () => {
    const told = await ask('/', { method: 'POST', headers: { 'x-amz-target': 'AWSEvents.PutEvents' }, text: '{}' });
    expect(told.status).toBe(400);
    expect(told.headers['content-type']).toBe('application/x-amz-json-1.1');
    expect(told.json).toMatchObject({ __type: 'MissingAuthenticationTokenException' });
  });

  it.each(['/', '/baton', '/baton/v1', '/baton/v2/tasks', '/baton/v1/nothing', '/baton/v1/tasks/a/b/c'])(
    'finds nothing at GET %s, and is told what there is',
    async (path) => {
      const told = await ask(path);
      expect(told.status).toBe(404);
      expect(errorIn(told)).toMatchObject({
        code: 'unknown_path',
        message: expect.stringContaining('/baton/v1/tasks'),
      });
    },
  );

  it.each([
    ['DELETE', '/tasks'],
    ['GET', '/tasks/t0/cancel'],
    ['POST', '/world'],
    ['OPTIONS', '/tasks'],
  ])('may not %s %s', async (method, path) => {
    const told = await api(path, { method });
    expect([told.status, errorIn(told).code]).toEqual([405, 'wrong_method']);
    expect(told.headers['access-control-allow-origin']).toBeUndefined();
  });

  it.each([
    ['a host of the web', 'evil.example', 403],
    ['the right host with a wrong port', '127.0.0.1:1', 403],
    ['no port', 'localhost', 403],
  ])('is refused when it comes under %s', async (_what, host, status) => {
    const told = await api('/world', { headers: { host } });
    expect([told.status, errorIn(told).code]).toEqual([status, 'host_refused']);
  });

  it('may come under any name of this machine', async () => {
    for (const name of ['localhost', '127.0.0.1', '[::1]', 'LOCALHOST']) {
      expect((await api('/world', { headers: { host: `${name}:${scene.world.port}` } })).status).toBe(200);
    }
  });

  it.each<[string, string, string | Buffer, number, string]>([
    ['a form', 'application/x-www-form-urlencoded', 'a=b', 415, 'wrong_content_type'],
    ['plain text', 'text/plain', '{}', 415, 'wrong_content_type'],
    ['half a document', 'application/json', '{"repository":', 400, 'malformed_json'],
    ['nothing', 'application/json', '', 400, 'malformed_json'],
    ['bytes that are no UTF-8', 'application/json', Buffer.from([0x22, 0xff, 0x22]), 400, 'malformed_json'],
    ['a list', 'application/json; charset=utf-8', '[]', 400, 'bad_input'],
    ['more than it takes', 'application/json', `"${'x'.repeat(BODY_MAX_BYTES)}"`, 413, 'body_too_large'],
  ])('is refused when its body is %s', async (_what, contentType, text, status, code) => {
    const told = await api('/tasks', { method: 'POST', headers: { 'content-type': contentType }, text });
    expect([told.status, errorIn(told).code]).toEqual([status, code]);
    expect((await api('/world')).status).toBe(200);
  });
});
