import { expect, test } from "vitest";
import { Heap, type HeapEntry } from "../../../src/internal/heap.ts";
import { seeded } from "../../support/seeded.ts";

test("the first of a heap is the smallest, whatever is added, moved and removed", () => {
  const random = seeded("heap");
  for (let round = 0; round < 20; round++) {
    const heap = new Heap<number>();
    const entries = new Set<HeapEntry<number>>();
    for (let step = 0; step < 200; step++) {
      const [oldest] = entries;
      const what = random.between(0, 3);
      if (what < 2 || !oldest) entries.add(heap.add(step, random.between(0, 50)));
      else {
        const entry = random.pick([...entries]);
        if (what === 2) heap.move(entry, random.between(0, 50));
        else {
          heap.remove(entry);
          entries.delete(entry);
        }
      }
      const smallest = Math.min(...[...entries].map(({ key }) => key));
      const seed = `seed ${random.seed}, round ${round}, step ${step}`;
      expect(heap.firstKey, seed).toBe(smallest);
      expect(heap.size, seed).toBe(entries.size);
      expect(heap.first === undefined || entries.has(heap.first), seed).toBe(true);
    }
    const order: number[] = [];
    for (let first = heap.first; first; first = heap.first) {
      order.push(first.key);
      heap.remove(first);
    }
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(heap.firstKey).toBe(Number.POSITIVE_INFINITY);
  }
});

test("a heap that is cleared is empty, and can be filled again", () => {
  const heap = new Heap<string>();
  heap.add("a", 1);
  heap.clear();
  expect(heap.first).toBeUndefined();
  heap.add("b", 2);
  expect(heap.first).toMatchObject({ value: "b", key: 2 });
});
