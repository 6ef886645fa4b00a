import * as z from 'zod';
import { TEXT_MAX_CHARS } from './json.ts';

/** Which text of a task is screened: what was asked for, or what was fetched for it. */
export const screenedText = z.enum(['request', 'context']);
export type ScreenedText = z.infer<typeof screenedText>;

/** Most findings that a fact carries: more of them say nothing new. */
export const FINDINGS_MAX = 16;

/** What a filter found. Never the text: a fact is archived. */
export const screeningFinding = z.object({
  /** Kind of policy, as `ApplyGuardrail` groups its assessments: content, topic, word, sensitive information, grounding. */
  policy: z.string().max(64),
  /** The filter's own name: `PROMPT_ATTACK`, the name of a topic, a type of personal data. */
  filter: z.string().max(128),
  /** How sure the filter is, where it says so. */
  confidence: z.enum(['NONE', 'LOW', 'MEDIUM', 'HIGH']).optional(),
});
export type ScreeningFinding = z.infer<typeof screeningFinding>;

/** `passed`, or why not: something was found, or nobody could look. Both keep the task from compute. */
export const screeningVerdict = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('passed') }),
  z.object({ outcome: z.literal('blocked'), findings: z.array(screeningFinding).max(FINDINGS_MAX) }),
  z.object({ outcome: z.literal('failed'), message: z.string().max(TEXT_MAX_CHARS) }),
]);
export type ScreeningVerdict = z.infer<typeof screeningVerdict>;
