/** Largest text that a task may bring along beside its prompt, in bytes of UTF-8: what lies behind is seldom what a task is about. */
export const CONTEXT_MAX_BYTES = 1024 * 1024;

/**
 * The same where the text must pass screening, which has 20 seconds: half of what 25 text units of 1,000 characters per second allow, the
 * quota of an account in most regions, so that two tasks at a time can be judged.
 */
export const SCREENED_CONTEXT_MAX_BYTES = 256 * 1024;

/** Stands where the rest was. */
const CUT_NOTE = '\n\n[The rest is left out: the text is longer than 1 MiB.]\n';
const SCREENED_CUT_NOTE =
  '\n\n[The rest is left out: the text is longer than 256 KiB, and more cannot be screened in time.]\n';

/** The text as it is, or its beginning and a note that there was more; never longer than its bound. */
export function boundedContext(text: string, { screened }: { screened: boolean }): string {
  const [most, note] = screened ? [SCREENED_CONTEXT_MAX_BYTES, SCREENED_CUT_NOTE] : [CONTEXT_MAX_BYTES, CUT_NOTE];
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= most) return text;
  const room = most - bytesOf(note);
  // Reading on, the decoder holds back a character of which only the first bytes came.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, room), { stream: true }) + note;
}

export const bytesOf = (text: string): number => new TextEncoder().encode(text).length;
