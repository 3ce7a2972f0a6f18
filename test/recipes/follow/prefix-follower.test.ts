import { expect, test } from "vitest";
import { type FollowNews, PrefixFollower } from "../../../recipes/follow/index.ts";
import { recipeClient } from "../../../recipes/recipe/index.ts";
import type { EtcdClient } from "../../../src/index.ts";
import { PermissionDeniedError } from "../../../src/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

function follow(lab: VirtualLab, etcd: EtcdClient, handle: (news: FollowNews) => Promise<void> | void = () => {}) {
  const heard: string[] = [];
  const onNews = (news: FollowNews) => {
    heard.push(news.type === "status" ? news.status : news.type);
    return handle(news);
  };
  const follower = new PrefixFollower({
    what: "the test",
    prefix: "/p/",
    client: recipeClient(etcd),
    mirror: "own",
    onNews,
  });
  lab.also(() => follower.close());
  return { heard, follower };
}

test("a batch waits until the one before is handled, and being followed does not wait for that", async () => {
  await using lab = new VirtualLab("waits");
  const { etcd } = lab.client();
  const handled = deferred<void>();
  const { heard, follower } = follow(lab, etcd, ({ type }) => (type === "snapshot" ? handled.promise : undefined));
  await lab.until(follower.ready);
  await lab.until(etcd.put("/p/a", "1"));
  await lab.pass(1_000);
  expect(heard).toEqual(["snapshot", "live"]);
  handled.resolve();
  await lab.pass(0);
  expect(heard).toEqual(["snapshot", "live", "changes"]);
});

test("what is thrown for a batch ends it once, and nothing is heard after that", async () => {
  await using lab = new VirtualLab("throws");
  const { etcd } = lab.client();
  const wrong = new Error("wrong");
  const { heard, follower } = follow(lab, etcd, ({ type }) => {
    if (type === "snapshot") throw wrong;
  });
  await lab.pass(100);
  await expect(follower.ready).rejects.toBe(wrong);
  expect(heard).toEqual(["snapshot", "failed", "failed"]);
  expect(follower.ended.reason).toBe(wrong);
  await lab.until(etcd.put("/p/a", "1"));
  await lab.pass(100);
  expect(heard).toHaveLength(3);
});

test("one that was live waits for a read that etcd refuses, as what it follows does, and says so", async () => {
  await using lab = new VirtualLab("refused");
  const { etcd } = lab.client();
  const { heard, follower } = follow(lab, etcd);
  await lab.until(follower.ready);
  heard.length = 0;
  const { txn } = etcd;
  etcd.txn = () => Promise.reject(new PermissionDeniedError("no right to read"));
  let isUp = false;
  const up = follower.caughtUp().then(() => {
    isUp = true;
  });
  up.catch(() => {});
  await lab.pass(600_000);
  expect({ isUp, heard }).toEqual({ isUp: false, heard: ["warning"] });
  etcd.txn = txn;
  await lab.until(up);
  await up;
});

test("one that is closed before it began makes no mirror and says only that it is closed", async () => {
  await using lab = new VirtualLab("closed");
  const { etcd } = lab.client();
  etcd.mirror = () => {
    throw new Error("a mirror was made");
  };
  const { heard, follower } = follow(lab, etcd);
  await follower.close();
  await lab.pass(0);
  expect(heard).toEqual(["closed"]);
  await expect(follower.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
});
