import { expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { refusals, ScriptedEtcd } from "../secure/scripted-etcd.ts";

// A member that has committed far more than it has applied takes no more requests. It says so as gRPC's UNKNOWN.

test("a put that etcd has too much to do for is sent again until it is taken, on the connection that is there", async () => {
  let refused = 0;
  await using server = await ScriptedEtcd.start((call) => {
    if (++refused <= 8) call.refuse(refusals.tooManyRequests);
    else call.answer();
  });
  await using etcd = new EtcdClient({ endpoints: server.endpoint, requestTimeoutMs: 30_000 });
  await etcd.put("k", "v");
  expect(server.calls).toHaveLength(9);
  expect(server.connections).toBe(1);
});

test("a put that etcd had too much to do for all the time is known not to be executed", async () => {
  await using server = await ScriptedEtcd.start((call) => call.refuse(refusals.tooManyRequests));
  await using etcd = new EtcdClient({ endpoints: server.endpoint });
  const error = await etcdErrorOf(etcd.put("k", "v", { timeoutMs: 500 }));
  expect(error).toMatchObject({ retryable: true, outcomeUnknown: false });
  expect(error.message).toContain("too many requests");
  // With pauses in between: without them it would be thousands.
  expect(server.calls.length).toBeLessThan(100);
});
