import * as z from 'zod';

/** What every signal of a runner carries: which run speaks, who it is, and the order of its words. */
export const runSignal = {
  taskId: z.string(),
  attempt: z.int().min(1),
  nativeId: z.string().min(1),
  seq: z.int().min(0),
};
