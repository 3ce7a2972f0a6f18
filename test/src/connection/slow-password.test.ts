import { expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { until } from "../../support/until.ts";
import { ScriptedEtcd, tokenAnswer } from "../secure/scripted-etcd.ts";

// HARDSHIPS 13: a password costs etcd some 100 ms of CPU, also when nobody waits for the answer any more. Where a crowd of
// clients comes at once, an answer takes seconds, and would take for ever if each of them asked anew before it comes.

const auth = { username: "alice", password: "p" };

test("an etcd that takes long for a password is given more time with each request", async () => {
  await using server = await ScriptedEtcd.start((call) => {
    if (call.method === "Authenticate") setTimeout(() => call.answer(tokenAnswer("t")), 2_000).unref();
    else call.answer();
  });
  // The only endpoint has all of this at first.
  await using etcd = new EtcdClient({ endpoints: server.endpoint, auth, requestTimeoutMs: 600 });
  await until(() => etcd.range("k").then(() => true), { timeoutMs: 20_000 });
  expect(server.tokens("Authenticate").length).toBeLessThan(5);
  expect(server.tokens("Range")).toEqual(["t"]);
});
