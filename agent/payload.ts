import type * as z from 'zod';
import { type RunPayload, runPayload } from '../schemas/run-payload.ts';
import { Refused } from './control-plane.ts';

/** The payload that the control plane answered. Throws `Refused`, and never quotes the answer: it holds the prompt and the token. */
export function payloadFrom(answer: unknown): RunPayload {
  const parsed = runPayload.safeParse(answer);
  if (!parsed.success) throw new Refused(`The payload is not understood: ${fieldsOf(parsed.error)}`);
  return parsed.data;
}

/** The same from JSON text. */
export function payloadIn(text: string): RunPayload {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Refused('The payload is not understood: it is not JSON');
  }
  return payloadFrom(answer);
}

/** Field names only: the values are the prompt and the token. */
const fieldsOf = (error: z.ZodError): string => error.issues.map((issue) => issue.path.join('.') || 'whole').join(', ');
