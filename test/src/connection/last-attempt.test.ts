import { expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { refusals, ScriptedEtcd } from "../secure/scripted-etcd.ts";

test("a write that was refused each time says so: it is not begun again with hardly any time for an answer", async () => {
  await using server = await ScriptedEtcd.start((call) => call.refuse(refusals.noLeader));
  await using etcd = new EtcdClient({ endpoints: server.endpoint });
  const puts = Array.from({ length: 120 }, (_, index) => etcdErrorOf(etcd.put(`k${index}`, "v", { timeoutMs: 1_000 })));
  for (const error of await Promise.all(puts)) {
    expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: false });
    expect(error.message).toContain("no leader");
  }
  const times = server.calls.map(({ timeoutMs = 0 }) => timeoutMs);
  expect(times.length).toBeGreaterThan(2 * puts.length);
  // It looks at 100 ms, and needs a moment until it is sent.
  expect(Math.min(...times)).toBeGreaterThan(50);
});

test.each([
  ["a read", undefined],
  ["the request for a token", { username: "ann", password: "hunter2" }],
])("an attempt of %s with hardly any time does not hide why those before it failed", async (_, auth) => {
  await using server = await ScriptedEtcd.start((call) => {
    const isAttempt = (call.method === "Authenticate") === (auth !== undefined);
    // With hardly any time left it says nothing.
    if (isAttempt && (call.timeoutMs ?? 0) >= 100) call.refuse(refusals.noLeader);
  });
  const failedRead = async () => {
    await using etcd = new EtcdClient({ endpoints: server.endpoint, requestTimeoutMs: 1_000, auth });
    return await etcdErrorOf(etcd.get("k"));
  };
  for (const error of await Promise.all(Array.from({ length: 10 }, failedRead))) {
    expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", message: expect.stringContaining("no leader") });
  }
});
