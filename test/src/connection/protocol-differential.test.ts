import { afterAll, beforeAll, expect, test } from "vitest";
import type { Protocol } from "../../../src/connection/index.ts";
import {
  type Compare,
  compareCreateRevision,
  compareModRevision,
  compareValue,
  compareVersion,
  deleteOp,
  type KeyValue,
  keyRange,
  type Op,
  putOp,
  rangeOp,
} from "../../../src/index.ts";
import { ProtocolLab, type WatchLog } from "../../support/protocol-lab.ts";
import { type BothSubjects, startBoth } from "../../support/protocol-subjects.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

// The same random txns, asked of a real etcd and of the one in memory.

let both: BothSubjects;

beforeAll(async () => {
  both = await startBoth();
});
afterAll(() => both?.close());

test.each([1, 2, 3, 4])("random txns have the same answers and the same events, program %s", async (program) => {
  const random = seeded(`contract ${program}`);
  const labs = [new ProtocolLab(both.etcd), new ProtocolLab(both.memory)] as const;
  const bases = await Promise.all(labs.map((etcd) => etcd.revision()));
  const watches = await Promise.all(labs.map((etcd, index) => etcd.watch((bases[index] ?? 0) + 1, { previous: true })));
  const received: unknown[][] = [];
  for (let step = 0; step < 60; step++) {
    const draw = randomTxn(random, 2);
    const answers = await Promise.all(
      labs.map(async (etcd, index) => {
        const request = draw(etcd, bases[index] ?? 0);
        return etcd.protocol.txn(request).then(
          ({ succeeded, revision, responses }) => ({
            succeeded,
            revision: revision - (bases[index] ?? 0),
            responses: relative(etcd, bases[index] ?? 0, responses),
          }),
          ({ name, message }: Error) => ({ name, message }),
        );
      }),
    );
    expect(answers[1], `seed ${random.seed}, step ${step}`).toEqual(answers[0]);
    received.push(answers);
  }
  const states = await Promise.all(
    labs.map(async (etcd, index) => {
      const { kvs } = await etcd.protocol.range({ range: etcd.all });
      return relative(etcd, bases[index] ?? 0, kvs);
    }),
  );
  expect(states[1]).toEqual(states[0]);
  const [real, memory] = watches as [WatchLog, WatchLog];
  await until(() => real.events.length > 0 && real.events.length === memory.events.length);
  expect(relative(labs[1], bases[1] ?? 0, memory.events)).toEqual(relative(labs[0], bases[0] ?? 0, real.events));
  for (const watch of watches) watch.close();
  // Nothing stays that a deletion up to the last key would find, by the next program.
  for (const etcd of labs) await etcd.protocol.deleteRange({ range: etcd.all });
});

type Request = Parameters<Protocol["txn"]>[0];

/** A txn by chance: what it is for one prefix, and for revisions that begin at `base`. */
function randomTxn(random: Seeded, depth: number): (etcd: ProtocolLab, base: number) => Request {
  const many = <T>(most: number, one: () => T) => Array.from({ length: random.between(0, most) }, one);
  const compares = many(2, () => randomCompare(random));
  const [success, failure] = [many(3, () => randomOp(random, depth)), many(3, () => randomOp(random, depth))];
  return (etcd, base) => ({
    compare: compares.map((make) => make(etcd, base)),
    success: success.map((make) => make(etcd, base)),
    failure: failure.map((make) => make(etcd, base)),
  });
}

const someKeys = ["a", "b", "c", "d", "e", "\x00", "\xff"];

function randomCompare(random: Seeded): (etcd: ProtocolLab, base: number) => Compare {
  const [name, value] = [random.pick(someKeys), `${random.between(1, 5)}`];
  const whole = random.chance(0.2);
  const result = random.pick(["equal", "notEqual", "greater", "less"] as const);
  const [kind, back, version] = [random.between(0, 3), random.between(0, 10), random.between(0, 3)];
  return (etcd, base) => {
    const range = whole ? etcd.all : etcd.one(name);
    if (kind === 0) return compareValue(range, result, value);
    if (kind === 1) return compareVersion(range, result, version);
    if (kind === 2) return compareModRevision(range, result, base + back);
    return compareCreateRevision(range, result, back === 0 ? 0 : base + back);
  };
}

function randomOp(random: Seeded, depth: number): (etcd: ProtocolLab, base: number) => Op {
  const [name, value, previous] = [random.pick(someKeys), `${random.between(1, 5)}`, random.chance(0.5)];
  const draw = random.between(0, depth > 0 ? 9 : 7);
  const limit = random.between(0, 3);
  const sort = random.chance(0.5)
    ? { target: "key" as const, order: random.pick(["ascend", "descend"] as const) }
    : undefined;
  const [countOnly, keysOnly, whole] = [random.chance(0.2), random.chance(0.2), random.chance(0.7)];
  const back = random.chance(0.3) ? random.between(1, 60) : undefined;
  if (draw <= 3) return (etcd) => putOp(etcd.key(name), value, { previous });
  if (draw <= 5) {
    const [to, toTheLast] = [random.pick(someKeys), random.chance(0.2)];
    return (etcd) => {
      if (toTheLast) return deleteOp({ start: etcd.key(name), end: new Uint8Array([0]) }, { previous });
      const range = name < to ? keyRange(etcd.key(name), etcd.key(to)) : etcd.key(name);
      return deleteOp(range, { previous });
    };
  }
  if (draw <= 7) {
    return (etcd, base) =>
      rangeOp(whole ? etcd.all : etcd.one(name), {
        limit,
        sort,
        countOnly,
        keysOnly,
        revision: back && base + back,
      });
  }
  const within = randomTxn(random, depth - 1);
  return (etcd, base) => ({ type: "txn", ...within(etcd, base) });
}

/** As it would be under no prefix, in a history that begins with 0. */
function relative(etcd: ProtocolLab, base: number, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => relative(etcd, base, each));
  if (typeof value !== "object" || value === null) return value;
  if ("keyBytes" in value) {
    const kv = value as KeyValue;
    const since = (revision: number) => (revision === 0 ? 0 : revision - base);
    return {
      key: etcd.name(kv),
      text: kv.text,
      version: kv.version,
      created: since(kv.createRevision),
      modified: since(kv.modRevision),
    };
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, relative(etcd, base, each)]));
}
