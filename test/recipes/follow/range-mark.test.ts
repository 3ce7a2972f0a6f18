import { expect, test } from "vitest";
import { isAsNew, type RangeMark } from "../../../recipes/follow/range-mark.ts";
import type { KeyValue } from "../../../src/index.ts";
import { seeded } from "../../support/seeded.ts";

type State = ReadonlyMap<string, KeyValue>;

/** What stands under a prefix at each revision; at most revisions something else is written. */
function someHistory(random: ReturnType<typeof seeded>): State[] {
  const history: State[] = [new Map()];
  for (let revision = 1; revision <= 12; revision++) {
    const state = new Map(history[revision - 1]);
    const key = random.pick(["a", "b", "c", "\ufffd"]);
    const last = state.get(key);
    const what = random.pick(["put", "put", "delete", "delete", "something else"] as const);
    if (what === "put") {
      const createRevision = last?.createRevision ?? revision;
      state.set(key, { key, createRevision, modRevision: revision, version: 1 } as Partial<KeyValue> as KeyValue);
    } else if (what === "delete") state.delete(key);
    history.push(state);
  }
  return history;
}

const namesOf = (state: State | undefined) =>
  [...(state ?? [])].map(([key, kv]) => `${key}@${kv.modRevision}`).toSorted();

test("a mirror is as new as a mark when it has come to that revision, or has exactly what that found, and only then", () => {
  const random = seeded("range marks");
  for (let run = 1; run <= 200; run++) {
    const history = someHistory(random);
    for (let revision = 0; revision < history.length; revision++) {
      for (let markedAt = 0; markedAt < history.length; markedAt++) {
        const [state, marked] = [history[revision] as State, history[markedAt] as State];
        const newest = [...marked.values()].toSorted((a, b) => b.modRevision - a.modRevision)[0];
        const mark: RangeMark = { revision: markedAt, newest, count: marked.size };
        const mirror = { revision, size: state.size, get: (key: string) => state.get(key) };
        const isSame = namesOf(state).join() === namesOf(marked).join();
        if (isAsNew(mirror, mark) === (revision >= markedAt || isSame)) continue;
        const states = `at ${revision} ${namesOf(state)}, marked at ${markedAt} ${namesOf(marked)}`;
        expect.fail(`TEST_SEED=${random.seed}, run ${run}: ${isSame ? "not as new" : "as new"}: ${states}`);
      }
    }
  }
});

test("a mirror with the same number of keys and another newest one is of another history, and not as new", () => {
  const kv = { key: "a", createRevision: 5, modRevision: 9, version: 2 } as Partial<KeyValue> as KeyValue;
  const mirror = { revision: 20, size: 1, get: () => kv };
  const mark = { revision: 30, newest: kv, count: 1 };
  expect(isAsNew(mirror, mark)).toBe(true);
  for (const other of [{ createRevision: 6 }, { modRevision: 8 }, { version: 3 }, { lease: "1f" as never }]) {
    expect(isAsNew(mirror, { ...mark, newest: { ...kv, ...other } as KeyValue })).toBe(false);
  }
});
