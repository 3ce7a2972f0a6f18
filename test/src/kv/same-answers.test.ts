import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, type EtcdError, leaseId, prefix } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { requestsServed } from "../../support/gateway/index.ts";
import { stateOf } from "../../support/replica.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";

// The same random program with and without coalescing: the same answers, errors included, and the same keys in the end.

let cluster: EtcdCluster;
let single: EtcdClient;
let batched: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd({ flags: ["--max-request-bytes=300000"] });
  single = new EtcdClient({ endpoints: cluster.endpoints });
  batched = new EtcdClient({ endpoints: cluster.endpoints, autoBatch: true });
});
afterAll(async () => {
  await single.close();
  await batched.close();
  await cluster.close();
});

type Step =
  | { readonly type: "get"; readonly serializable: boolean }
  | {
      readonly type: "put";
      readonly value: string;
      readonly previous: boolean;
      readonly lease: "none" | "live" | "gone";
    }
  | { readonly type: "delete"; readonly previous: boolean };

/** What is done to each key of a wave: some reads at once, or some writes in this order. */
type Wave = ReadonlyMap<string, readonly Step[]>;

const gone = leaseId("7fffffffffffff01");

function randomWave(random: Seeded): Wave {
  const keys = new Set(Array.from({ length: random.between(1, 200) }, () => `k${random.between(0, 250)}`));
  return new Map([...keys].map((key) => [key, random.chance(0.5) ? reads(random) : writes(random)]));
}

function reads(random: Seeded): Step[] {
  return Array.from({ length: random.between(1, 3) }, () => ({ type: "get", serializable: random.chance(0.2) }));
}

function writes(random: Seeded): Step[] {
  return Array.from({ length: random.between(1, 3) }, (): Step => {
    const previous = random.chance(0.5);
    if (random.chance(0.3)) return { type: "delete", previous };
    const size = random.pick([0, 5, 5, 5, 2_000, random.chance(0.05) ? 400_000 : 10]);
    const value = String(random.between(0, 9)).repeat(size);
    return { type: "put", value, previous, lease: random.pick(["none", "none", "none", "live", "gone"]) };
  });
}

/** Revisions are what coalescing may change; all else is said. */
async function answerOf(etcd: EtcdClient, key: string, step: Step, live: string): Promise<unknown> {
  try {
    if (step.type === "get") {
      const kv = await etcd.get(key, { serializable: step.serializable });
      return kv && { text: kv.text, version: kv.version, leased: kv.lease !== undefined };
    }
    if (step.type === "delete") {
      const { deleted, previous, revision } = await etcd.delete(key, { previous: step.previous });
      return { deleted, previous: previous.map(({ text, version }) => ({ text, version })), revision: revision > 0 };
    }
    const lease = { none: undefined, live: leaseId(live), gone }[step.lease];
    const { previous, revision } = await etcd.put(key, step.value, { lease, previous: step.previous });
    return { previous: previous && { text: previous.text, version: previous.version }, revision: revision > 0 };
  } catch (error) {
    const { code, outcomeUnknown, retryable } = error as EtcdError;
    return { code, outcomeUnknown, retryable };
  }
}

async function inTurn(etcd: EtcdClient, wave: Wave, space: string, live: string): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const [key, steps] of wave) {
    for (const step of steps) answers.push(await answerOf(etcd, space + key, step, live));
  }
  return answers;
}

function atOnce(etcd: EtcdClient, wave: Wave, space: string, live: string): Promise<unknown[]> {
  return Promise.all([...wave].flatMap(([key, steps]) => steps.map((step) => answerOf(etcd, space + key, step, live))));
}

test.each([1, 2, 3])("random program %s gives the same answers and the same keys", async (program) => {
  const random = seeded(`same answers ${program}`);
  const lease = await single.grantLease(600, { keepAlive: false });
  const [one, many] = [`single/${program}/`, `batched/${program}/`];
  for (let wave = 0; wave < 8; wave++) {
    const steps = randomWave(random);
    const expected = await inTurn(single, steps, one, lease.id);
    const answers = await atOnce(batched, steps, many, lease.id);
    expect(answers, `seed ${random.seed}, wave ${wave}`).toEqual(expected);
  }
  const state = async (space: string) => {
    const { kvs } = await single.range(prefix(space));
    return kvs.map(({ key, text, version, lease: owner }) => [key.slice(space.length), text, version, owner]);
  };
  expect(await state(many), `seed ${random.seed}`).toEqual(await state(one));
});

test("a hundred reads and a hundred writes at once are a handful of requests", async () => {
  const keys = Array.from({ length: 100 }, (_, index) => `few/${index}`);
  const served = async () => {
    const { Range = 0, Put = 0, Txn = 0 } = await requestsServed(cluster.member(0).endpoint);
    return Range + Put + Txn;
  };
  const before = await served();
  await Promise.all(keys.map((key) => batched.put(key, key)));
  const kvs = await Promise.all(keys.map((key) => batched.get(key)));
  const after = await served();
  expect(kvs.map((kv) => kv?.text)).toEqual(keys);
  expect(new Set(kvs.map((kv) => kv?.modRevision)).size).toBeLessThanOrEqual(3);
  expect(after - before).toBeLessThanOrEqual(8);
  expect(stateOf((await single.range(prefix("few/"))).kvs)).toHaveLength(100);
});
