import type { WorldOptions } from '../runtime/embedded-world.ts';

export type WorldNotices = Required<Pick<WorldOptions, 'onDeadLetter' | 'warn'>>;

/** Tells on standard error what a world of this process gives up and what it tries again, each in one line; with `json`, as JSON. */
export function worldNotices(complain: (text: string) => void, { json }: { readonly json: boolean }): WorldNotices {
  return {
    onDeadLetter({ event, rule, tries, at, error }) {
      const about = { id: event.id, type: event['detail-type'] };
      complain(
        json
          ? JSON.stringify({ type: 'dead-letter', at, rule, tries, event: about, error })
          : `baton: gave up ${about.type} ${about.id} for the rule ${rule} after ${tries} ${tries === 1 ? 'try' : 'tries'}: ${oneLine(error.message)} (${error.code}); the task's own alarm repairs what it can`,
      );
    },
    warn(message, error) {
      const why = error instanceof Error ? error.message : String(error);
      complain(
        json ? JSON.stringify({ type: 'warning', message, error: why }) : `baton: ${oneLine(`${message}: ${why}`)}`,
      );
    },
  };
}

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, '; ');
