import { expect, test } from "vitest";
import { Buckets } from "../../../recipes/cache-expirer/buckets.ts";
import { Sweeper } from "../../../recipes/cache-expirer/sweeper.ts";
import { TrackedKeys } from "../../../recipes/cache-expirer/tracked-keys.ts";
import type { EtcdClient } from "../../../src/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";

test("an id that is touched while a thousand others are swept is not swept with those behind them", async () => {
  const clock = new FakeClock();
  const buckets = new Buckets(640);
  const keys = new TrackedKeys("cache/");
  const { expiresAt } = buckets.at(clock.wallMs());
  const ids = Array.from({ length: 1_500 }, (_, index) => `id-${index}`);
  for (const id of ids) keys.found(id, { modRevision: 2, expiresAt });
  clock.advance(700_000);
  const touched = { modRevision: 3, expiresAt: buckets.at(clock.wallMs()).expiresAt };
  let deleted = 0;
  const txn = async () => {
    deleted++;
    keys.found("id-1499", touched);
    return { succeeded: true, revision: 3 + deleted };
  };
  const sweeper = new Sweeper({ etcd: { txn } as unknown as EtcdClient, prefix: "cache/", buckets, clock, keys });
  await sweeper.sweep(new AbortController().signal);
  expect(deleted).toBe(ids.length - 1);
  expect(keys.get("id-1499")).toEqual(touched);
});
