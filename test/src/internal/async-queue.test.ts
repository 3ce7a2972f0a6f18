import { expect, test } from "vitest";
import { AsyncQueue } from "../../../src/internal/async-queue.ts";

test("items come in the order in which they were pushed, whether the reader waits or not", async () => {
  const queue = new AsyncQueue<number>();
  queue.push(1);
  queue.push(2);
  expect(await queue.next()).toEqual({ done: false, value: 1 });
  queue.push(3);
  expect(await queue.next()).toEqual({ done: false, value: 2 });
  expect(await queue.next()).toEqual({ done: false, value: 3 });
  const waiting = queue.next();
  queue.push(4);
  queue.push(5);
  expect(await waiting).toEqual({ done: false, value: 4 });
  expect(await queue.next()).toEqual({ done: false, value: 5 });
});

test("the weight is that of what waits, nothing else", async () => {
  const queue = new AsyncQueue<string>((text) => text.length);
  queue.push("abc");
  queue.push("de");
  expect(queue.weight).toBe(5);
  await queue.next();
  expect(queue.weight).toBe(2);
  queue.push("fghi");
  queue.replaceAll((items) => items.join("+"));
  expect(queue.weight).toBe("de+fghi".length);
  expect(await queue.next()).toEqual({ done: false, value: "de+fghi" });
  expect(queue.weight).toBe(0);
  const waiting = queue.next();
  queue.push("jkl");
  expect(queue.weight).toBe(0);
  await waiting;
});

test("what waits is replaced as one, in order, also what the reader has begun to take", async () => {
  const queue = new AsyncQueue<number[]>((numbers) => numbers.length);
  for (let number = 1; number <= 4; number++) queue.push([number]);
  await queue.next();
  queue.push([5]);
  queue.replaceAll((items) => items.flat());
  queue.push([6]);
  expect(await queue.next()).toEqual({ done: false, value: [2, 3, 4, 5] });
  expect(await queue.next()).toEqual({ done: false, value: [6] });
});

test("the reader gets what waits, then the error, once, then the end", async () => {
  const queue = new AsyncQueue<number>();
  queue.push(1);
  queue.end({ error: new Error("over") });
  queue.push(2);
  queue.end();
  expect(await queue.next()).toEqual({ done: false, value: 1 });
  await expect(queue.next()).rejects.toThrow("over");
  expect(await queue.next()).toEqual({ done: true, value: undefined });
});

test("an error of undefined is an error too", async () => {
  const queue = new AsyncQueue<number>();
  queue.end({ error: undefined });
  await expect(queue.next()).rejects.toBeUndefined();
  expect(await queue.next()).toEqual({ done: true, value: undefined });
});

test("discarding drops what waits, and a reader that waits gets the end or the error", async () => {
  const dropped = new AsyncQueue<number>();
  dropped.push(1);
  dropped.end({ discard: true });
  expect(dropped.weight).toBe(0);
  expect(await dropped.next()).toEqual({ done: true, value: undefined });

  const waited = new AsyncQueue<number>();
  const end = waited.next();
  waited.end();
  expect(await end).toEqual({ done: true, value: undefined });

  const failed = new AsyncQueue<number>();
  const error = failed.next();
  failed.end({ error: new Error("over"), discard: true });
  await expect(error).rejects.toThrow("over");
  expect(await failed.next()).toEqual({ done: true, value: undefined });
});

test("a second read while one waits is refused, and the first still gets its item", async () => {
  const queue = new AsyncQueue<number>();
  const first = queue.next();
  await expect(queue.next()).rejects.toThrow(TypeError);
  queue.push(1);
  expect(await first).toEqual({ done: false, value: 1 });
});
