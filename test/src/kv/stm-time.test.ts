import { expect, test } from "vitest";
import { EtcdTimeoutError } from "../../../src/index.ts";
import { systemRuntime } from "../../../src/internal/runtime.ts";
import { runStm } from "../../../src/kv/stm.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";

/** Reads find nothing; writes have no answer before they are aborted. */
const silent = {
  range: async () => ({ revision: 1, kvs: [] }),
  txn: (_request: unknown, { signal }: { signal: AbortSignal }) =>
    new Promise((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      else signal.addEventListener("abort", () => reject(signal.reason));
    }),
};

test("ended while its writes are on their way, it says that they may be there", async () => {
  const error = await etcdErrorOf(runStm(silent as never, systemRuntime, (tx) => tx.put("a", "1"), { timeoutMs: 20 }));
  expect(error).toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: true, retryable: true });
  expect(error.message).toBe("stm: the transaction did not come through within 20 ms, tried once");
});

test("ended before it has written, it says that nothing is there", async () => {
  const contended = { ...silent, txn: async () => ({ succeeded: false }) };
  const error = await etcdErrorOf(
    runStm(contended as never, systemRuntime, (tx) => tx.put("a", "1"), { timeoutMs: 20 }),
  );
  expect(error).toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: false });
  expect(error.message).toMatch(/^stm: the transaction did not come through within 20 ms, tried (once|\d+ times)$/);
});

test("aborted by its caller it rejects with the caller's reason, whatever that is", async () => {
  const ending = new AbortController();
  const reason = new EtcdTimeoutError("the caller's own");
  const running = runStm(silent as never, systemRuntime, (tx) => tx.put("a", "1"), {
    signal: ending.signal,
    timeoutMs: 40,
  });
  ending.abort(reason);
  expect((await outcomeOf(running)).error).toBe(reason);
});
