import { requesterOf } from '../events/define.ts';
import { idempotencyKeyReused } from '../events/idempotency-key-reused.ts';
import { taskRejected } from '../events/task-rejected.ts';
import { newTask } from '../lifecycle/new-task.ts';
import { isTerminal } from '../lifecycle/states.ts';
import { given, refusalOf, termsOf } from '../lifecycle/terms.ts';
import { acceptTask as rule } from '../rules/accept-task.ts';
import { said } from '../runtime/outcome.ts';
import { looseEvent } from '../runtime/published.ts';
import { causeOf, react } from '../runtime/react.ts';
import { requestHash, taskIdFor } from '../runtime/task-id.ts';
import { shortText } from '../schemas/json.ts';
import { type TaskRequest, taskRequest } from '../schemas/task-request.ts';

/** Who asks when nobody says so: the person at this machine. */
const USER_DEFAULT = 'local';

/** Turns a request into a task or a stored rejection. Twice is harmless: the id derives from the request, and the first answer stands. */
export const acceptTask = react(rule, async (event, ports, { mayRepeat }) => {
  const { tasks, payloads, repositories, settings, clock } = ports;
  const cause = causeOf(event);
  const at = clock.now();
  const asked = (event.detail.data ?? {}) as Partial<TaskRequest>;
  const requester = requesterOf(event.source);
  const named = typeof asked.userId === 'string' && asked.userId !== '' ? asked.userId : undefined;
  const userId = requester ?? named ?? USER_DEFAULT;
  const key = typeof asked.idempotencyKey === 'string' ? asked.idempotencyKey : undefined;
  const taskId = taskIdFor(userId, key === undefined ? { eventId: cause.id } : { key });
  const correlationId = event.detail.metadata?.correlationId ?? event.id;
  const hash = requestHash({ ...asked, userId });
  const about = { taskId, cause, correlationId, at };

  const parsed = taskRequest.safeParse(asked);
  const entry = parsed.success ? await repositories.configurationOf(parsed.data.repository) : undefined;
  const refusal = parsed.success
    ? refusalOf(parsed.data, entry, settings, { userId, requester })
    : complaints(parsed.error.issues);
  const { compute, slotKey, timeoutSeconds, ...terms } = termsOf(parsed.data ?? NOTHING, entry, settings);
  if (!parsed.success || refusal || compute === undefined) {
    const reason = { code: 'bad_request', message: shortText(refusal ?? 'the request does not fit its schema') };
    const outcome = await tasks.reject({ status: 'REJECTED', taskId, userId, requestHash: hash, reason, at, cause });
    // An earlier delivery may have stored the prompt and ended, before the configuration became another.
    const isKnown = outcome.kind === 'refused' && outcome.reason === 'answered_already';
    if (parsed.success && !isKnown) await payloads.forget(taskId);
    const fact = taskRejected.of({ taskId, userId, reason });
    const untold =
      outcome.kind === 'refused' && outcome.reason === 'rejected_already' && mayRepeat({ committedAt: event.time });
    if (outcome.kind !== 'said' && !untold) return outcome;
    return said([looseEvent(fact, { ...about, id: `${taskId}#rejected` })]);
  }

  const { repository, prompt, baseBranch, labels, origin, context } = parsed.data;
  const { timings, screening } = settings;
  const promptRef = await payloads.put(taskId, prompt);
  const task = newTask(
    {
      taskId,
      userId,
      repository,
      compute,
      ...given({ baseBranch, labels, origin, context, traceparent: event.detail.metadata?.traceparent }),
      ...(screening === 'required' ? { screening } : {}),
      ...terms,
      slotKey: slotKey ?? settings.slotKeyOf({ ...parsed.data, userId }),
      requestHash: hash,
      correlationId,
      submittedAt: at,
      deadlineAt: new Date(Date.parse(at) + timeoutSeconds * 1000).toISOString(),
      promptRef,
    },
    { cause, at, timings },
  );
  const accepted = await tasks.accept(task);
  switch (accepted.kind) {
    case 'moved':
      return accepted;
    case 'already': {
      const known = accepted.known;
      // A task that has ended needs its prompt no more, and settling may have deleted it before this put it back.
      const isNeeded = known.status !== 'REJECTED' && known.promptRef === promptRef && !isTerminal(known);
      if (!isNeeded) await payloads.delete(promptRef);
      // What this very request was refused for may hold no more, and whoever stored that may have ended before saying so.
      const isRefused = known.status === 'REJECTED' && known.cause.id === cause.id;
      if (isRefused && mayRepeat({ committedAt: event.time })) {
        const fact = taskRejected.of({ taskId, userId, reason: known.reason });
        return said([looseEvent(fact, { ...about, id: `${taskId}#rejected` })]);
      }
      if (!accepted.reused) return accepted.outcome;
      const fact = idempotencyKeyReused.of({ taskId, userId });
      return [accepted.outcome, said([looseEvent(fact, { ...about, id: `${cause.id}#IdempotencyKeyReused` })])];
    }
  }
});

/** Stands for a request that cannot be read. */
const NOTHING: TaskRequest = { repository: '', prompt: '' };

const complaints = (issues: readonly { path: readonly PropertyKey[]; message: string }[]): string =>
  issues
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message))
    .join('; ');
