import { inspect } from "node:util";
import { expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { InstanceTable } from "../../../recipes/subscribe-service/instance-table.ts";
import { LazyList } from "../../../recipes/subscribe-service/lazy-list.ts";
import { seeded } from "../../support/seeded.ts";

const items = [{ key: "a" }, { key: "b" }, { key: "c" }];

function lazy() {
  let made = 0;
  const list = new LazyList<{ key: string }>((array) => {
    made++;
    array.push(...items);
  });
  return { list: list.list, array: () => list.array(), made: () => made };
}

const reads: readonly [string, (list: readonly { key: string }[]) => unknown, unknown][] = [
  ["its length", (list) => list.length, 3],
  ["an item", (list) => list[1], items[1]],
  ["an item that is not there", (list) => list[3], undefined],
  ["at()", (list) => list.at(-1), items[2]],
  ["map()", (list) => list.map(({ key }) => key), ["a", "b", "c"]],
  ["for of", (list) => [...list], items],
  ["for in", (list) => Object.keys(list), ["0", "1", "2"]],
  ["in", (list) => [1 in list, 3 in list], [true, false]],
  ["JSON", (list) => JSON.stringify(list), JSON.stringify(items)],
  ["concat()", (list) => ([] as unknown[]).concat(list), items],
  ["destructuring", ([first, ...others]) => [first, others], [items[0], items.slice(1)]],
  ["inspect()", (list) => inspect(list), inspect(items)],
  ["Object.isFrozen()", (list) => Object.isFrozen(list), true],
  ["Object.freeze()", (list) => Object.freeze(list).length, 3],
  ["a descriptor", (list) => Object.getOwnPropertyDescriptor(list, 0)?.writable, false],
  ["its own names", (list) => Reflect.ownKeys(list), ["0", "1", "2", "length"]],
];

test.each(reads)("a list that is made when it is read: %s is as of a frozen array", (_, read, expected) => {
  const { list, made, array } = lazy();
  expect(made()).toBe(0);
  expect(read(list)).toEqual(expected);
  expect(read(list)).toEqual(expected);
  expect(made()).toBe(1);
  expect(array()).toEqual(items);
  expect(Object.isFrozen(array())).toBe(true);
});

test("what does not read makes nothing: that it is an array, and its prototype", () => {
  const { list, made } = lazy();
  expect(Array.isArray(list)).toBe(true);
  expect(Object.getPrototypeOf(list)).toBe(Array.prototype);
  expect(typeof list).toBe("object");
  expect(made()).toBe(0);
});

test("nothing can be changed, before it is read and after", () => {
  const changes: ((list: { key: string }[]) => unknown)[] = [
    (list) => list.push({ key: "d" }),
    (list) => list.sort(),
    (list) => {
      list[0] = { key: "d" };
    },
    (list) => {
      list.length = 0;
    },
    (list) => Object.defineProperty(list, "more", { value: 1 }),
    (list) => Object.setPrototypeOf(list, null),
    (list) => delete list[0],
  ];
  for (const change of changes) {
    const { list } = lazy();
    expect(() => change(list as { key: string }[])).toThrow(TypeError);
    expect(() => change(list as { key: string }[])).toThrow(TypeError);
    expect(list).toEqual(items);
  }
});

test("each list is what was there when it was handed out, whenever it is read", () => {
  const random = seeded("lazy lists");
  const table = new InstanceTable<unknown>();
  const model = new Map<string, ServiceInstance>();
  const handed: { list: readonly ServiceInstance[]; there: ServiceInstance[] }[] = [];
  const check = ({ list, there }: (typeof handed)[number]) => {
    const same = list.length === there.length && list.every((each, index) => each === there[index]);
    expect(same, `seed ${random.seed}`).toBe(true);
  };
  const put = () => {
    const key = `k${random.between(0, 4_999)}`;
    const instance = { key, draining: false } as ServiceInstance;
    table.set(instance);
    model.set(key, instance);
  };
  while (model.size < 2_000) put();
  for (let round = 0; round < 100; round++) {
    // Long and short ones, growing, then shrinking to nothing and back.
    const grows = round < 45 || round > 80;
    for (let step = random.between(1, 120); step > 0; step--) {
      if (random.chance(grows ? 0.9 : 0.02)) put();
      else {
        const key = grows ? `k${random.between(0, 4_999)}` : ([...model.keys()][0] ?? "none");
        table.delete(key);
        model.delete(key);
      }
    }
    const there = [...model.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    const entry = { list: table.lazily(), there };
    if (random.chance(0.3)) check(entry);
    if (random.chance(0.1)) expect(table.all()).toEqual(there);
    handed.push(entry);
  }
  for (const entry of handed) check(entry);
});
