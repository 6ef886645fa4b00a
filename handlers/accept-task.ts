import { requesterOf } from '../events/define.ts';
import { idempotencyKeyReused } from '../events/idempotency-key-reused.ts';
import { taskRejected } from '../events/task-rejected.ts';
import { newTask } from '../lifecycle/new-task.ts';
import { isTerminal } from '../lifecycle/states.ts';
import { ATTEMPTS_DEFAULT } from '../lifecycle/timings.ts';
import { acceptTask as rule } from '../rules/accept-task.ts';
import { said } from '../runtime/outcome.ts';
import type { Settings } from '../runtime/ports.ts';
import { looseEvent } from '../runtime/published.ts';
import { causeOf, react } from '../runtime/react.ts';
import { requestHash, taskIdFor } from '../runtime/task-id.ts';
import { shortText } from '../schemas/json.ts';
import { type TaskRequest, taskRequest } from '../schemas/task-request.ts';

/** Who asks when nobody says so: the person at this machine. */
const USER_DEFAULT = 'local';

/** Turns a request into a task or a stored rejection. Twice is harmless: the id derives from the request, and the first answer stands. */
export const acceptTask = react(rule, async (event, { tasks, payloads, settings, clock }, { mayRepeat }) => {
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
  const compute = parsed.data?.compute ?? settings.computes[0];
  const refusal = parsed.success
    ? (notYours(requester, named) ?? notAllowed(parsed.data, settings))
    : complaints(parsed.error.issues);
  if (!parsed.success || refusal || compute === undefined) {
    const reason = { code: 'bad_request', message: shortText(refusal ?? 'the request does not fit its schema') };
    const outcome = await tasks.reject({ status: 'REJECTED', taskId, userId, requestHash: hash, reason, at, cause });
    const fact = taskRejected.of({ taskId, userId, reason });
    const untold =
      outcome.kind === 'refused' && outcome.reason === 'rejected_already' && mayRepeat({ committedAt: event.time });
    if (outcome.kind !== 'said' && !untold) return outcome;
    return said([looseEvent(fact, { ...about, id: `${taskId}#rejected` })]);
  }

  const request = parsed.data;
  const timings = settings.timings;
  const promptRef = await payloads.put(taskId, request.prompt);
  const agentCommand = request.agentCommand ?? settings.defaultAgentCommand;
  const seconds = request.timeoutSeconds ?? timings.TIMEOUT_DEFAULT_S;
  const task = newTask(
    {
      taskId,
      attempts: request.attempts ?? ATTEMPTS_DEFAULT,
      userId,
      repository: request.repository,
      ...(request.baseBranch === undefined ? {} : { baseBranch: request.baseBranch }),
      compute,
      agentCommand,
      ...(request.labels ? { labels: request.labels } : {}),
      ...(request.origin
        ? {
            origin: {
              kind: request.origin.kind,
              ...(request.origin.reference === undefined ? {} : { reference: request.origin.reference }),
            },
          }
        : {}),
      slotKey: settings.slotKeyOf({ ...request, userId }),
      priority: 0,
      requestHash: hash,
      correlationId,
      ...(event.detail.metadata?.traceparent === undefined ? {} : { traceparent: event.detail.metadata.traceparent }),
      submittedAt: at,
      deadlineAt: new Date(Date.parse(at) + seconds * 1000).toISOString(),
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
      if (!accepted.reused) return accepted.outcome;
      const fact = idempotencyKeyReused.of({ taskId, userId });
      return [accepted.outcome, said([looseEvent(fact, { ...about, id: `${cause.id}#IdempotencyKeyReused` })])];
    }
  }
});

/** Who asks under a source of its own asks for itself. */
const notYours = (requester: string | undefined, named: string | undefined): string | undefined =>
  requester === undefined || named === undefined || named === requester
    ? undefined
    : `userId: "${requester}" asks under a source of its own and cannot ask for "${named}"`;

/** What this deployment does not allow or does not have. */
function notAllowed(request: TaskRequest, { agentCommandAllowed, computes }: Settings): string | undefined {
  if (request.agentCommand !== undefined && !agentCommandAllowed) {
    return 'agentCommand: this deployment takes the agent command from its configuration, not from a request';
  }
  if (computes.length === 0) return 'compute: this deployment has no back end yet; deploy one and ask again';
  if (request.compute === undefined || computes.includes(request.compute)) return undefined;
  return `compute: this deployment has no "${request.compute}"; it has ${computes.join(', ')}`;
}

const complaints = (issues: readonly { path: readonly PropertyKey[]; message: string }[]): string =>
  issues
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message))
    .join('; ');
