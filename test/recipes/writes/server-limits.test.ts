import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Queue, RegistrationGroup } from "../../../recipes/index.ts";
import { type EtcdClient, type Mirror, prefix as prefixRange } from "../../../src/index.ts";
import { ServerLimits } from "../../../src/internal/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { trackerOn } from "../../support/cache-lab.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { requestsRefused } from "../../support/gateway/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// What travels together gets through an etcd with lower limits than its defaults, and the client remembers what they
// are.

const few = { flag: "--max-txn-ops=32", value: "v" };
const small = { flag: "--max-request-bytes=20000", value: "v".repeat(500) };

const labs: RegistryLab[] = [];
afterEach(async () => {
  for (const lab of labs) await lab.clear();
});
afterAll(async () => {
  for (const lab of labs) await lab[Symbol.asyncDispose]();
});

const ids = Array.from({ length: 200 }, (_, index) => `id-${index}`);

describe.each([few, small])("etcd with $flag", ({ flag, value }) => {
  let starting: Promise<RegistryLab> | undefined;
  const started = () => {
    starting ??= RegistryLab.start({ flags: [flag] }).then((lab) => {
      labs.push(lab);
      return lab;
    });
    return starting;
  };

  /** Does the same twice on one client: the second time nothing is refused. */
  async function twice(lab: RegistryLab, client: EtcdClient, work: (at: string) => Promise<void>): Promise<void> {
    await work(lab.newPrefix());
    const { operations, bytes } = ServerLimits.of(client);
    const before = await requestsRefused(lab.endpoint);
    await work(lab.newPrefix());
    expect(ServerLimits.of(client)).toMatchObject({ operations, bytes });
    expect(await requestsRefused(lab.endpoint)).toBe(before);
  }

  test("puts, reads and deletions of single keys", async () => {
    const lab = await started();
    const client = lab.client({ autoBatch: true });
    await twice(lab, client, async (at) => {
      await Promise.all(ids.map((id) => client.put(at + id, value)));
      const found = await Promise.all(ids.map((id) => client.get(at + id)));
      expect(found.every((kv) => kv?.text === value)).toBe(true);
      const deleted = await Promise.all(ids.map((id) => client.delete(at + id)));
      expect(deleted.every((answer) => answer.deleted === 1)).toBe(true);
    });
  });

  test("watches that begin together, and the proofs of their histories after a cut", async () => {
    const lab = await started();
    const proxy = await FaultProxy.start(lab.endpoint);
    lab.also(() => proxy.close());
    const client = lab.client({ endpoints: [`http://127.0.0.1:${proxy.port}`] });
    const at = lab.newPrefix();
    await Promise.all(ids.slice(0, 100).map((id) => lab.etcd.put(at + id, value)));
    const mirrors: Mirror[] = ids.slice(0, 100).map((id) => client.mirror(at + id));
    const watches = ids.slice(0, 100).map((id) => client.watch(prefixRange(`${at}${id}/`)));
    await Promise.all([...mirrors, ...watches].map(({ ready }) => ready));
    proxy.cut();
    await until(() => mirrors.every(({ status }) => status === "stale"));
    await until(() => mirrors.every(({ status }) => status === "live"));
    expect(mirrors.every(({ size }) => size === 1)).toBe(true);
  });

  test("jobs that are added, claimed and acknowledged together", async () => {
    const lab = await started();
    const client = lab.client();
    await twice(lab, client, async (at) => {
      const queue = new Queue(`${at}jobs`, { client, ttlSeconds: 10 });
      lab.also(() => queue.close());
      const values = ids.map((id) => `${id} ${value}`);
      expect(await queue.enqueueMany(values)).toHaveLength(ids.length);
      const jobs = await Promise.all(ids.map(() => queue.dequeue()));
      expect(jobs.map((job) => job.value).sort()).toEqual([...values].sort());
      await Promise.all(jobs.map((job) => job.ack()));
      expect(await queue.size()).toBe(0);
      await queue.close();
    });
  });

  test("instances of a group", async () => {
    const lab = await started();
    const client = lab.client();
    await twice(lab, client, async (at) => {
      const group = new RegistrationGroup(at, 10, { client });
      lab.also(() => group.close());
      const members = ids.map((id) => group.register(id, "10.0.0.1:80", { metadata: { value } }));
      await group.ready;
      await Promise.all(members.map((member) => member.update({ weight: 2 })));
      await group.close();
    });
  });

  test("ids that are tracked together, and swept together", async () => {
    const lab = await started();
    const ttlSeconds = 100;
    const clock = new FakeClock();
    const { tracker, expired, warnings } = trackerOn(lab, clock, lab.newPrefix(), { ttlSeconds });
    await tracker.ready;
    const long = ids.map((id) => id + value);
    await Promise.all(long.map((id) => tracker.track(id, {})));
    clock.advance(ttlSeconds * 1_000);
    await until(() => {
      clock.advance((ttlSeconds * 1_000) / 64);
      return expired.length === long.length || warnings.length > 0;
    });
    expect(warnings).toEqual([]);
  });
});
