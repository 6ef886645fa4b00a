/** Chance from one seed: the same seed gives the same numbers on every machine. */
export interface Random {
  /** From 0 to below 1. */
  next(): number;
  /** True with this probability (0 to 1). */
  chance(probability: number): boolean;
  /** An integer between both, both included. */
  int(from: number, to: number): number;
  pick<T>(from: readonly [T, ...T[]]): T;
  /** A generator of its own, so that what one part of the world draws does not shift another's. */
  fork(name: string): Random;
}

export function seededRandom(seed: string): Random {
  let state = hashOf(seed);
  const next = (): number => {
    // Mulberry32: 32 bits of state, a period of 2^32, far more than one seed ever draws.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    chance: (probability) => probability > 0 && next() < probability,
    int: (from, to) => from + Math.floor(next() * (to - from + 1)),
    pick: (from) => from[Math.floor(next() * from.length)] ?? from[0],
    fork: (name) => seededRandom(`${seed}/${name}`),
  };
}

/** FNV-1a, 32 bits, with a last stir so that seeds that differ in one digit begin far apart. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
