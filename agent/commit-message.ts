import type { RunPayload } from '../schemas/run-payload.ts';
import { plainText } from './output.ts';

/** Longest subject of a commit, in characters: git's custom. */
const SUBJECT_MAX_CHARS = 72;

/** Most bytes that one character takes in UTF-8. */
const CHARACTER_MAX_BYTES = 4;

/** First line of the prompt as the subject, the task and attempt as trailers. */
export function commitMessage(payload: RunPayload, prefix: string): string {
  const line = payload.prompt.split('\n').find((text) => text.trim() !== '') ?? '';
  const subject = plainText(`${prefix}${line}`, CHARACTER_MAX_BYTES * SUBJECT_MAX_CHARS);
  const characters = [...subject];
  const short =
    characters.length > SUBJECT_MAX_CHARS ? `${characters.slice(0, SUBJECT_MAX_CHARS - 1).join('')}…` : subject;
  return `${short || 'Work of an agent'}\n\nBaton-Task: ${payload.taskId}\nBaton-Attempt: ${payload.attempt}\n`;
}
