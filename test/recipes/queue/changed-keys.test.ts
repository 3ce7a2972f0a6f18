import { expect, test } from "vitest";
import { type Job, Queue, type QueueOptions } from "../../../recipes/index.ts";
import { giveBack, type JobClaim, settleClaim } from "../../../recipes/queue/job-claim.ts";
import { QueueKeys } from "../../../recipes/queue/queue-keys.ts";
import { QueueView } from "../../../recipes/queue/queue-view.ts";
import { type EtcdClient, leaseId, prefix, type TxnOptions } from "../../../src/index.ts";
import { deferred, runtimeOf } from "../../../src/internal/index.ts";
import { storedKeyValue } from "../../../testing/fake-etcd/stored-key-value.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

// Keys of a queue that change while a worker has a job, or claims it: by hand, or because etcd has another history.

const keys = new QueueKeys("/q");

/** A worker on a client of its own, and a second client that changes keys by hand. */
class ByHand implements AsyncDisposable {
  readonly lab = new VirtualLab("changed keys");
  readonly etcd: EtcdClient;
  readonly hand: EtcdClient;
  readonly queue: Queue;
  readonly warnings: Error[] = [];
  /** What the worker sends: it may hold a request, or its answer. */
  around: (request: TxnOptions, send: () => Promise<unknown>) => Promise<unknown> = (_, send) => send();

  constructor(options: QueueOptions = {}) {
    this.etcd = this.lab.client().etcd;
    this.hand = this.lab.client().etcd;
    const send = this.etcd.txn.bind(this.etcd);
    const around = (request: TxnOptions, txnOptions: object) => this.around(request, () => send(request, txnOptions));
    Object.assign(this.etcd, { txn: around });
    this.queue = new Queue("/q", { client: this.etcd, ttlSeconds: 60, ...options });
    this.queue.on("warning", (error) => this.warnings.push(error));
    this.lab.also(() => this.queue.close());
  }

  async done<T>(work: Promise<T>): Promise<T> {
    await this.lab.until(work.catch(() => {}));
    return work;
  }

  take(): Promise<Job> {
    return this.done(this.queue.dequeue());
  }

  async text(id: string): Promise<string | undefined> {
    return (await this.done(this.hand.get(keys.job(id))))?.text;
  }

  async workers(): Promise<readonly string[]> {
    const { kvs } = await this.done(this.hand.range(prefix("/q/workers/")));
    return kvs.map(({ key }) => key.slice("/q/workers/".length));
  }

  /** Puts it again with the same holder, as one does who edits it. */
  async edit(id: string, change: object = {}): Promise<void> {
    const content = JSON.parse((await this.text(id)) ?? "");
    await this.done(this.hand.put(keys.job(id), JSON.stringify({ ...content, ...change })));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.lab[Symbol.asyncDispose]();
  }
}

const isAck = ({ success }: TxnOptions) => success?.length === 1 && success[0]?.type === "delete";
const isClaim = ({ success }: TxnOptions) => success?.some((op) => op.type === "put") === true;

test("another history's job, at the revision of a claim, is neither acknowledged nor given back", async () => {
  await using lab = new VirtualLab("other history");
  const { etcd } = lab.client();
  const putting = etcd.put(keys.job("a"), '{"value":"new","attempt":0}');
  await lab.until(putting);
  const { revision } = await putting;
  const content = { value: "old", attempt: 1 };
  const jobKey = Buffer.from(keys.job("a"));
  const claim: JobClaim = { id: "a", lease: leaseId("a1"), revision, jobCreateRevision: revision - 1, content, jobKey };
  const options = { etcd, runtime: runtimeOf(etcd), leftMs: () => 5_000 };
  const endings = [{ type: "ack" }, { type: "release", content }] as const;
  for (const ending of endings) {
    const settling = settleClaim(keys, claim, ending, options);
    await lab.until(settling);
    expect(await settling).toBeUndefined();
  }
  await lab.until(giveBack(keys, "a", claim, content, options));
  const reading = etcd.get(keys.job("a"));
  await lab.until(reading);
  expect((await reading)?.modRevision).toBe(revision);
});

test("ack() of a job that no worker has any more, though none has claimed it again, rejects", async () => {
  await using by = new ByHand();
  await by.done(by.queue.enqueue("v", { id: "a" }));
  const job = await by.take();
  const [worker] = await by.workers();
  by.around = async (request, send) => {
    if (isAck(request)) await by.hand.delete(`/q/workers/${worker}`);
    return send();
  };
  expect(await by.done(etcdErrorOf(job.ack()))).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await by.take()).toMatchObject({ id: "a", attempt: 2 });
});

test("a job that is edited while its ack is under way goes back, with the attempt that it was", async () => {
  await using by = new ByHand();
  await by.done(by.queue.enqueue("v", { id: "a" }));
  const job = await by.take();
  const edited = deferred<void>();
  by.around = async (request, send) => {
    if (isAck(request)) await edited.promise;
    return send();
  };
  const acking = etcdErrorOf(job.ack());
  await by.edit("a");
  // The view of the worker shows that before its ack has an answer.
  await by.lab.pass(100);
  edited.resolve();
  expect(await by.done(acking)).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await by.take()).toMatchObject({ id: "a", attempt: 2 });
});

test("a job that is edited while it is in hand goes back, with the attempt that it was, again and again", async () => {
  await using by = new ByHand({ maxAttempts: 3 });
  await by.done(by.queue.enqueue("v", { id: "a" }));
  for (const attempt of [1, 2, 3]) {
    expect(await by.take()).toMatchObject({ id: "a", attempt });
    await by.edit("a");
  }
  void by.queue.dequeue().catch(() => {});
  await by.lab.pass(5_000);
  expect(await by.done(by.queue.deadLetters())).toMatchObject([{ id: "a", attempts: 3 }]);
});

test.each(['{"holder":"HOLDER","value":5}', '{"value":5,"holder":"HOLDER"}', "HOLDER"])(
  "an unreadable job of a worker that lives keeps no other one: %s",
  async (text) => {
    await using by = new ByHand();
    for (const id of ["bad", "good"]) await by.done(by.queue.enqueue("v", { id }));
    const jobs = [await by.take(), await by.take()];
    const [holder = ""] = await by.workers();
    await by.done(by.hand.put(keys.job("bad"), text.replace("HOLDER", holder)));
    await by.edit("good");
    expect(await by.take()).toMatchObject({ id: "good", attempt: 2 });
    expect(jobs.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    // It asks for more, so that it comes to the bad one.
    void by.queue.dequeue().catch(() => {});
    await by.lab.pass(2_000);
    expect(by.warnings.some(({ message }) => message.startsWith("/q/jobs/bad is not a job"))).toBe(true);
  },
);

test("dead letters that are being made keep no worker from its first job", async () => {
  await using by = new ByHand({ maxAttempts: 2 });
  for (const id of ["x", "y"]) await by.done(by.hand.put(keys.job(id), '{"value":"v","attempt":2}'));
  await by.done(by.queue.enqueue("good"));
  by.around = (request, send) => (isBurial(request) ? new Promise(() => {}) : send());
  const jobs = [by.queue.dequeue(), by.queue.dequeue(), by.queue.dequeue()];
  for (const job of jobs) job.catch(() => {});
  expect(await by.done(Promise.race(jobs))).toMatchObject({ value: "good", attempt: 1 });
});

test("a worker whose key is gone before its view shows that claims under a new one, and the job keeps its place", async () => {
  await using by = new ByHand();
  for (const id of ["a", "b", "c"]) await by.done(by.queue.enqueue(id, { id }));
  await by.done((await by.take()).ack());
  const [worker] = await by.workers();
  let isGone = false;
  by.around = async (request, send) => {
    if (!isGone && isClaim(request)) {
      isGone = true;
      await by.hand.delete(`/q/workers/${worker}`);
    }
    return send();
  };
  expect(await by.take()).toMatchObject({ id: "b", attempt: 1 });
  expect(await by.workers()).not.toContain(worker);
});

test("a claim whose job is deleted before the answer is here hands out nothing", async () => {
  await using by = new ByHand();
  await by.done(by.queue.enqueue("deleted", { id: "a" }));
  await by.done(by.queue.enqueue("v", { id: "b" }));
  let isFirst = true;
  by.around = async (request, send) => {
    const answer = await send();
    if (isFirst && isClaim(request)) {
      isFirst = false;
      await by.hand.delete(keys.job("a"));
      await new Promise<void>((resolve) => by.lab.clock.timer(100, resolve));
    }
    return answer;
  };
  expect(await by.take()).toMatchObject({ id: "b" });
});

test.each(["release", "ack"] as const)(
  "who waits gets a job of the id that another call's %s is about",
  async (how) => {
    await using by = new ByHand();
    await by.done(by.queue.enqueue("v", { id: "a" }));
    const job = await by.take();
    const next = by.queue.dequeue();
    await by.lab.pass(500);
    // Its answer comes after the view has shown what it did.
    by.around = async (_request, send) => {
      const answer = await send();
      await new Promise<void>((resolve) => by.lab.clock.timer(100, resolve));
      return answer;
    };
    const ending = job[how]();
    await by.lab.pass(10);
    if (how === "ack") await by.done(by.hand.put(keys.job("a"), '{"value":"v","attempt":1}'));
    await by.done(ending);
    expect(await by.lab.until(next)).toBeLessThan(2_000);
    expect(await next).toMatchObject({ id: "a", attempt: 2 });
  },
);

test("of two histories with a claim at one revision the view knows one from the other by the worker", () => {
  const view = new QueueView(keys);
  const [mine, other] = [leaseId("a1"), leaseId("b2")];
  const put = (key: string, text: string, lease?: typeof mine) =>
    storedKeyValue({
      keyBytes: Buffer.from(key),
      value: Buffer.from(text),
      lease,
      createRevision: 2,
      modRevision: 5,
      version: 2,
    });
  const workers = [mine, other].map((lease) => put(keys.worker(lease), "", lease));
  const claimOf = (lease: typeof mine) => put(keys.job("a"), `{"holder":"${lease}","value":"v","attempt":1}`);
  view.apply({ type: "snapshot", revision: 9, puts: [...workers, claimOf(mine)], deletes: [] }, 0);
  expect(view.takeNews()).toEqual([{ type: "claimed", id: "a", claim: { lease: mine, revision: 5 } }]);
  view.apply({ type: "resynced", revision: 9, puts: [claimOf(other)], deletes: [] }, 0);
  expect(view.takeNews()).toEqual([
    { type: "unclaimed", id: "a", claim: { lease: mine, revision: 5 } },
    { type: "claimed", id: "a", claim: { lease: other, revision: 5 } },
  ]);
});

/** It deletes the job and puts a letter. */
function isBurial({ success }: TxnOptions): boolean {
  return success?.[0]?.type === "delete" && success[1]?.type === "put";
}
