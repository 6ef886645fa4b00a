import type { RepositoryEntry } from '../schemas/repository-config.ts';
import type { UserTerms } from '../schemas/task-definition.ts';
import { durationText, relativeTime } from './duration.ts';
import { type Paint, shown } from './paint.ts';
import { OPTION_OF } from './repo-options.ts';
import { type Cell, table } from './task-table.ts';
import { userText } from './user-terms.ts';

/** Configurations as a table, one line each, with a heading. */
export const repositoryTable = (entries: readonly RepositoryEntry[], nowMs: number, paint: Paint): string[] =>
  table(
    ['REPOSITORY', 'SET', 'CONFIGURATION'],
    entries.map((entry): Cell[] => [
      { text: shown(entry.name) },
      { text: entry.setAt && relativeTime(entry.setAt, nowMs) },
      { text: summaryOf(entry), ...(troubleOf(entry) === undefined ? {} : { colour: paint.yellow }) },
    ]),
    paint,
  );

/** One configuration, field by field, by the names of the options that set them. */
export function repositoryText(entry: RepositoryEntry, nowMs: number, paint: Paint): string[] {
  const trouble = troubleOf(entry);
  const rows: [string, string][] = [
    ...settings(entry).flatMap(([name, values]) => values.map((value): [string, string] => [name, value])),
    ['set', entry.setAt && `${entry.setAt} (${relativeTime(entry.setAt, nowMs)})`],
  ];
  return [
    paint.bold(shown(entry.name)),
    '',
    ...rows.map(([name, value]) => `  ${paint.dim(name.padEnd(20))}${shown(value)}`),
    ...(trouble === undefined ? [] : ['', `  ${paint.yellow(trouble)}`]),
  ];
}

/** What to say about a configuration that its deployment cannot serve. */
export const warningOf = (warning: string): string => `its tasks are refused: ${shown(warning)}`;

/** Why the tasks of a configuration are refused, if they are. */
const troubleOf = ({ warning, unreadable }: RepositoryEntry): string | undefined =>
  unreadable === undefined
    ? warning && warningOf(warning)
    : `unreadable, its tasks are refused: ${shown(unreadable)} (another version of Baton set it)`;

function summaryOf(entry: RepositoryEntry): string {
  const told = settings(entry).map(([name, values]) =>
    values.length === 1 ? `${name} ${values[0]}` : `${name} ×${values.length}`,
  );
  const trouble = troubleOf(entry);
  return shown([...told, ...(trouble === undefined ? [] : [trouble])].join(', '));
}

/** Fields that are set, each with its values as text. */
function settings({ config }: RepositoryEntry): [string, string[]][] {
  const fields = Object.keys(OPTION_OF) as (keyof typeof OPTION_OF)[];
  return fields.flatMap((field): [string, string[]][] => {
    const value = config[field];
    return value === undefined ? [] : [[OPTION_OF[field], valuesOf(field, value)]];
  });
}

function valuesOf(field: keyof typeof OPTION_OF, value: unknown): string[] {
  if (field === 'timeoutSeconds' || field === 'firstOutputSeconds') return [durationText(Number(value) * 1000)];
  if (field === 'users') return usersOf(value as Readonly<Record<string, UserTerms>>);
  if (field === 'subscribers')
    return (value as { channel: string; target: string }[]).map(({ channel, target }) => `${channel}=${target}`);
  if (field === 'environment')
    return Object.entries(value as Record<string, string>).map(([name, reference]) => `${name}=${reference}`);
  return [String(value)];
}

/** Each as `--user` takes it. Nobody at all is told too: then every task is refused. */
function usersOf(users: Readonly<Record<string, UserTerms>>): string[] {
  const told = Object.entries(users).map(([userId, terms]) => userText(userId, terms));
  return told.length === 0 ? ['nobody'] : told;
}
