import { expect, test } from "vitest";
import { QueueKeys } from "../../../recipes/queue/queue-keys.ts";
import { SharedView, type ViewMember } from "../../../recipes/queue/shared-view.ts";
import { EtcdClient, type MirrorBatch } from "../../../src/index.ts";
import { settled } from "../../support/fake-clock.ts";

test("a view is at the revision of what it has applied, and not at that of a mirror that is ahead of it", async () => {
  const batches: MirrorBatch[] = [3, 4, 5].map((revision) => ({ type: "changes", revision, puts: [], deletes: [] }));
  // Several answers of etcd came in one read: the mirror has them all.
  const mirror = {
    revision: 5,
    status: "live",
    [Symbol.asyncIterator]: () => batches[Symbol.iterator](),
    close: async () => {},
  };
  await using etcd = new EtcdClient({ endpoints: "127.0.0.1:1" });
  Object.assign(etcd, { mirror: () => mirror });
  const seen: number[] = [];
  const member = { look: () => seen.push(shared.revision), worked() {}, warn() {}, fail() {} };
  const shared = SharedView.join(etcd, new QueueKeys("/q"), member as unknown as ViewMember);
  expect(shared.revision).toBe(0);
  await settled();
  expect(seen).toEqual([3, 4, 5]);
});
