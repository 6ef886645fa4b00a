import { code, GENERATED, page, table } from './markdown.ts';

type ErrorCodes = Readonly<Record<string, { readonly retry: string; readonly remedy: string }>>;

/** `docs/errors.md`: what can go wrong, as the registries say it. */
export function errorsPage(
  errors: ErrorCodes,
  reasons: Readonly<Record<string, string>>,
  runnerExits: Readonly<Record<string, number>>,
): string {
  return page(
    GENERATED,
    '# Errors and reasons',
    '## Error codes',
    'What Baton throws carries one of these. *soon*: the delivery is tried again. *later*: a due date brings it back. *never*: it goes to the dead letters. The [runbook](runbook.md) has a section for each.',
    table(
      ['code', 'tried again', 'what to do'],
      Object.entries(errors).map(([name, { retry, remedy }]) => [`[${code(name)}](runbook.md#${name})`, retry, remedy]),
    ),
    '## Reasons',
    'Why a task or a run ended as it did: `reason.code` of a task. An agent may give a code of its own; then its log says more.',
    table(
      ['reason', 'what to do'],
      Object.entries(reasons).map(([name, remedy]) => [code(name), remedy]),
    ),
    '## Exit codes of the runner',
    'As seen in native events. `schemas/exit-codes.ts` says what each means; only an exit without a stored report is judged by its code.',
    table(
      ['name', 'code'],
      Object.entries(runnerExits).map(([name, exit]) => [code(name), String(exit)]),
    ),
  );
}
