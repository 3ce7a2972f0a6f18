import { EventEmitter } from "node:events";
import { beforeEach, expect, test } from "vitest";
import { watchListeners } from "../../../src/internal/index.ts";

let emitter: EventEmitter;
let seen: string[];

beforeEach(() => {
  emitter = new EventEmitter();
  seen = [];
  watchListeners(
    emitter,
    (name) => seen.push(`added ${String(name)}`),
    (name) => seen.push(`removed ${String(name)}`),
  );
  seen.length = 0;
});

const own = () => [emitter.listenerCount("newListener"), emitter.listenerCount("removeListener")];

test.each([
  ["all", () => emitter.removeAllListeners()],
  ["those of the name", () => emitter.removeAllListeners("a")],
  ["Node's own for additions", () => emitter.removeAllListeners("newListener")],
  ["Node's own for removals", () => emitter.removeAllListeners("removeListener")],
])("goes on after %s were removed, and is there once", (_, remove) => {
  for (let times = 0; times < 3; times++) remove();
  expect(own()).toEqual([1, 1]);
  seen.length = 0;
  const listener = () => {};
  emitter.on("a", listener);
  emitter.off("a", listener);
  expect(seen).toEqual(["added a", "removed a"]);
});

test("each listener that removeAllListeners() takes off is seen", () => {
  for (const name of ["a", "a", "b"]) emitter.on(name, () => {});
  seen.length = 0;
  expect(emitter.removeAllListeners()).toBe(emitter);
  expect(seen.filter((text) => /[ab]$/.test(text)).sort()).toEqual(["removed a", "removed a", "removed b"]);
  expect(emitter.eventNames()).toEqual(["newListener", "removeListener"]);
});
