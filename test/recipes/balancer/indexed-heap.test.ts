import { expect, test } from "vitest";
import { IndexedHeap } from "../../../recipes/balancer/indexed-heap.ts";
import { seeded } from "../../support/seeded.ts";

test("the least is on top, whatever changes: compared with a search", () => {
  const random = seeded("indexed heap");
  for (let round = 0; round < 50; round++) {
    const size = random.between(1, 40);
    const draw = () => Float64Array.from({ length: size }, () => random.between(0, 5));
    const [first, second] = [draw(), draw()];
    const inside = Array.from({ length: size }, () => random.chance(0.8));
    const heap = new IndexedHeap(first, second, (item) => inside[item] === true);
    const leastOfAll = () =>
      inside
        .flatMap((isInside, item) => (isInside ? [item] : []))
        .sort((a, b) => Number(first[a]) - Number(first[b]) || Number(second[a]) - Number(second[b]) || a - b)[0];
    for (let step = 0; step < 100; step++) {
      expect(heap.top, `seed ${random.seed}, round ${round}, step ${step}`).toBe(leastOfAll());
      const item = random.between(0, size - 1);
      (random.chance(0.5) ? first : second)[item] = random.between(0, 5);
      heap.moved(item);
    }
  }
});
