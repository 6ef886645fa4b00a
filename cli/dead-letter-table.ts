import type { DeadLetterView, Redriven } from '../schemas/world-api.ts';
import { relativeTime } from './duration.ts';
import { type Paint, shown } from './paint.ts';
import { table } from './task-table.ts';

/** Dead letters as a table, one line each, with a heading. */
export function deadLetterTable(letters: readonly DeadLetterView[], nowMs: number, paint: Paint): string[] {
  return table(
    ['ID', 'RULE', 'EVENT', 'TASK', 'TRIES', 'GIVEN UP', 'CAUSE'],
    letters.map(({ id, rule, event, taskId = '', tries, at, error }) => [
      { text: id },
      { text: rule },
      { text: shown(event['detail-type']) },
      { text: shown(taskId) },
      { text: tries === undefined ? '' : String(tries) },
      { text: relativeTime(at, nowMs) },
      { text: `${error.code}: ${shown(error.message)}`, colour: paint.red },
    ]),
    paint,
  );
}

/** What to do about each cause, once. */
export function remediesOf(letters: readonly DeadLetterView[], paint: Paint): string[] {
  const remedies = new Map(letters.map(({ error: { code, remedy } }) => [code, remedy]));
  return [...remedies].map(([code, remedy]) => `${paint.bold(code)}: ${shown(remedy)}`);
}

/** What became of one letter, in a line. */
export function redrivenText({ id, rule, outcome, error }: Redriven, paint: Paint): string {
  const about = [id, rule].filter((part) => part !== undefined).join('  ');
  return `${about}  ${said(outcome, paint)}${error ? `: ${error.code}: ${shown(error.message)}` : ''}`;
}

function said(outcome: Redriven['outcome'], paint: Paint): string {
  switch (outcome) {
    case 'handled':
      return paint.green('handled');
    case 'sent':
      return paint.green('handed over again');
    case 'under_way':
      return paint.yellow('under way');
    case 'failed':
      return paint.red('failed again, and is kept');
    case 'unknown_letter':
      return paint.yellow('is no longer there');
    case 'unknown_rule':
      return paint.red('kept: this world has no such rule');
    case 'not_an_event':
      return paint.red('kept: it holds no event');
  }
}
