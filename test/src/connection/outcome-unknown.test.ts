import { expect, test } from "vitest";
import { EtcdClient, EtcdTimeoutError, putOp } from "../../../src/index.ts";
import { startGrpcServer } from "../../support/grpc-server.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { refusals, ScriptedEtcd, tokenAnswer } from "../secure/scripted-etcd.ts";

// A write that may have left says so, whatever it ends with: the error that ends a call need not come from an attempt.

const auth = { username: "u", password: "p" };

/** The first password is taken, and the first write executed without an answer; then a refusal for each that comes. */
function executedOnce(then: readonly [code: number, sentence: string]) {
  let executed = false;
  return ScriptedEtcd.start((call) => {
    if (call.method === "Authenticate") {
      if (executed) call.refuse(refusals.wrongPassword);
      else call.answer(tokenAnswer("t1"));
      return;
    }
    if (executed) {
      call.refuse(then);
      return;
    }
    executed = true;
    call.cut();
  });
}

test("a change whose answer was lost, and whose user gets no token any more", async () => {
  await using server = await executedOnce(refusals.invalidToken);
  await using etcd = new EtcdClient({ endpoints: server.endpoint, auth });
  const { error } = await outcomeOf(etcd.auth.users.changePassword("u", "next"));
  expect(server.calls.map(({ method }) => method)).toEqual([
    "Authenticate",
    "UserChangePassword",
    "UserChangePassword",
    "Authenticate",
  ]);
  expect(error).toMatchObject({ code: "ETCD_UNAUTHENTICATED", outcomeUnknown: true });
});

test("a change whose answer was lost, and that etcd then refuses", async () => {
  await using server = await executedOnce(refusals.permissionDenied);
  await using etcd = new EtcdClient({ endpoints: server.endpoint, auth });
  const { error } = await outcomeOf(etcd.auth.users.changePassword("u", "next"));
  expect(error).toMatchObject({ code: "ETCD_PERMISSION_DENIED", outcomeUnknown: true });
});

test("writes that are under way when the client is closed, each by itself, in a batch and as a txn; reads are not", async () => {
  await using server = await ScriptedEtcd.start(() => {});
  const etcd = new EtcdClient({ endpoints: server.endpoint });
  const writes = [
    etcd.put("a", "1"),
    etcd.put("b", "2", { batch: true }),
    etcd.put("c", "3", { batch: true }),
    etcd.delete("d"),
    etcd.txn({ success: [putOp("e", "5")] }),
    etcd.auth.users.changePassword("u", "next"),
  ];
  const read = etcd.get("a");
  const settled = Promise.all([...writes, read].map((call) => outcomeOf<unknown>(call)));
  await until(() => server.calls.length >= 6);
  await etcd.close();
  const errors = (await settled).map(({ error }) => error);
  const closed = { code: "ETCD_CLOSED", retryable: false };
  expect(errors.slice(0, -1)).toEqual(writes.map(() => expect.objectContaining({ ...closed, outcomeUnknown: true })));
  expect(errors.at(-1)).toMatchObject({ ...closed, outcomeUnknown: false });
});

test("a write that waits for a connection when the client is closed was not sent", async () => {
  // It says nothing after the connection is there, so no call leaves.
  await using server = await startGrpcServer();
  const etcd = new EtcdClient({ endpoints: `http://127.0.0.1:${server.target.port}` });
  const put = outcomeOf(etcd.put("a", "1"));
  await etcd.close();
  expect((await put).error).toMatchObject({ code: "ETCD_CLOSED", outcomeUnknown: false });
});

test("the reason of the caller's own abort is handed on as it is, also where it is an error of ours", async () => {
  await using server = await ScriptedEtcd.start(() => {});
  await using etcd = new EtcdClient({ endpoints: server.endpoint });
  const reason = new EtcdTimeoutError("its own time is over");
  const controller = new AbortController();
  const put = outcomeOf(etcd.put("a", "1", { signal: controller.signal }));
  await until(() => server.calls.length === 1);
  controller.abort(reason);
  expect((await put).error).toBe(reason);
});
