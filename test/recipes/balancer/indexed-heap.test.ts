import { expect, test } from "vitest";
import { IndexedHeap } from "../../../recipes/balancer/indexed-heap.ts";
import { seeded } from "../../support/seeded.ts";

test("the least is on top, whatever comes, goes and changes: compared with a search", () => {
  const random = seeded("indexed heap");
  for (let round = 0; round < 50; round++) {
    const size = random.between(1, 200);
    const heap = new IndexedHeap();
    const inside = new Map<number, { first: number; second: number }>();
    for (let step = 0; step < 300; step++) {
      const item = random.between(0, size - 1);
      if (random.chance(0.3)) {
        heap.delete(item);
        inside.delete(item);
      } else {
        const keys = { first: random.between(0, 5), second: random.between(0, 5) };
        heap.set(item, keys.first, keys.second);
        inside.set(item, keys);
      }
      const [least] = [...inside].sort(([a, x], [b, y]) => x.first - y.first || x.second - y.second || a - b);
      const where = `seed ${random.seed}, round ${round}, step ${step}`;
      expect(heap.top, where).toBe(least?.[0]);
      expect(heap.size, where).toBe(inside.size);
      if (least) expect([heap.firstOf(least[0]), heap.secondOf(least[0])], where).toEqual(Object.values(least[1]));
    }
  }
});
