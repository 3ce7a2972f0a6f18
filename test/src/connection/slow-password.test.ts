import { expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { refusals, ScriptedEtcd, tokenAnswer } from "../secure/scripted-etcd.ts";

// HARDSHIPS 13: a password costs etcd some 100 ms of CPU, also when no caller waits for the answer any more. Where a
// crowd of clients comes at once, an answer takes seconds, and would take for ever if each of them asked anew before it
// comes.

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

test("a grant that may have been executed says so, also when its time ends in the wait for a token", async () => {
  let passwords = 0;
  let grants = 0;
  await using server = await ScriptedEtcd.start((call) => {
    if (call.method === "Authenticate") {
      if (++passwords === 1) call.answer(tokenAnswer("t"));
    } else if (++grants === 1) call.cut();
    else call.refuse(refusals.invalidToken);
  });
  await using etcd = new EtcdClient({ endpoints: server.endpoint, auth });
  const error = await etcdErrorOf(etcd.grantLease(30, { timeoutMs: 1_500 }));
  expect([passwords, grants]).toEqual([2, 2]);
  expect(error).toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: true });
});
