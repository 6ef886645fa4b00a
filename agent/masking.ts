import { MASKED_MIN_CHARS } from './limits.ts';

/** Takes out of the agent's output what nobody may read there. */
export interface Masking {
  /** The text with `***` for every secret in it, and for secrets that overlap as a whole. */
  masked(text: string): string;
  /** Where the text is cut so that no secret is: at the position, or just before the secret that lies across it. */
  cutAt(text: string, position: number): number;
  /** Length of the longest secret: so much of a text must be known behind a cut. */
  readonly longest: number;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * Masks values line by line, for what has several lines is printed as several; each as it is, and as it stands within JSON. What has
 * fewer than `MASKED_MIN_CHARS` characters stays readable: masked, it would make holes everywhere and hide nothing.
 */
export function masking(values: readonly string[]): Masking {
  const lines = values.flatMap((value) => value.split(/[\r\n]+/)).map((line) => line.trim());
  const forms = lines.flatMap((line) => [line, JSON.stringify(line).slice(1, -1)]);
  const secrets = [...new Set(forms.filter((form) => form.length >= MASKED_MIN_CHARS))];
  const longest = Math.max(0, ...secrets.map((secret) => secret.length));
  return {
    longest,
    masked: (text) => {
      let shown = '';
      let at = 0;
      for (const { from, to } of spansOf(secrets, text)) {
        shown += `${text.slice(at, from)}***`;
        at = to;
      }
      return shown + text.slice(at);
    },
    cutAt: (text, position) => {
      const spans = spansOf(secrets, text.slice(0, position + longest));
      const across = spans.find(({ from, to }) => from < position && position < to);
      if (across === undefined) return position;
      return across.from > 0 ? across.from : across.to;
    },
  };
}

/** Where secrets stand, in order; those that overlap are one. */
function spansOf(secrets: readonly string[], text: string): readonly Span[] {
  const found: Span[] = [];
  for (const secret of secrets) {
    for (let from = text.indexOf(secret); from !== -1; from = text.indexOf(secret, from + 1)) {
      found.push({ from, to: from + secret.length });
    }
  }
  const spans: Span[] = [];
  for (const span of found.sort((a, b) => a.from - b.from)) {
    const last = spans.at(-1);
    if (last === undefined || last.to <= span.from) spans.push(span);
    else spans[spans.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
  }
  return spans;
}
