/** Numbered operations on few keys, mostly puts, so that batches collapse: what the killed process does, and what a prefix of it leaves. */
export const operation = (n: number): { key: string; deletes: boolean } => ({
  key: `KEY#${(n * 7) % 23}`,
  deletes: n % 11 === 0,
});

/** The values after operations 1 to `last`, by key. */
export function stateAfter(last: number): Map<string, { n: number }> {
  const state = new Map<string, { n: number }>();
  for (let n = 1; n <= last; n++) {
    const { key, deletes } = operation(n);
    if (deletes) state.delete(key);
    else state.set(key, { n });
  }
  return state;
}
