import { expect, test } from "vitest";
import type { EtcdClient, KeyValue, Mirror, MirrorBatch } from "../../../src/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { addressOf, groupOf, registerMany, viewFor } from "./group-lab.ts";

type ReplayedMirror = Pick<Mirror, "get" | "close" | typeof Symbol.asyncIterator>;

/** A mirror that reports what it is given, and then stays silent without an end, as the watch of an old server can. */
function replayedMirror(batches: AsyncIterable<MirrorBatch>): ReplayedMirror {
  return {
    get: () => undefined,
    close: async () => {},
    async *[Symbol.asyncIterator](): AsyncGenerator<MirrorBatch, undefined> {
      yield* batches;
      return new Promise(() => {});
    },
  };
}

/** A client with this mirror in the place of its own. */
function clientWith(etcd: EtcdClient, mirror: ReplayedMirror): EtcdClient {
  return Object.create(etcd, {
    mirror: { value: () => mirror },
    grantLease: { value: etcd.grantLease.bind(etcd) },
    txn: { value: etcd.txn.bind(etcd) },
  }) as EtcdClient;
}

test("a key that was deleted and made again within one batch was not lost, if it is as it was put last", async () => {
  await using lab = await RegistryLab.start();
  const key = `${lab.newPrefix()}m0`;
  const lost: Error[] = [];
  let registered = () => {};
  const ready = new Promise<void>((resolve) => {
    registered = resolve;
  });
  let received = () => {};
  const end = new Promise<void>((resolve) => {
    received = resolve;
  });
  async function* batches(): AsyncGenerator<MirrorBatch> {
    await ready;
    const kv = (await lab.etcd.get(key)) as KeyValue;
    const revision = kv.modRevision + 10;
    yield { type: "changes", revision, puts: [kv], deletes: [{ ...kv, modRevision: 1, text: "older" }] };
    received();
  }
  const group = groupOf(lab, key.slice(0, -2), 5, { client: clientWith(lab.etcd, replayedMirror(batches())) });
  const member = group.register("m0", "10.0.0.1:80");
  member.on("lost", (error) => lost.push(error));
  await member.ready;
  registered();
  await end;
  expect([lost, member.status]).toEqual([[], "registered"]);
});

test("put back and deleted again, seen in one batch before the answer to the put: it is put back once more", async () => {
  await using lab = await RegistryLab.start();
  const key = `${lab.newPrefix()}m0`;
  const ready = deferred<void>();
  const landed = deferred<void>();
  const received = deferred<void>();
  let holding = false;
  async function* batches(): AsyncGenerator<MirrorBatch> {
    await ready.promise;
    const kv = (await lab.etcd.get(key)) as KeyValue;
    holding = true;
    yield { type: "changes", revision: (await lab.etcd.delete(key)).revision, puts: [], deletes: [kv] };
    await landed.promise;
    yield { type: "changes", revision: (await lab.etcd.delete(key)).revision, puts: [], deletes: [kv] };
    received.resolve();
  }
  const client = Object.create(clientWith(lab.etcd, replayedMirror(batches())), {
    txn: {
      value: async (...args: Parameters<EtcdClient["txn"]>) => {
        const answer = await lab.etcd.txn(...args);
        if (holding) {
          landed.resolve();
          await received.promise;
        }
        return answer;
      },
    },
  }) as EtcdClient;
  const group = groupOf(lab, key.slice(0, -2), 5, { client });
  const member = group.register("m0", "10.0.0.1:80");
  await member.ready;
  ready.resolve();
  await received.promise;
  await until(async () => (await lab.etcd.get(key)) !== undefined, { timeoutMs: 10_000 });
  await until(() => member.status === "registered");
});

test("what the watch does not report is found by asking etcd which keys are on the lease", async () => {
  await using lab = await RegistryLab.start();
  const prefix = lab.newPrefix();
  const nothing: AsyncIterable<MirrorBatch> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
  const client = clientWith(lab.etcd, replayedMirror(nothing));
  const group = groupOf(lab, prefix, 5, { client });
  await lab.etcd.put(`${prefix}m50`, "10.6.6.6:80");
  const members = registerMany(group, 50);
  const waiting = group.register("m50", addressOf(50), { onConflict: "wait" });
  await Promise.all(members.map(({ ready }) => ready));
  await until(() => waiting.status === "passive");
  await lab.etcd.delete(`${prefix}m50`);
  await lab.etcd.delete(`${prefix}m7`);
  await lab.etcd.put(`${prefix}m8`, "10.6.6.6:80");
  await until(() => group.get("m8")?.status === "passive", { timeoutMs: 40_000 });
  await until(async () => (await lab.etcd.get(`${prefix}m7`)) !== undefined, { timeoutMs: 40_000 });
  await until(() => waiting.status === "registered", { timeoutMs: 40_000 });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ ...viewFor([...members, waiting]), m8: "10.6.6.6:80" });
});
