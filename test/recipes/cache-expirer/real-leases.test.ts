import { afterEach, beforeAll, expect, test } from "vitest";
import { CacheExpirer, type CacheExpirerOptions } from "../../../recipes/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { runProgram } from "../../support/run-program.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

// GUARANTEES 13 by the clock on the wall: leases of seconds, members that move, processes that die.

let lab: RegistryLab;
beforeAll(async () => {
  lab = await RegistryLab.start({ members: 3 });
  return () => lab[Symbol.asyncDispose]();
});
afterEach(() => lab.clear());

function expirer(prefix: string, options: Partial<CacheExpirerOptions> & { ttlSeconds: number }) {
  const expired: string[] = [];
  const caches = new CacheExpirer(prefix, {
    client: lab.client(),
    onExpire: (id, reason) => expired.push(`${id} ${reason}`),
    ...options,
  });
  lab.also(() => caches.close());
  return { caches, expired };
}

test("a 20 s lease under repeated leader moves is cleaned one bucket late at most", async () => {
  const prefix = lab.newPrefix();
  const ttlMs = 20_000;
  const bucketMs = ttlMs / 64;
  const expiredAt: number[] = [];
  const { caches } = expirer(prefix, { ttlSeconds: 20, onExpire: () => expiredAt.push(performance.now()) });
  await caches.ready;
  // Its tracker is gone, so no process revokes its lease.
  const other = expirer(prefix, { ttlSeconds: 20 }).caches;
  const trackedAt = performance.now();
  await other.track("proj");
  await other.close();
  const lease = (await lab.etcd.get(`${prefix}proj`))?.lease;
  if (!lease) throw new Error("no lease");
  let leftWhenMoved = 0;
  for (let second = 4; second <= 16; second += 4) {
    await until(() => performance.now() - trackedAt > second * 1_000, { timeoutMs: 10_000 });
    await lab.cluster.moveLeader();
    leftWhenMoved = (await lab.etcd.leaseTimeToLive(lease)).remainingSeconds;
  }
  // Else this shows nothing: etcd itself would have kept the key for long.
  expect(leftWhenMoved).toBeGreaterThan(10);
  await until(() => expiredAt.length > 0, { timeoutMs: 20_000 });
  const lateMs = (expiredAt[0] as number) - trackedAt - ttlMs;
  console.log(`cleaned ${Math.round(lateMs)} ms after its ${ttlMs} ms; a bucket has ${bucketMs} ms`);
  expect(lateMs).toBeGreaterThanOrEqual(0);
  // Touched at the beginning of its bucket, swept one bucket past its end; and a busy machine.
  expect(lateMs).toBeLessThan(2 * bucketMs + 2_000);
});

test("ids that expired while the process was killed are cleaned at the next start, each exactly once", async () => {
  const prefix = lab.newPrefix();
  await using program = runProgram(
    `import { CacheExpirer } from "etcd-recipes";
     const caches = new CacheExpirer(${JSON.stringify(prefix)}, {
       client: { endpoints: ${JSON.stringify(lab.cluster.endpoints)} },
       ttlSeconds: 2,
       onExpire: (id) => console.log("cleaned", id),
     });
     await Promise.all(["a", "b", "c"].map((id) => caches.track(id)));
     console.log("tracked");`,
  );
  await until(() => program.lines.includes("tracked"));
  program.kill();
  await program.ended;
  expect(program.lines).toEqual(["tracked"]);
  await until(async () => Object.keys(await viewOf(lab.etcd, prefix)).length === 0, { timeoutMs: 20_000 });
  const { caches, expired } = expirer(prefix, { ttlSeconds: 2, known: () => ["a", "b", "c", "d"] });
  await caches.track("d");
  await until(() => expired.length >= 3);
  // A round of something else, in which a second call would have come.
  await caches.track("e");
  await caches.evict("e");
  await until(() => expired.includes("e evicted"));
  expect(expired.toSorted()).toEqual(["a missing", "b missing", "c missing", "e evicted"]);
  expect(await caches.touch("d")).toBe(true);
});

test("without any tracker the leases end the keys, and not before their time", async () => {
  const prefix = lab.newPrefix();
  const { caches } = expirer(prefix, { ttlSeconds: 2 });
  await caches.track("proj");
  const trackedAt = performance.now();
  await caches.close();
  await until(async () => (await lab.etcd.get(`${prefix}proj`)) === undefined, { timeoutMs: 20_000 });
  expect(performance.now() - trackedAt).toBeGreaterThan(2_000);
});

test("keys that two processes touch, while members are killed and paused, live as long as they are touched", async () => {
  const random = seeded("touched under faults");
  const said = `TEST_SEED=${random.seed}`;
  const prefix = lab.newPrefix();
  const ttlSeconds = 6;
  const both = [expirer(prefix, { ttlSeconds }), expirer(prefix, { ttlSeconds })] as const;
  await Promise.all(both.map(({ caches }) => caches.ready));
  const ids = Array.from({ length: 20 }, (_, i) => `proj-${i}`);
  const touchedAt = new Map<string, number>();
  // A TTL counts from the call: under faults its answer can come seconds later.
  const track = async ({ caches }: (typeof both)[number], id: string) => {
    const at = performance.now();
    await caches.track(id);
    touchedAt.set(id, at);
  };
  await Promise.all(ids.map((id) => track(both[0], id)));
  const end = performance.now() + 20_000;
  const faults = (async () => {
    while (performance.now() < end) {
      const member = lab.cluster.member(random.between(0, 2));
      if (random.chance(0.5)) {
        await member.kill();
        await member.restart();
      } else {
        await member.pause();
        await until(async () => (await lab.cluster.leader()) !== member);
        await member.resume();
      }
      await lab.cluster.leader();
    }
  })();
  const gone: string[] = [];
  const touch = async (one: (typeof both)[number]) => {
    while (performance.now() < end) {
      const id = random.pick(ids);
      const before = touchedAt.get(id) as number;
      const at = performance.now();
      try {
        if (await one.caches.touch(id, { timeoutMs: 2_000 }))
          touchedAt.set(id, Math.max(at, touchedAt.get(id) as number));
        // It was there a TTL ago at least, or its end would have been early.
        else if (performance.now() - before < ttlSeconds * 1_000)
          gone.push(`${id} after ${performance.now() - before}`);
        else await track(one, id);
      } catch {
        // No answer in time: then nothing was promised.
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await Promise.all([touch(both[0]), touch(both[1]), faults]);
  expect(gone, said).toEqual([]);
});
