import { afterEach, expect, test, vi } from "vitest";
import { startEtcd } from "../../testing/index.ts";
import { borrowEtcd } from "../support/borrow-etcd.ts";
import { get, put } from "../support/gateway/index.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("a foreign cluster is used only by ETCD_TEST_ENDPOINTS, and only what is under the prefix is deleted", async () => {
  await using foreign = await startEtcd();
  const [endpoint] = foreign.endpoints as [string];
  vi.stubEnv("ETCD_TEST_ENDPOINTS", endpoint);
  await put(endpoint, "theirs", "kept");
  let key: string;
  {
    await using borrowed = await borrowEtcd();
    expect(borrowed.endpoints).toEqual([endpoint]);
    key = `${borrowed.prefix}mine`;
    await put(endpoint, key, "1");
  }
  expect(await get(endpoint, key)).toBeUndefined();
  expect(await get(endpoint, "theirs")).toBe("kept");
});

test("without ETCD_TEST_ENDPOINTS the etcd is its own, whatever ETCD_ENDPOINTS says", async () => {
  vi.stubEnv("ETCD_TEST_ENDPOINTS", undefined);
  vi.stubEnv("ETCD_ENDPOINTS", "http://127.0.0.1:1");
  await using borrowed = await borrowEtcd();
  await put(borrowed.endpoints[0] ?? "", `${borrowed.prefix}mine`, "1");
});
