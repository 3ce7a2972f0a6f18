import { expect, test } from "vitest";
import { KeyTurns, type UsedKeys } from "../../../src/kv/key-turns.ts";
import { seeded } from "../../support/seeded.ts";

interface Call {
  readonly name: string;
  readonly keys: UsedKeys;
}

function call(name: string, written: string, seen = ""): Call {
  return { name, keys: { written: [...written], seen: [...seen] } };
}

const names = (calls: readonly Call[]) => calls.map(({ name }) => name);

test("those that only look at a key go together; one that writes it waits for them, and those behind it for it", () => {
  const turns = new KeyTurns<Call>();
  const [one, two, writer, three, four] = [
    call("one", "a", "k"),
    call("two", "b", "k"),
    call("writer", "k"),
    call("three", "c", "k"),
    call("four", "d", "k"),
  ] as const;
  expect([one, two, writer, three, four].map((each) => turns.enter(each))).toEqual([true, true, false, false, false]);
  expect(names(turns.leave(two))).toEqual([]);
  expect(names(turns.leave(one))).toEqual(["writer"]);
  expect(names(turns.leave(writer))).toEqual(["three", "four"]);
  expect(names(turns.leave(four))).toEqual([]);
  expect(names(turns.leave(three))).toEqual([]);
  expect(turns.enter(call("again", "k"))).toBe(true);
});

/** Whether one of two calls writes what the other uses. */
function collide(a: Call, b: Call): boolean {
  const uses = ({ keys }: Call) => new Set([...keys.written, ...keys.seen]);
  return a.keys.written.some((key) => uses(b).has(key)) || b.keys.written.some((key) => uses(a).has(key));
}

test.each(Array.from({ length: 20 }, (_, index) => index))(
  "no two that collide are under way, all come, in the order of the calls where they collide: %s",
  (seed) => {
    const random = seeded(`key turns ${seed}`);
    const turns = new KeyTurns<Call>();
    const underWay = new Set<Call>();
    const waiting = new Set<Call>();
    const begin = (each: Call) => {
      for (const other of underWay) expect(collide(each, other), `${each.name} and ${other.name}`).toBe(false);
      // Those that came before it, and still wait, have nothing to do with it.
      for (const other of waiting) {
        if (other === each) break;
        expect(collide(each, other), `${each.name} before ${other.name}`).toBe(false);
      }
      waiting.delete(each);
      underWay.add(each);
    };
    let begun = 0;
    const end = () => {
      const each = random.pick([...underWay]);
      underWay.delete(each);
      const ready = turns.leave(each);
      for (const next of ready) begin(next);
      begun += ready.length;
    };
    const total = 400;
    for (let index = 0; index < total; index++) {
      const written = new Set(Array.from({ length: random.between(1, 2) }, () => random.pick([..."abcd"])));
      const seen = new Set(Array.from({ length: random.between(0, 2) }, () => random.pick([..."abcdef"])));
      for (const key of written) seen.delete(key);
      const each = call(String(index), [...written].join(""), [...seen].join(""));
      waiting.add(each);
      if (turns.enter(each)) {
        begin(each);
        begun++;
      }
      while (underWay.size > 0 && random.chance(0.5)) end();
    }
    while (underWay.size > 0) end();
    expect(begun).toBe(total);
    expect(waiting.size).toBe(0);
  },
);
