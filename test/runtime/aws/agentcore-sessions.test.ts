import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore';
import { describe, expect, it } from '@jest/globals';
import { startedByOf } from '../../../lifecycle/ecs-task.ts';
import { agentcoreSessions } from '../../../runtime/aws/agentcore-sessions.ts';
import type { StartSession } from '../../../runtime/ports.ts';
import {
  QUOTA_PAUSE_S,
  type SessionBackendOptions,
  sessionBackend,
  THROTTLE_PAUSE_S,
} from '../../../runtime/session-backend.ts';
import {
  type AgentcoreHandle,
  agentcoreHandle,
  INVOCATION_MAX_BYTES,
  parseSessionId,
  sessionIdOf,
  sessionInvocation,
} from '../../../schemas/agentcore-session.ts';
import { aTaskId } from '../../builders.ts';
import { type Answer, anError, aWire, type Script, type Wire } from './wire.ts';

const ARN = 'arn:aws:bedrock-agentcore:eu-west-1:000000000000:runtime/baton_agent-0123456789';
const OWNER = { stage: 'test', taskId: aTaskId(), attempt: 1 };
const SESSION = sessionIdOf(OWNER);
const HANDLE: AgentcoreHandle = { backend: 'agentcore', runtimeArn: ARN, qualifier: 'live', sessionId: SESSION };
const INVOKE = `POST /runtimes/${ARN}/invocations`;
const STOP = `POST /runtimes/${ARN}/stopruntimesession`;

const theRun: StartSession = {
  taskId: aTaskId(),
  attempt: 1,
  startedBy: startedByOf('test', aTaskId(), 1),
  clientToken: `${aTaskId()}-1`,
  environment: { BATON_TASK_ID: aTaskId(), BATON_ATTEMPT: '1', BATON_PAYLOAD: 'ref' },
  command: [],
  session: HANDLE,
};
const repeated: StartSession = { ...theRun, repeats: true };
const accepted = { body: { status: 'accepted', sessionId: SESSION, taskId: aTaskId(), attempt: 1 } };
const stopped: Answer = { body: {} };
const none = anError('ResourceNotFoundException', 'no such session', 404);

type Options = Partial<SessionBackendOptions> & { maxAttempts?: number; requestHandler?: object };
async function aBackend(script: Script, { maxAttempts = 1, requestHandler = {}, ...options }: Options = {}) {
  const wire = await aWire(script);
  const failures: unknown[] = [];
  const compute = sessionBackend({
    sessions: agentcoreSessions(new BedrockAgentCoreClient({ ...wire.client, maxAttempts, requestHandler })),
    runtimeArn: ARN,
    qualifier: 'live',
    lifeOf: async () => undefined,
    failed: (error) => failures.push(error),
    ...options,
  });
  return { compute, wire, failures };
}

const answering =
  (answers: { invoke?: Answer | Script; stop?: Answer | Script }): Script =>
  (call, nth) => {
    const answer = call.operation.endsWith('/invocations') ? answers.invoke : answers.stop;
    if (answer === undefined) return anError('Unscripted', call.operation);
    return typeof answer === 'function' ? answer(call, nth) : answer;
  };
const operations = (wire: Wire) => wire.calls.map(({ operation }) => operation);

describe('the session id of an attempt', () => {
  it.each(['a', 'main', 'a-stage-of-16-ch'])(
    'is one that AgentCore takes, and tells whose it is: stage %s',
    (stage) => {
      const owner = { stage, taskId: aTaskId(), attempt: 12 };
      expect(sessionIdOf(owner)).toMatch(/^[A-Za-z0-9_-]{33,100}$/);
      expect(parseSessionId(sessionIdOf(owner))).toEqual(owner);
    },
  );

  it('is another for every task, attempt and stage', () => {
    const others = [
      OWNER,
      { ...OWNER, attempt: 2 },
      { ...OWNER, stage: 'test-1' },
      { ...OWNER, taskId: aTaskId('green') },
    ];
    expect(new Set(others.map(sessionIdOf)).size).toBe(4);
  });

  it.each(['', SESSION.slice(1), `${SESSION}x`, SESSION.replace('-1', '-0')])(
    'is not read from what is none: "%s"',
    (id) => {
      expect(parseSessionId(id)).toBeUndefined();
    },
  );
});

describe('a run that is started', () => {
  it('is one session at the endpoint, invoked with the variables that every back end has', async () => {
    const { compute, wire } = await aBackend(answering({ invoke: accepted }));
    expect(await compute.start(theRun)).toEqual({ outcome: 'started', handle: HANDLE });
    expect(operations(wire)).toEqual([INVOKE]);
    const [call] = wire.calls;
    expect(call?.url.searchParams.get('qualifier')).toBe('live');
    expect(sessionInvocation.parse(call?.body)).toEqual({
      schemaVersion: 1,
      sessionId: SESSION,
      taskId: aTaskId(),
      attempt: 1,
      environment: theRun.environment,
    });
  });

  // A2
  it('gives a handle that survives a JSON round trip', async () => {
    const { compute } = await aBackend(answering({ invoke: accepted }));
    const started = await compute.start(theRun);
    if (started.outcome === 'refused') throw new Error(started.reason.message);
    expect(agentcoreHandle.parse(JSON.parse(JSON.stringify(started.handle)))).toEqual(HANDLE);
  });

  it('is invoked with the same bytes at every try, whatever the order of its variables', async () => {
    const { compute, wire } = await aBackend(answering({ invoke: accepted }));
    await compute.start(theRun);
    await compute.start({ ...theRun, environment: Object.fromEntries(Object.entries(theRun.environment).reverse()) });
    expect(wire.calls[1]?.text).toBe(wire.calls[0]?.text);
  });

  it('is started when it had been before', async () => {
    const already = { body: { ...accepted.body, status: 'already' } };
    const { compute } = await aBackend(answering({ invoke: already }));
    expect(await compute.start(repeated)).toEqual({ outcome: 'started', handle: HANDLE });
  });

  it('is asked for again in the same session when the answer was lost', async () => {
    const { compute, wire } = await aBackend((_, nth) => (nth === 0 ? 'hang up' : accepted), { maxAttempts: 2 });
    expect(await compute.start(theRun)).toMatchObject({ outcome: 'started' });
    expect(wire.calls[1]?.text).toBe(wire.calls[0]?.text);
  });

  it('has the time that a new container takes, however impatient its client is otherwise', async () => {
    const { compute, wire } = await aBackend(answering({ invoke: { ...accepted, afterMs: 400 } }), {
      maxAttempts: 3,
      requestHandler: { requestTimeout: 50, throwOnRequestTimeout: true },
    });
    expect(await compute.start(theRun)).toMatchObject({ outcome: 'started' });
    expect(wire.calls).toHaveLength(1);
  });

  it.each([
    ['is larger than references are', { environment: { BATON_BIG: 'x'.repeat(INVOCATION_MAX_BYTES) } }, 'at most 8192'],
    ['has a variable that is not of Baton', { environment: { NODE_OPTIONS: '--require evil' } }, 'NODE_OPTIONS'],
    ['is of something that is no task', { taskId: 'tshort' }, 'taskId'],
    ['has a session that AgentCore would not take', { session: { ...HANDLE, sessionId: 'short' } }, 'sessionId'],
  ])('is refused without a call when it %s', async (_, changes, told) => {
    const { compute, wire } = await aBackend(answering({ invoke: accepted }));
    const reason = { code: 'start_refused', message: expect.stringContaining(told) };
    expect(await compute.start({ ...theRun, ...changes })).toEqual({ outcome: 'refused', reason });
    expect(wire.calls).toEqual([]);
  });

  it.each([
    ['something else', { body: { hello: 'world' } }],
    ['of another session', { body: { ...accepted.body, sessionId: `${SESSION}0` } }],
    ['for ever', { body: { status: 'x'.repeat(10_000) } }],
  ])('is stopped and refused when a strange container answers %s', async (_, answer) => {
    const { compute, wire } = await aBackend(answering({ invoke: answer, stop: stopped }));
    expect(await compute.start(theRun)).toMatchObject({ outcome: 'refused', reason: { code: 'start_refused' } });
    expect(operations(wire)).toEqual([INVOKE, STOP]);
  });
});

describe('a start that fails', () => {
  it.each([
    ['AccessDeniedException', 403, 'start_refused'],
    ['ValidationException', 400, 'start_refused'],
    ['ResourceNotFoundException', 404, 'start_refused'],
  ])('and started nothing is refused, with a reason of its own: %s %i', async (name, status, code) => {
    const { compute } = await aBackend(answering({ invoke: anError(name, 'because', status) }));
    const message = `AgentCore InvokeAgentRuntime: ${name}: because`;
    expect(await compute.start(theRun)).toEqual({ outcome: 'refused', reason: { code, message } });
  });

  // F20
  it.each([
    ['for want of a quota', 'ServiceQuotaExceededException', 402, 'no_capacity', QUOTA_PAUSE_S],
    ['since too many begin', 'ThrottlingException', 429, 'start_throttled', THROTTLE_PAUSE_S],
  ])('%s is worth a pause', async (_, name, status, code, pauseSeconds) => {
    const { compute } = await aBackend(answering({ invoke: anError(name, 'full', status) }));
    const reason = { code, message: expect.stringContaining('full') };
    expect(await compute.start(theRun)).toEqual({ outcome: 'refused', reason, pauseSeconds });
  });

  // A23
  it.each([
    ['AccessDeniedException', 403, 'compute_denied'],
    ['ResourceNotFoundException', 404, 'compute_invalid'],
  ])('since somebody must mend it says so loudly: %s', async (name, status, code) => {
    const { compute, failures } = await aBackend(answering({ invoke: anError(name, 'because', status) }));
    await compute.start(theRun);
    expect(failures).toMatchObject([{ code, message: expect.stringContaining(name) }]);
  });

  it.each([
    ['RetryableConflictException', 409],
    ['InternalServerException', 500],
  ])('in a way that does not tell what it did throws, and is tried again: %s', async (name, status) => {
    const { compute } = await aBackend(answering({ invoke: anError(name, 'because', status) }));
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_unavailable', retry: 'soon' });
  });

  it('in a conflict is tried again by the client at once', async () => {
    const { compute, wire } = await aBackend(
      (_, nth) => (nth < 2 ? anError('RetryableConflictException', 'not yet', 409) : accepted),
      { maxAttempts: 3 },
    );
    expect(await compute.start(theRun)).toMatchObject({ outcome: 'started' });
    expect(wire.calls).toHaveLength(3);
  });

  it('since its container was lost is a lost run, once its session is known to be gone', async () => {
    const lost = anError('RuntimeClientError', 'container failed', 424);
    const { compute, wire } = await aBackend(answering({ invoke: lost, stop: none }));
    expect(await compute.start(theRun)).toEqual({
      outcome: 'refused',
      reason: { code: 'never_started', message: expect.stringContaining('container failed') },
    });
    expect(operations(wire)).toEqual([INVOKE, STOP]);
  });

  it('since its container was lost is tried again while its session may still do something', async () => {
    const lost = anError('RuntimeClientError', 'container failed', 424);
    const { compute } = await aBackend(answering({ invoke: lost, stop: stopped }));
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_unavailable', retry: 'soon' });
  });

  // What turns a call away says nothing of an earlier one, which may have started the run.
  it.each([
    ['ThrottlingException', 429, 'compute_throttled', 'soon'],
    ['ServiceQuotaExceededException', 402, 'compute_capacity', 'soon'],
    ['AccessDeniedException', 403, 'compute_denied', 'never'],
    ['ResourceNotFoundException', 404, 'compute_invalid', 'never'],
  ])('with %s when it is repeated throws', async (name, status, code, retry) => {
    const { compute } = await aBackend(answering({ invoke: anError(name, 'because', status) }));
    await expect(compute.start(repeated)).rejects.toMatchObject({ code, retry });
  });

  it.each([
    ['an answer that was lost', 'hang up' as const],
    ['an error of AgentCore itself', anError('InternalServerException', '', 500)],
  ])('after %s is no refusal, whatever the client was told last', async (_, first) => {
    const script: Script = (_call, nth) => (nth === 0 ? first : anError('ThrottlingException', 'Rate exceeded', 429));
    const { compute, wire } = await aBackend(script, { maxAttempts: 2 });
    await expect(compute.start(theRun)).rejects.toMatchObject({ code: 'compute_throttled' });
    expect(wire.calls).toHaveLength(2);
  });
});

describe('a run that is stopped', () => {
  // A20
  it('is stopped at the runtime and endpoint at which it was started, whatever is configured now', async () => {
    const old = { ...HANDLE, runtimeArn: `${ARN}-old`, qualifier: 'old' };
    const { compute, wire } = await aBackend(answering({ stop: stopped }));
    expect(await compute.stop(old, 'cancelled')).toBe('stopping');
    expect(operations(wire)).toEqual([`POST /runtimes/${ARN}-old/stopruntimesession`]);
    expect(wire.calls[0]?.url.searchParams.get('qualifier')).toBe('old');
  });

  it('is asked to stop anew each time: one that began again must not be taken for one that was stopped', async () => {
    const { compute, wire } = await aBackend(answering({ stop: stopped }));
    await compute.stop(HANDLE, 'cancelled');
    await compute.stop(HANDLE, 'cancelled');
    const tokens = wire.calls.map(({ body }) => (body as { clientToken?: string }).clientToken);
    expect(tokens[0] === undefined || tokens[0] !== tokens[1]).toBe(true);
  });

  it.each([
    ['has ended, since it had claimed', { life: 'over', claimed: true } as const, 'already_ended'],
    ['never was, as far as anybody knows', { life: 'starting', claimed: false } as const, 'not_found'],
    ['never was', undefined, 'not_found'],
  ])('and is not there %s', async (_, life, outcome) => {
    const asked: unknown[] = [];
    const { compute } = await aBackend(answering({ stop: none }), {
      lifeOf: async (owner) => {
        asked.push(owner);
        return life;
      },
    });
    expect(await compute.stop(HANDLE, 'cancelled')).toBe(outcome);
    expect(asked).toEqual([OWNER]);
  });

  it('while it is taken down is tried again by the client', async () => {
    const { compute, wire } = await aBackend(
      (_, nth) => (nth < 2 ? anError('RetryableConflictException', 'not yet', 409) : stopped),
      { maxAttempts: 3 },
    );
    expect(await compute.stop(HANDLE, 'cancelled')).toBe('stopping');
    expect(wire.calls).toHaveLength(3);
  });

  // A23
  it.each([
    ['RetryableConflictException', 409, 'compute_unavailable', 'soon'],
    ['ConflictException', 409, 'compute_unavailable', 'soon'],
    ['InternalServerException', 500, 'compute_unavailable', 'soon'],
    ['RuntimeClientError', 424, 'compute_unavailable', 'soon'],
    ['ThrottlingException', 429, 'compute_throttled', 'soon'],
    ['AccessDeniedException', 403, 'compute_denied', 'never'],
    ['UnauthorizedException', 401, 'compute_denied', 'never'],
    ['ValidationException', 400, 'compute_invalid', 'never'],
  ])('and not by %s %i throws %s, to be tried again %s', async (name, status, code, retry) => {
    const { compute } = await aBackend(answering({ stop: anError(name, 'because', status) }));
    await expect(compute.stop(HANDLE, 'cancelled')).rejects.toMatchObject({ code, retry });
  });
});

describe('a run that is asked about', () => {
  const question = { startedBy: theRun.startedBy };
  const asked = async (life: Awaited<ReturnType<SessionBackendOptions['lifeOf']>>, stop?: Answer) =>
    aBackend(answering({ ...(stop ? { stop } : {}) }), { lifeOf: async () => life });

  it('is unknown where nobody ever opened its record', async () => {
    const { compute, wire } = await asked(undefined);
    expect(await compute.ask(question)).toEqual([]);
    expect(wire.calls).toEqual([]);
  });

  // F27: nothing is done to a run that shows life.
  it.each([
    ['starting', 'starting'],
    ['alive', 'running'],
  ] as const)('is left alone while it is %s', async (life, phase) => {
    const { compute, wire } = await asked({ life, claimed: life === 'alive' });
    const { taskId, attempt } = OWNER;
    expect(await compute.ask(question)).toEqual([{ taskId, attempt, nativeId: SESSION, handle: HANDLE, phase }]);
    expect(wire.calls).toEqual([]);
  });

  it.each(['silent', 'over'] as const)(
    'is stopped when it is %s, and has not ended before it is gone',
    async (life) => {
      const { compute, wire } = await asked({ life, claimed: true }, stopped);
      expect(await compute.ask(question)).toMatchObject([{ phase: 'running' }]);
      expect(operations(wire)).toEqual([STOP]);
    },
  );

  it('is not taken for running when something was stopped that nobody had claimed', async () => {
    const { compute } = await asked({ life: 'silent', claimed: false }, stopped);
    expect(await compute.ask(question)).toMatchObject([{ phase: 'starting' }]);
  });

  it.each([
    ['silent', { kind: 'lost', reason: { code: 'compute_gone' } }],
    ['over', { kind: 'stopped' }],
  ] as const)('has ended when it is %s and its session is gone', async (life, end) => {
    const { compute } = await asked({ life, claimed: true }, none);
    expect(await compute.ask(question)).toMatchObject([{ phase: 'ended', end, handle: HANDLE }]);
  });

  it('is unknown when nobody claimed it and its session is gone', async () => {
    const { compute } = await asked({ life: 'silent', claimed: false }, none);
    expect(await compute.ask(question)).toEqual([]);
  });

  it('is asked about by its own handle', async () => {
    const old = { ...HANDLE, qualifier: 'old' };
    const { compute, wire } = await asked({ life: 'silent', claimed: true }, none);
    expect(await compute.ask({ ...question, handle: old })).toMatchObject([{ handle: old }]);
    expect(wire.calls[0]?.url.searchParams.get('qualifier')).toBe('old');
  });

  it('is not taken for gone when AgentCore does not answer', async () => {
    const { compute } = await asked({ life: 'silent', claimed: true }, anError('InternalServerException', '', 500));
    await expect(compute.ask(question)).rejects.toMatchObject({ code: 'compute_unavailable' });
  });
});
