import { screeningBlocked } from '../events/screening-blocked.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskScreened } from '../events/task-screened.ts';
import { awaitsScreening } from '../lifecycle/admission.ts';
import { ignore, type Move, step } from '../lifecycle/move.ts';
import { isTerminal, runOf } from '../lifecycle/states.ts';
import { screenTask as rule } from '../rules/screen-task.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { shortText } from '../schemas/json.ts';
import { because } from '../schemas/reason.ts';
import type { ScreenedText, ScreeningFinding, ScreeningVerdict } from '../schemas/screening.ts';
import type { Task } from '../schemas/task.ts';

/**
 * Has a text screened before anything acts on it; what is not passed ends the task, whether something was found or nobody could look.
 * Twice is harmless: only the version that asked moves, and a text may be screened as often as anybody likes. Where two deliveries get
 * different answers, the worse one holds as long as no run has it.
 */
export const screenTask = react(rule, async (event, { tasks, payloads, screening }) => {
  const { taskId, version } = subject(event);
  const cause = causeOf(event);
  const of: ScreenedText = event['detail-type'] === 'ContextFetched' ? 'context' : 'request';
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  if (task.version !== version) return tasks.decide(taskId, cause, () => ignore('task_has_moved_on'));

  if (!awaitsScreening(task, of)) return refused('needs_no_screening');
  const ref = of === 'context' ? task.contextRef : task.promptRef;
  const text = ref === undefined ? undefined : await payloads.get(ref);
  const verdict = text === undefined ? GONE : await screening.screen({ taskId, of, text });
  const outcome = await tasks.decide(taskId, cause, (now) =>
    now.version === version ? answer(now, of, verdict) : ignore('task_has_moved_on'),
  );
  if (outcome.kind === 'moved' || verdict.outcome === 'passed') return outcome;
  // Another delivery moved the task on while this one was screened: its answer was a better one.
  const late = await tasks.decide(taskId, { id: `${cause.id}#${verdict.outcome}`, type: 'TextScreened' }, (now) =>
    isTerminal(now) || runOf(now) ? ignore('task_has_moved_on') : answer(now, of, verdict),
  );
  return late.kind === 'moved' ? late : outcome;
});

const GONE: ScreeningVerdict = { outcome: 'failed', message: 'It is not in the payload store any more.' };

function answer(task: Task, of: ScreenedText, verdict: ScreeningVerdict): Move {
  const what = of === 'request' ? 'the request' : `the text of ${task.context}`;
  switch (verdict.outcome) {
    case 'passed': {
      const screened = [...(task.screened ?? []), of];
      return of === 'request'
        ? step('screenRequest', { screened }, [taskScreened.of({ of })])
        : step('screenContext', { screened }, [taskScreened.of({ of })]);
    }
    case 'blocked': {
      const { findings } = verdict;
      const reason = because('guardrail_blocked', `The guardrail blocked ${what}: ${inWords(findings)}.`);
      const blocked = screeningBlocked.of({ of, outcome: 'blocked', findings });
      return step('fail', { reason, detectedBy: 'event' }, [blocked, taskFailed.of({ reason })]);
    }
    case 'failed': {
      const message = shortText(verdict.message);
      const reason = because('screening_failed', `Nobody could screen ${what}: ${message}`);
      const blocked = screeningBlocked.of({ of, outcome: 'failed', findings: [], message });
      return step('fail', { reason, detectedBy: 'event' }, [blocked, taskFailed.of({ reason })]);
    }
  }
}

const inWords = (findings: readonly ScreeningFinding[]): string =>
  findings.map(({ filter, confidence }) => (confidence ? `${filter} (${confidence})` : filter)).join(', ') ||
  'it did not say why';
