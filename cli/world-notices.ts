import type { WorldOptions } from '../runtime/embedded-world.ts';

/** Tells on standard error what a world of this process gives up, and with BATON_DEBUG=1 also what it tries again. */
export function worldNotices(complain: (text: string) => void): Required<Pick<WorldOptions, 'onDeadLetter' | 'warn'>> {
  return {
    onDeadLetter: ({ event, rule, tries, error }) =>
      complain(
        `baton: gave up ${event['detail-type']} ${event.id} for the rule ${rule} after ${tries} tries: ${error.message} (${error.code}); the task's own alarm repairs what it can`,
      ),
    warn: (message, error) => {
      if (process.env['BATON_DEBUG'] === '1') complain(`baton: ${message}: ${String(error)}`);
    },
  };
}
