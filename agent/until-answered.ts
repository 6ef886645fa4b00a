import { setTimeout as sleep } from 'node:timers/promises';
import { type Patience, Unavailable } from './control-plane.ts';
import { TRY_PAUSE_FIRST_MS, TRY_PAUSE_MAX_MS, TRY_TIMEOUT_MS } from './limits.ts';

/** What one try came to: an answer, or a sentence that says why another try may help. */
export type Tried<Answer> = { readonly answer: Answer } | { readonly tryAgain: string };

/**
 * Tries until there is an answer, with growing pauses between; throws `Unavailable` when the patience ended first, and at once what
 * a try throws. Each try is told how many milliseconds it may take; `whom` is who is waited for.
 */
export async function untilAnswered<Answer>(
  patience: Patience,
  tryOnce: (timeoutMs: number) => Promise<Tried<Answer>>,
  whom = 'Baton',
): Promise<Answer> {
  let pauseMs = TRY_PAUSE_FIRST_MS;
  for (;;) {
    const tried = await tryOnce(Math.ceil(Math.min(TRY_TIMEOUT_MS, Math.max(patience(), 1))));
    if ('answer' in tried) return tried.answer;
    const leftMs = patience();
    if (leftMs <= 0) throw new Unavailable(`${whom} does not answer: ${tried.tryAgain}`);
    await sleep(Math.min(pauseMs * (0.5 + Math.random() / 2), leftMs));
    pauseMs = Math.min(pauseMs * 2, TRY_PAUSE_MAX_MS);
  }
}
