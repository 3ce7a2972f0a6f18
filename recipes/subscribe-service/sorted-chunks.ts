/** A chunk that grows beyond twice this is split. */
const CHUNK = 256;

interface Keyed {
  readonly key: string;
}

/** What became of each key: undefined is gone. */
export type KeyedChanges<Item> = ReadonlyMap<string, Item | undefined>;

/**
 * Items in the order of their keys, never changed in place: one that differs by a few items shares all chunks but
 * theirs, so that it costs the same for a list of any length, and an old one can be read for as long as a caller has
 * it.
 */
export class SortedChunks<Item extends Keyed> {
  readonly size: number;
  readonly #chunks: readonly (readonly Item[])[];

  private constructor(chunks: readonly (readonly Item[])[], size: number) {
    this.#chunks = chunks;
    this.size = size;
  }

  /** @param items each key once; sorted in place */
  static of<Item extends Keyed>(items: Item[]): SortedChunks<Item> {
    // They were listed in order and then came one by one, so that sorting finds long runs.
    items.sort((a, b) => (a.key < b.key ? -1 : 1));
    return new SortedChunks(split(items), items.length);
  }

  /** The same items but for these changes. */
  with(changes: KeyedChanges<Item>): SortedChunks<Item> {
    // By slice(), which copies a block of memory: to spread them takes thirty times as long.
    const chunks: (readonly Item[])[] = this.#chunks.length > 0 ? this.#chunks.slice() : [[]];
    const ours = new Map<number, Item[]>();
    let { size } = this;
    for (const [key, item] of changes) {
      // Where it belongs does not change while it is changed: no chunk is split or taken out before all are done.
      const index = Math.max(0, countUpTo(this.#chunks, key, firstKey) - 1);
      const chunk = ours.get(index) ?? (chunks[index] as readonly Item[]).slice();
      ours.set(index, chunk);
      size += change(chunk, key, item);
    }
    for (const [index, chunk] of ours) chunks[index] = chunk;
    const uneven = [...ours.values()].some(({ length }) => length === 0 || length > CHUNK * 2);
    return new SortedChunks(uneven ? chunks.flatMap(split) : chunks, size);
  }

  /** @param array an empty one */
  addTo(array: unknown[]): void {
    // At once as long as it will be: it would be copied each time when it has to grow.
    array.length = this.size;
    let index = 0;
    for (const chunk of this.#chunks) for (const item of chunk) array[index++] = item;
  }
}

/** @returns by how many items it is longer */
function change<Item extends Keyed>(chunk: Item[], key: string, item: Item | undefined): number {
  const end = countUpTo(chunk, key, (each) => each.key);
  const isThere = chunk[end - 1]?.key === key;
  if (item === undefined) return isThere ? -chunk.splice(end - 1, 1).length : 0;
  if (isThere) chunk[end - 1] = item;
  else chunk.splice(end, 0, item);
  return isThere ? 0 : 1;
}

/** How many of a sorted list have a key that is not above this one. */
function countUpTo<Item>(sorted: readonly Item[], key: string, keyOf: (item: Item) => string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keyOf(sorted[middle] as Item) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function split<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  if (items.length > 0 && items.length <= CHUNK * 2) return [items];
  const count = Math.ceil(items.length / CHUNK);
  return Array.from({ length: count }, (_, index) => items.slice(index * CHUNK, (index + 1) * CHUNK));
}

function firstKey(chunk: readonly Keyed[]): string {
  return chunk[0]?.key ?? "";
}
