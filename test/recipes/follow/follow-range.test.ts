import { expect, test } from "vitest";
import { followRange } from "../../../recipes/follow/index.ts";
import { type EtcdClient, type EtcdError, type Mirror, PermissionDeniedError } from "../../../src/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

/** The next mirrors that this client makes fail as one does that etcd refuses before its first list. */
function refuseMirrors(etcd: EtcdClient, times: number): EtcdError {
  const denied = new PermissionDeniedError("permission denied");
  const mirror = etcd.mirror.bind(etcd);
  let refused = 0;
  etcd.mirror = (range, options) => {
    if (refused++ >= times) return mirror(range, options);
    options?.onStatus?.("failed", denied);
    const failed = { next: () => Promise.reject(denied) };
    return { [Symbol.asyncIterator]: () => failed, close: async () => {} } as unknown as Mirror;
  };
  return denied;
}

/** Follows a key until it ends: what was seen, what etcd refused, and how it ended. */
function followed(etcd: EtcdClient, options: { endsAfter?: (error: unknown) => boolean; listEveryMs?: number } = {}) {
  const ending = new AbortController();
  const seen: string[] = [];
  const refused: unknown[] = [];
  const ended: unknown[] = [];
  const following = (async () => {
    const onWarning = (error: EtcdError) => void refused.push(error);
    const onFailed = (error: EtcdError) => void ended.push(error);
    const steps = followRange(etcd, "/a", { signal: ending.signal, onWarning, onFailed, ...options });
    for await (const { batch, now } of steps) seen.push(`${batch.type} ${now.get("/a")?.text}`);
  })();
  following.catch(() => {});
  return { seen, refused, ended, following, abort: (reason: unknown) => ending.abort(reason) };
}

test("what is there comes first, then each change, until the signal aborts", async () => {
  await using lab = new VirtualLab("changes");
  const { etcd } = lab.client();
  await lab.until(etcd.put("/a", "1"));
  const { seen, following, abort } = followed(etcd);
  await lab.pass(100);
  await lab.until(etcd.put("/a", "2"));
  await lab.pass(100);
  expect(seen).toEqual(["snapshot 1", "changes 2"]);
  const reason = new Error("enough");
  abort(reason);
  await lab.pass(0);
  await expect(following).rejects.toBe(reason);
});

test("with a time to list anew it begins again after that time, also when nothing is heard", async () => {
  await using lab = new VirtualLab("anew");
  const { etcd } = lab.client();
  const { seen, abort } = followed(etcd, { listEveryMs: 30_000 });
  await lab.pass(100);
  expect(seen).toEqual(["snapshot undefined"]);
  await lab.pass(30_000);
  expect(seen.filter((step) => step.startsWith("snapshot"))).toHaveLength(2);
  abort(new Error("enough"));
  await lab.pass(0);
});

test("a refusal that does not end it is reported, and it follows again after a pause", async () => {
  await using lab = new VirtualLab("refused");
  const { etcd } = lab.client();
  const denied = refuseMirrors(etcd, 3);
  const { seen, refused, ended, abort } = followed(etcd, { endsAfter: () => false });
  await lab.pass(60_000);
  expect(seen[0]).toBe("snapshot undefined");
  expect(refused).toEqual([denied, denied, denied]);
  expect(ended).toEqual([]);
  abort(new Error("enough"));
  await lab.pass(0);
});

test("what ends it is reported at once, and thrown", async () => {
  await using lab = new VirtualLab("ends");
  const { etcd } = lab.client();
  const denied = refuseMirrors(etcd, 1);
  const { refused, ended, following } = followed(etcd);
  expect(ended).toEqual([denied]);
  await lab.pass(0);
  await expect(following).rejects.toBe(denied);
  expect(refused).toEqual([]);
});
