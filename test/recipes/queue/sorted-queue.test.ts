import { expect, test } from "vitest";
import { SortedQueue } from "../../../recipes/queue/sorted-queue.ts";
import { seeded } from "../../support/seeded.ts";

test("whatever is added and deleted, in whatever order, it is what is there, in order", () => {
  const random = seeded("sorted-queue");
  const queue = new SortedQueue<{ at: number }>((a, b) => a.at - b.at);
  const known = Array.from({ length: 300 }, (_, at) => ({ at: Math.floor(at / 2) }));
  const model = new Set<{ at: number }>();
  for (let step = 0; step < 20_000; step++) {
    // Most comes at the end and goes at the head, as with a real queue.
    const item = random.chance(0.5) ? random.pick(known) : (known[step % known.length] as { at: number });
    if (random.chance(0.5)) {
      queue.add(item);
      model.add(item);
    } else {
      queue.delete(item);
      model.delete(item);
    }
    expect(queue.size).toBe(model.size);
    if (step % 50 > 0) continue;
    const items = [...queue];
    expect(new Set(items), `seed ${random.seed}, step ${step}`).toEqual(model);
    expect(items).toHaveLength(model.size);
    expect(items.map(({ at }) => at)).toEqual([...model].map(({ at }) => at).sort((a, b) => a - b));
  }
});

test("what is deleted during an iteration does not come any more, and everything else does", () => {
  const queue = new SortedQueue<number>((a, b) => a - b);
  for (let item = 0; item < 1_000; item++) queue.add(item);
  const seen: number[] = [];
  for (const item of queue) {
    seen.push(item);
    for (let gone = item; gone < item + 3; gone++) queue.delete(gone);
  }
  expect(seen).toEqual(Array.from({ length: 334 }, (_, index) => 3 * index));
  expect(queue.first).toBeUndefined();
});
