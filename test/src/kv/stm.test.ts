import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { EtcdClient, EtcdTimeoutError, prefix, type StmTransaction } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { seeded } from "../../support/seeded.ts";

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
});

const numberOf = (found: { readonly text: string } | undefined) => Number(found?.text ?? 0);

async function transfer(client: EtcdClient, from: string, to: string, amount: number): Promise<void> {
  await client.stm(
    async (tx) => {
      const [a, b] = await Promise.all([tx.get(from), tx.get(to)]);
      tx.put(from, String(numberOf(a) - amount));
      tx.put(to, String(numberOf(b) + amount));
    },
    { timeoutMs: 30_000 },
  );
}

async function sumOf(space: string, revision?: number): Promise<number> {
  const { kvs } = await etcd.range(prefix(space), { revision });
  return kvs.reduce((sum, { text }) => sum + Number(text), 0);
}

test("transfers between accounts keep the sum, at every revision, while many run at once", async () => {
  const random = seeded("stm");
  const accounts = Array.from({ length: 5 }, (_, index) => `sum/${index}`);
  for (const account of accounts) await etcd.put(account, "100");
  const { revision: first } = await etcd.range("sum/");
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let count = 0; count < 10; count++) {
        const from = random.pick(accounts);
        const to = random.pick(accounts.filter((account) => account !== from));
        await transfer(etcd, from, to, random.between(1, 50));
      }
    }),
  );
  const { revision: last } = await etcd.range("sum/");
  expect(last - first).toBe(80);
  for (let revision = first; revision <= last; revision++) {
    expect(await sumOf("sum/", revision), `seed ${random.seed}, revision ${revision}`).toBe(500);
  }
});

test("transfers through a link that breaks keep the sum, whether or not their outcome is known", async () => {
  const random = seeded("stm faults");
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await using client = new EtcdClient({ endpoints: proxy.endpoint, requestTimeoutMs: 2_000 });
  const accounts = Array.from({ length: 4 }, (_, index) => `faults/${index}`);
  for (const account of accounts) await etcd.put(account, "100");
  let running = true;
  let settled = 0;
  const cutting = (async () => {
    while (running) {
      // On a busy machine a cut every few milliseconds would let no transfer through at all.
      const before = settled;
      await new Promise((resolve) => setTimeout(resolve, random.between(5, 40)));
      await vi.waitUntil(() => !running || settled > before, { interval: 5, timeout: 30_000 });
      proxy.cut();
    }
  })();
  const outcomes = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const failed: unknown[] = [];
      for (let count = 0; count < 15; count++) {
        const from = random.pick(accounts);
        const to = random.pick(accounts.filter((account) => account !== from));
        await transfer(client, from, to, random.between(1, 50)).catch((error: unknown) => failed.push(error));
        settled++;
      }
      return failed;
    }),
  );
  running = false;
  await cutting;
  for (const error of outcomes.flat()) expect(error).toMatchObject({ retryable: true });
  expect(await sumOf("faults/"), `seed ${random.seed}`).toBe(400);
});

test("two that read the same and write different keys do not both succeed: no write skew", async () => {
  // Of two on call one may leave, as long as the other stays.
  for (const name of ["a", "b"]) await etcd.put(`call/${name}`, "on");
  const leave = (name: string) =>
    etcd.stm(async (tx) => {
      const states = await Promise.all(["a", "b"].map((one) => tx.get(`call/${one}`)));
      if (states.filter((state) => state?.text === "on").length < 2) return false;
      tx.put(`call/${name}`, "off");
      return true;
    });
  expect((await Promise.all([leave("a"), leave("b")])).sort()).toEqual([false, true]);
});

test("it runs again when what it read has changed, and reads its own writes", async () => {
  await etcd.put("again", "1");
  const seen: (string | undefined)[] = [];
  const result = await etcd.stm(async (tx) => {
    seen.push((await tx.get("again"))?.text);
    if (seen.length === 1) await etcd.put("again", "2");
    tx.put("again", "mine");
    expect((await tx.get("again"))?.text).toBe("mine");
    tx.delete("again");
    expect(await tx.get("again")).toBeUndefined();
    tx.put("again", "last");
    return seen.length;
  });
  expect(seen).toEqual(["1", "2"]);
  expect(result).toBe(2);
  expect(await etcd.get("again")).toMatchObject({ text: "last", version: 3 });
});

test("a CompactedError of the work's own is the work's: it is thrown, and not run again", async () => {
  await etcd.put("stm/old", "1");
  const { revision } = await etcd.put("stm/old", "2");
  await cluster.compact(revision);
  let runs = 0;
  const work = async (tx: StmTransaction) => {
    runs++;
    await tx.get("stm/old");
    await etcd.get("stm/old", { revision: revision - 1 });
  };
  await expect(etcd.stm(work)).rejects.toMatchObject({ code: "ETCD_COMPACTED" });
  expect(runs).toBe(1);
});

test("all reads of one run see one revision; when that is compacted it runs again, at a newer one", async () => {
  const compacting = [false, true];
  for (const compacts of compacting) {
    await etcd.put("x", "0");
    await etcd.put("y", "0");
    let runs = 0;
    const read = await etcd.stm(async (tx) => {
      const x = await tx.get("x");
      if (++runs === 1) {
        await etcd.put("x", "1");
        const { revision } = await etcd.put("y", "1");
        if (compacts) await cluster.compact(revision);
      }
      const y = await tx.get("y");
      return [x?.text, y?.text];
    });
    expect({ runs, read }).toEqual(compacts ? { runs: 2, read: ["1", "1"] } : { runs: 1, read: ["0", "0"] });
  }
});

test("a function that throws writes nothing, and a lease that is gone is named", async () => {
  const boom = new Error("boom");
  const thrown = await outcomeOf(
    etcd.stm((tx) => {
      tx.put("never", "v");
      throw boom;
    }),
  );
  expect(thrown.error).toBe(boom);
  expect(await etcd.get("never")).toBeUndefined();
  const lease = await etcd.grantLease(60);
  await lease.revoke();
  expect(await etcdErrorOf(etcd.stm((tx) => tx.put("never", "v", { lease })))).toMatchObject({
    code: "ETCD_LEASE_NOT_FOUND",
  });
});

test("its signal and its time end it, and what is misused is named", async () => {
  let writes = 0;
  const always = async () => {
    await etcd.stm(
      async (tx) => {
        await tx.get("hot");
        await etcd.put("hot", String(++writes));
        tx.put("hot", "mine");
      },
      { timeoutMs: 300 },
    );
  };
  expect(await etcdErrorOf(always())).toMatchObject({
    code: "ETCD_TIMEOUT",
    message: expect.stringMatching(/^stm: the transaction did not come through within 300 ms, tried \d+ times/),
  });
  const controller = new AbortController();
  const reason = new Error("enough");
  const aborted = etcd.stm(
    async (tx) => {
      await tx.get("hot");
      controller.abort(reason);
      tx.put("hot", "mine");
    },
    { signal: controller.signal },
  );
  expect((await outcomeOf(aborted)).error).toBe(reason);
  const misspelt = etcd.stm((tx) => tx.put("hot", "mine", { ttlSeconds: 5 } as never));
  expect(await etcdErrorOf(misspelt)).toMatchObject({ code: "ETCD_INVALID_OPTION", option: "ttlSeconds" });
  let escaped: { put(key: string, value: string): void } | undefined;
  await etcd.stm((tx) => {
    escaped = tx;
  });
  expect(() => escaped?.put("a", "b")).toThrow("stm: tx must not be used after the function has returned");
  await expect(etcd.stm(undefined as never)).rejects.toThrow("stm: work must be a function, not undefined");
  await expect(etcd.stm(() => {}, { timeout: 1 } as never)).rejects.toThrow("stm: timeout");
});

test("out of time in its last call, it says for how long it tried, and whether its writes may be there", async () => {
  const proxy = await FaultProxy.start(cluster.endpoints[0] as string);
  const client = new EtcdClient({ endpoints: proxy.endpoint });
  try {
    await client.put("silent", "0");
    const holdUp = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    const silentFrom = (step: "read" | "commit", heldUp = false) =>
      etcdErrorOf(
        client.stm(
          async (tx) => {
            await tx.get("first");
            if (step === "read") proxy.blackHole();
            const reading = Promise.all([tx.get("silent"), tx.get("as silent")]);
            // Then the time of the call, and that of all of it, are over in the same moment.
            if (heldUp) setImmediate(() => holdUp(1_000));
            await reading;
            if (step === "commit") proxy.blackHole();
            tx.put("silent", step);
          },
          { timeoutMs: 1_000 },
        ),
      );
    const said = "stm: the transaction did not come through within 1000 ms, tried once; last: ";
    expect(await silentFrom("read")).toMatchObject({
      code: "ETCD_TIMEOUT",
      message: expect.stringMatching(new RegExp(`^${said}get "(as )?silent": `)),
      cause: expect.objectContaining({ code: "ETCD_TIMEOUT" }),
      outcomeUnknown: false,
    });
    await proxy.heal();
    await client.get("silent");
    expect(await silentFrom("read", true)).toMatchObject({
      code: "ETCD_TIMEOUT",
      message: expect.stringMatching(new RegExp(`^${said}get "(as )?silent": `)),
    });
    await proxy.heal();
    await client.get("silent");
    expect(await silentFrom("commit")).toMatchObject({
      code: "ETCD_TIMEOUT",
      message: expect.stringMatching(new RegExp(`^${said}txn of "first", `)),
      outcomeUnknown: true,
    });
  } finally {
    await client.close();
    await proxy.close();
  }
});

test("a time-out of what it runs is the caller's own, also in its last moment", async () => {
  const own = new EtcdTimeoutError("the caller's own");
  const work = () => Promise.reject(own);
  // All of it is the last moment.
  expect((await outcomeOf(etcd.stm(work, { timeoutMs: 40 }))).error).toBe(own);
});

test("its client's end ends it while its function waits for something else", async () => {
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  let begun = () => {};
  const began = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const outcome = outcomeOf(
    client.namespace("closed/").stm(async (tx) => {
      tx.put("a", "1");
      begun();
      await new Promise(() => {});
    }),
  );
  await began;
  await client.close();
  expect((await outcome).error).toMatchObject({ code: "ETCD_CLOSED", outcomeUnknown: false });
  expect(await etcd.get("closed/a")).toBeUndefined();
});
