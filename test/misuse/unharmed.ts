import { expect } from "vitest";
import { pollution } from "./hostile-values.ts";

/**
 * A guard against hangs, not a measure of speed: alone on a machine, what the tests read stays below a quarter of this;
 * with a core and its cache shared, and a collection of garbage in between, it takes several times as long.
 */
const LONGEST_STALL_MS = 2_000;
const TICK_MS = 5;

const prototypes = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Number.prototype];

/** Fails at the end of its scope when a prototype was touched meanwhile, or the event loop stood still for long. */
export function unharmed(limitMs = LONGEST_STALL_MS): Disposable & { readonly longestStallMs: number } {
  const before = prototypes.map(shapeOf);
  let last = performance.now();
  let lastCpu = process.cpuUsage();
  let longest = 0;
  const look = () => {
    const now = performance.now();
    const { user, system } = process.cpuUsage(lastCpu);
    // What other processes took of the machine meanwhile is no work of ours.
    longest = Math.max(longest, Math.min(now - last - TICK_MS, (user + system) / 1_000));
    last = now;
    lastCpu = process.cpuUsage();
  };
  const timer = setInterval(look, TICK_MS);
  return {
    get longestStallMs() {
      look();
      return longest;
    },
    [Symbol.dispose]() {
      look();
      clearInterval(timer);
      expect(changedSince(before), "what was changed of prototypes").toEqual([]);
      expect(pollution in {}).toBe(false);
      expect(longest, "the longest time that the event loop stood still, in ms").toBeLessThan(limitMs);
    },
  };
}

function changedSince(before: readonly Map<PropertyKey, unknown>[]): string[] {
  return prototypes.flatMap((prototype, at) => {
    const then = before[at] ?? new Map();
    const now = shapeOf(prototype);
    const names = new Set([...then.keys(), ...now.keys()]);
    return [...names].filter((name) => then.get(name) !== now.get(name)).map(String);
  });
}

/** What each of its own properties is: its value, or the function that gives it. */
function shapeOf(prototype: object): Map<PropertyKey, unknown> {
  const shape = new Map<PropertyKey, unknown>();
  for (const name of Reflect.ownKeys(prototype)) {
    const { value, get } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
    shape.set(name, get ?? value);
  }
  return shape;
}
