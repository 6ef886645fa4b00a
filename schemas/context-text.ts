/** Largest text that a task may bring along beside its prompt, in bytes of UTF-8: what lies behind is seldom what a task is about. */
export const CONTEXT_MAX_BYTES = 1024 * 1024;

/** Stands where the rest was. */
const CUT_NOTE = '\n\n[The rest is left out: the text is longer than 1 MiB.]\n';

/** The text as it is, or its beginning and a note that there was more; never longer than CONTEXT_MAX_BYTES. */
export function boundedContext(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= CONTEXT_MAX_BYTES) return text;
  const room = CONTEXT_MAX_BYTES - bytesOf(CUT_NOTE);
  // Reading on, the decoder holds back a character of which only the first bytes came.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, room), { stream: true }) + CUT_NOTE;
}

export const bytesOf = (text: string): number => new TextEncoder().encode(text).length;
