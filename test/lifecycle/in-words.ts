import type { Move } from '../../lifecycle/move.ts';

/**
 * A move as one line, so that tables of decisions can be read: `stop lost spot_interrupted: RunEnded`,
 * `mark ended proven: RunEnded`, `ignore stale`.
 */
export function inWords(move: Move): string {
  switch (move.kind) {
    case 'step': {
      const { intent, reason } = move.bring as { intent?: string; reason?: { code: string } };
      return line([move.name, intent, reason?.code], move.facts);
    }
    case 'mark':
      return line(
        ['mark', move.run?.ended && `ended ${move.run.ended.proof}`, move.settledAt && 'settled'],
        move.notes.map(({ fact }) => fact),
      );
    case 'repeat':
      return line(
        ['repeat'],
        move.notes.map(({ fact }) => fact),
      );
    case 'ignore':
      return `ignore ${move.reason}`;
  }
}

const line = (words: readonly (string | undefined)[], facts: readonly { type: string }[]): string =>
  [words.filter(Boolean).join(' '), facts.map(({ type }) => type).join(', ')].filter(Boolean).join(': ');
