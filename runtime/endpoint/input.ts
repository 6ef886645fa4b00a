import type * as z from 'zod';
import { BatonError } from '../errors.ts';

/** Parses what came from outside, or throws `bad_input` with everything that is wrong about it, field by field. */
export function inputOf<Parsed>(schema: z.ZodType<Parsed>, given: unknown, what: string): Parsed {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const complaints = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`,
  );
  throw new BatonError('bad_input', `${what}: ${complaints.join('; ')}`);
}
