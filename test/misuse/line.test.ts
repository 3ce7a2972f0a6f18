import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { LeaderElection, type LeaderInfo, Mutex, prefix } from "../../recipes/index.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { type Seeded, seeded } from "../support/seeded.ts";
import { until } from "../support/until.ts";
import { keyUnder, nastyKey, nastyText, nastyValue, times } from "./hostile-values.ts";
import { unharmed } from "./unharmed.ts";

const rounds = ["one", "two", "three"];

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function crowd(random: Seeded, name: string, count: number): Promise<void> {
  for (const index of times(count, (at) => at)) {
    await lab.etcd.put(keyUnder(`${name}/`, nastyKey(random, index)), nastyValue(random, {}));
  }
}

test.each(rounds)(
  "an election with hostile candidates reports them, and goes on when they are gone: %s",
  async (round) => {
    const random = seeded(`election ${round}`);
    const name = lab.newPrefix().slice(0, -1);
    await crowd(random, name, 15);
    using _ = unharmed();
    const election = new LeaderElection(name, nastyText, { client: lab.etcd, ttlSeconds: 5 });
    lab.also(() => election.close());
    const failures: Error[] = [];
    election.on("warning", (error) => failures.push(error));
    const leaders: (LeaderInfo | undefined)[] = [];
    election.on("leader", (leader) => leaders.push(leader));
    const led = election.lead(async (term) => {
      // A term that ends at once may go unreported.
      await until(() => leaders.some((leader) => leader?.candidate === nastyText));
      return term.token;
    });
    const inLine = await until(async () => {
      const candidates = await election.candidates();
      return candidates.some(({ candidate }) => candidate === nastyText) ? candidates : undefined;
    });
    expect(inLine.map(({ token }) => token)).toEqual([...inLine].map(({ token }) => token).sort((a, b) => a - b));
    const first = await election.leader();
    expect(first?.token).toBe(Math.min(...inLine.map(({ token }) => token)));
    await crowd(random, name, 10);
    // Those without a lease stay until they are deleted, as with Go's elections.
    for (const kv of (await lab.etcd.range(prefix(`${name}/`))).kvs) if (!kv.lease) await lab.etcd.delete(kv.keyBytes);
    expect(await led).toBeGreaterThan(0);
    expect(failures).toEqual([]);
  },
);

test.each(rounds)("a lock with hostile keys in its line is had when they are gone: %s", async (round) => {
  const random = seeded(`mutex ${round}`);
  const name = lab.newPrefix().slice(0, -1);
  await crowd(random, name, 15);
  using _ = unharmed();
  const mutex = new Mutex(name, { client: lab.etcd, ttlSeconds: 5 });
  lab.also(() => mutex.close());
  expect(await mutex.tryAcquire()).toBeUndefined();
  await expect(mutex.acquire({ timeoutMs: 300 })).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
  const acquiring = mutex.acquire();
  await until(async () => (await lab.etcd.range(prefix(`${name}/`))).kvs.some(({ lease }) => lease));
  await crowd(random, name, 10);
  for (const kv of (await lab.etcd.range(prefix(`${name}/`))).kvs) if (!kv.lease) await lab.etcd.delete(kv.keyBytes);
  const lock = await acquiring;
  expect(lock.signal.aborted).toBe(false);
  await lock.release();
});
