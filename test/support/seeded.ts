/** Random numbers that come again with the same TEST_SEED. */
export interface Seeded {
  /** Printed with every failure, see tell-seed.ts. */
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  pick<T>(items: readonly T[]): T;
  chance(probability: number): boolean;
}

let lastSeed: number | undefined;

/** The seed of the random numbers that this test file has drawn; undefined when it has drawn none. */
export function drawnSeed(): number | undefined {
  return lastSeed;
}

/** @param name so that two tests of one run do not draw the same numbers */
export function seeded(name: string, seed = Number(process.env.TEST_SEED ?? 1)): Seeded {
  lastSeed = seed;
  const next = mulberry32(seed ^ hash(name));
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    seed,
    next,
    between,
    pick: <T>(items: readonly T[]) => items[between(0, items.length - 1)] as T,
    chance: (probability) => next() < probability,
  };
}

/** Tommy Ettinger's generator: 32 bits of state are plenty for a test. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value;
}
