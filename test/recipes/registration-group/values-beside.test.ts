import { expect, test } from "vitest";
import { ValuesBeside } from "../../../recipes/registration-group/values-beside.ts";
import type { KeyValue, MirrorBatch } from "../../../src/index.ts";
import { storedKeyValue } from "../../../testing/fake-etcd/stored-key-value.ts";

const stored = (key: string, value: string) =>
  storedKeyValue({
    keyBytes: Buffer.from(key),
    value: Buffer.from(value),
    createRevision: 1,
    modRevision: 1,
    version: 1,
  });

/** How the prefix changed. */
const batch = (type: MirrorBatch["type"], puts: readonly KeyValue[], deletes: readonly KeyValue[]): MirrorBatch => ({
  type,
  revision: 2,
  puts,
  deletes,
});

test("what stands beside thousands of instances is read once, and followed", () => {
  const there = [stored("/svc/orders/p1", "10.0.0.9:80"), stored("/svc/orders/p2", "10.0.0.9:81")];
  let read = 0;
  const beside = new ValuesBeside("/", () => {
    read++;
    return there;
  });
  const conflictAt = (key: string) => beside.conflictWith({ key, format: "kratos", isChosen: true })?.message;
  const keys = Array.from({ length: 1_000 }, (_, index) => `/svc/${index % 2 ? "orders" : `alone${index}`}/m${index}`);
  const found = keys.map(conflictAt);
  expect(read).toBe(1);
  const wrong = found.filter((message) => message !== undefined);
  expect(wrong).toHaveLength(500);
  for (const message of wrong) expect(message).toContain("/svc/orders/ holds values");
  expect(conflictAt("/svc/orders/p1")).toContain("/svc/orders/p2");
  expect(beside.conflictWith({ key: "/svc/orders/m1", format: "plain", isChosen: true })).toBeUndefined();
  // Without a format of its own only values of kratos count.
  expect(beside.conflictWith({ key: "/svc/orders/m1", format: "kratos", isChosen: false })).toBeUndefined();
  const [first, second] = there as readonly KeyValue[] as readonly [KeyValue, KeyValue];
  beside.changed(batch("changes", [], [first]));
  expect(conflictAt("/svc/orders/m1")).toContain("/svc/orders/p2");
  expect(read).toBe(1);
  // What stands under its own key is replaced.
  expect(conflictAt("/svc/orders/p2")).toBeUndefined();
  // Deleted and made again.
  beside.changed(batch("changes", [second], [second]));
  expect(conflictAt("/svc/orders/m1")).toContain("/svc/orders/p2");
  beside.changed(batch("changes", [], [second]));
  expect(conflictAt("/svc/orders/m1")).toBeUndefined();
  // A whole list, maybe of another history.
  beside.changed(batch("resynced", [], []));
  expect(conflictAt("/svc/orders/m1")).toContain("/svc/orders/p1");
  expect(read).toBe(2);
});

test("what stands below the folder of an instance stands beside it, and what stands above does not", () => {
  const beside = new ValuesBeside("/", () => [
    stored("/svc/orders/eu/p1", "10.0.0.9:80"),
    stored("/p2", "10.0.0.9:80"),
  ]);
  const conflictAt = (key: string) => beside.conflictWith({ key, format: "kratos", isChosen: true })?.message;
  expect(conflictAt("/svc/orders/m1")).toContain("/svc/orders/eu/p1");
  expect(conflictAt("/svc/m1")).toContain("/svc/orders/eu/p1");
  expect(conflictAt("/svc/orders/eu/fr/m1")).toBeUndefined();
  expect(conflictAt("/m1")).toBeUndefined();
});

test("for a warning one instance of those in one folder and of one format is looked at", () => {
  const beside = new ValuesBeside("/", () => [stored("/svc/orders/p1", "10.0.0.9:80")]);
  const look = (key: string, format: "kratos" | "endpoint" = "kratos") =>
    beside.newConflictWith({ key, format, isChosen: true })?.message;
  expect(look("/svc/orders/m1")).toContain("not in the format kratos");
  expect(look("/svc/orders/m2")).toBeUndefined();
  expect(look("/svc/orders/m3", "endpoint")).toContain("not in the format endpoint");
  expect(look("/svc/alone/m1")).toBeUndefined();
  expect(look("/svc/orders/m4")).toContain("not in the format kratos");
});

test("of what others have in a folder the first hundred are looked at", () => {
  const there = Array.from({ length: 100 }, (_, index) => stored(`/svc/m${index}`, "10.0.0.9:80"));
  there.push(stored("/svc/k1", JSON.stringify({ id: "k1", name: "svc", endpoints: ["grpc://10.0.0.9:90"] })));
  const beside = new ValuesBeside("/", () => there);
  expect(beside.conflictWith({ key: "/svc/n1", format: "plain", isChosen: false })).toBeUndefined();
  const fewer = new ValuesBeside("/", () => there.slice(1));
  expect(fewer.conflictWith({ key: "/svc/n1", format: "plain", isChosen: false })?.message).toContain("/svc/k1");
});
