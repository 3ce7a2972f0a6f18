import { expect, test } from "vitest";
import { Queue } from "../../../recipes/index.ts";
import { buryJob, claimJob, giveBack, type JobClaim, settleClaim } from "../../../recipes/queue/job-claim.ts";
import { writeLetter } from "../../../recipes/queue/job-content.ts";
import { QueueKeys } from "../../../recipes/queue/queue-keys.ts";
import { QueuedJob } from "../../../recipes/queue/queued-job.ts";
import { type EtcdClient, type KeyValue, LeaseNotFoundError, leaseId, UnavailableError } from "../../../src/index.ts";
import { runtimeOf } from "../../../src/internal/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

// What a worker makes of it when an answer was lost: the next one finds that something has changed.

const keys = new QueueKeys("/q");
const content = { value: "v", attempt: 1 };

/** Loses the first answer; the next one finds these keys, when etcd is at revision 99. */
async function afterLostAnswer<T>(
  found: readonly (Partial<KeyValue> | undefined)[],
  work: (options: Parameters<typeof settleClaim>[3]) => Promise<T>,
): Promise<T> {
  const clock = new FakeClock();
  let isLost = false;
  const txn = async () => {
    if (!isLost) {
      isLost = true;
      throw new UnavailableError("etcd is away", { retryable: true, outcomeUnknown: true });
    }
    const responses = found.map((kv) => ({ type: "range", kvs: kv ? [kv] : [] }));
    return { succeeded: false, revision: 99, responses };
  };
  const etcd = { txn } as unknown as EtcdClient;
  const done = work({ etcd, runtime: { clock, random: () => 0.5 }, leftMs: () => 10_000 });
  await clock.pass(10_000);
  return done;
}

const jobKey = Buffer.from(keys.job("a"));
const claim: JobClaim = { id: "a", lease: leaseId("a1"), revision: 5, jobCreateRevision: 2, content, jobKey };

test("a release whose answer was lost was done at the revision of the job, and not at that of the next answer", async () => {
  const job = { createRevision: 2, modRevision: 7 };
  const settling = { type: "release", content } as const;
  expect(await afterLostAnswer([job], (options) => settleClaim(keys, claim, settling, options))).toBe(7);
  expect(await afterLostAnswer([undefined], (options) => settleClaim(keys, claim, settling, options))).toBe(0);
});

test("so was a claim that is undone", async () => {
  const undone = afterLostAnswer([{ modRevision: 7 }], (options) => giveBack(keys, "a", claim, content, options));
  expect(await undone).toBe(7);
});

test("a worker whose release has lost its answer goes on at once, whatever else happens in etcd", async () => {
  await using lab = new VirtualLab("lost release");
  const { etcd, link } = lab.client();
  const other = lab.client().etcd;
  const queue = new Queue("/q", { client: etcd, ttlSeconds: 60 });
  lab.also(() => queue.close());
  queue.on("warning", () => {});
  await lab.until(queue.enqueue("v"));
  const dequeued = queue.dequeue();
  await lab.until(dequeued);
  const job = await dequeued;
  link.latencyMs = 20;
  let isReleased = false;
  void job.release().then(() => {
    isReleased = true;
  });
  await lab.pass(15);
  // Etcd has it, and the answer does not arrive.
  link.break();
  while (!isReleased) {
    await lab.pass(1);
    await lab.until(other.put("elsewhere", "v"), { stepMs: 1 });
  }
  const again = queue.dequeue();
  expect(await lab.until(again)).toBeLessThan(1_000);
  expect(await again).toMatchObject({ attempt: 2 });
});

test("a claim is carried out only while the worker's key is there, or with it, and not on a lease that is over", async () => {
  await using lab = new VirtualLab("claims");
  const { etcd } = lab.client();
  const key = keys.job("a");
  const granting = etcd.grantLease(60);
  await lab.until(granting);
  const lease = await granting;
  await lab.until(etcd.put(key, '{"value":"v","attempt":0}'));
  const options = { etcd, runtime: runtimeOf(etcd), leftMs: () => 5_000 };
  const claimed = async (announce: boolean) => {
    const reading = etcd.get(key);
    await lab.until(reading);
    const claiming = claimJob(keys, new QueuedJob("a", (await reading) as KeyValue), lease, { ...options, announce });
    await lab.until(claiming.catch(() => {}));
    return claiming;
  };
  const attempt = async () => {
    const reading = etcd.get(key);
    await lab.until(reading);
    return JSON.parse((await reading)?.text ?? "").attempt;
  };
  expect(await claimed(false)).toBe("ended");
  expect(await attempt()).toBe(0);
  expect(await claimed(true)).toMatchObject({ id: "a", lease: lease.id, content: { attempt: 1 } });
  expect(await claimed(false)).toMatchObject({ content: { attempt: 2 } });
  await lab.until(lease.revoke());
  expect(await claimed(false)).toBe("ended");
  await expect(claimed(true)).rejects.toBeInstanceOf(LeaseNotFoundError);
  expect(await attempt()).toBe(2);
});

test("a dead letter that another worker made while an answer was lost is not reported as one's own", async () => {
  const kv = { keyBytes: jobKey, key: keys.job("a"), modRevision: 5, text: "" } as unknown as KeyValue;
  const job = new QueuedJob("a", kv);
  const letter = { value: "v", attempts: 1, diedAtMs: 1_000 };
  const buried = (diedAtMs: number) =>
    afterLostAnswer([{ text: writeLetter({ ...letter, diedAtMs }) }], (options) => buryJob(keys, job, letter, options));
  expect(await buried(1_000)).toBe(true);
  expect(await buried(1_001)).toBe(false);
});
