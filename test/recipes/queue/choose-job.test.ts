import { expect, test } from "vitest";
import { chooseJob } from "../../../recipes/queue/choose-job.ts";
import { QueueKeys } from "../../../recipes/queue/queue-keys.ts";
import { QueueView } from "../../../recipes/queue/queue-view.ts";
import { type LeaseId, leaseId } from "../../../src/index.ts";
import { storedKeyValue } from "../../../testing/fake-etcd/stored-key-value.ts";

const keys = new QueueKeys("/q");
const own = leaseId("a1");
const other = leaseId("b2");
const wallMs = 1_000_000;

/** A view of these keys, each made at a revision of its own, in this order. */
function viewOf(entries: readonly { key: string; lease?: LeaseId }[]): QueueView {
  const view = new QueueView(keys);
  const puts = entries.map(({ key, lease }, index) => {
    const revisions = { createRevision: index + 2, modRevision: index + 2, version: 1 };
    const value = Buffer.from(JSON.stringify({ value: key, attempt: 0 }));
    return storedKeyValue({ keyBytes: Buffer.from(key), value, lease, ...revisions });
  });
  view.apply({ type: "snapshot", revision: 100, puts, deletes: [] }, 0);
  return view;
}

const jobs = ["1", "2", "3"].map((id) => ({ key: keys.job(id) }));

/** What a worker can choose, whatever it draws. */
function choices(view: QueueView): (string | undefined)[] {
  const parts = { view, own, isTaken: () => false, nowMs: 10, wallMs, graceMs: 250 };
  return [0, 0.5, 0.999].map((drawn) => chooseJob({ ...parts, random: () => drawn }).job?.id);
}

test("a worker that is alone takes the first job that it does not have, also while it still sees its own place", () => {
  for (const waiting of [[], [{ key: keys.waiting(own), lease: own }]]) {
    const view = viewOf([...jobs, ...waiting]);
    expect(choices(view)).toEqual(["1", "1", "1"]);
    const [first] = view.ready;
    if (first) view.claimBegun(first);
    expect(choices(view)).toEqual(["2", "2", "2"]);
  }
});

test("one of several leaves the first job to the one who waits for it", () => {
  const view = viewOf([...jobs, { key: keys.waiting(other), lease: other }]);
  expect(choices(view)).toEqual(["2", "3", "3"]);
});
