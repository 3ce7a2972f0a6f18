import { expect, test } from "vitest";
import { ClientClosedError, EtcdTimeoutError, type StmTransaction } from "../../../src/index.ts";
import { deferred } from "../../../src/internal/deferred.ts";
import { systemRuntime } from "../../../src/internal/runtime.ts";
import { runStm } from "../../../src/kv/stm.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

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

/** A client that the test closes. */
function closable() {
  const listeners = new Set<(error: Error) => void>();
  return {
    listeners,
    onClose: (listener: (error: Error) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      for (const listener of listeners) listener(new ClientClosedError("closed"));
    },
  };
}

/** What ends a transaction whose function waits for something else for ever, and the error that it ends with. */
const ends = [
  { what: "its time", end: () => {}, code: "ETCD_TIMEOUT" },
  { what: "its caller", end: (ending: AbortController) => ending.abort({ code: "aborted" }), code: "aborted" },
  { what: "the end of its client", end: (_: AbortController, close: () => void) => close(), code: "ETCD_CLOSED" },
];

test.each(ends)("$what ends it also while its function waits for something else", async ({ what, end, code }) => {
  const ending = new AbortController();
  const { onClose, close, listeners } = closable();
  const written: unknown[] = [];
  const kv = {
    ...silent,
    txn: async (request: unknown, { signal }: { signal: AbortSignal }) => {
      signal.throwIfAborted();
      written.push(request);
      return { succeeded: true };
    },
  };
  const waiting = deferred<void>();
  const begun = deferred<void>();
  const work = async (tx: StmTransaction) => {
    tx.put("a", "1");
    begun.resolve();
    await waiting.promise;
  };
  const options = { signal: ending.signal, timeoutMs: what === "its time" ? 20 : 60_000 };
  const outcome = outcomeOf(runStm(kv as never, systemRuntime, work, options, onClose));
  await begun.promise;
  end(ending, close);
  expect((await outcome).error).toMatchObject({ code, ...(what === "its caller" ? {} : { outcomeUnknown: false }) });
  expect(listeners.size).toBe(0);
  // What it would write now does not leave.
  waiting.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(written).toEqual([]);
});

test("ended while its function only reads, it does not resolve", async () => {
  const ending = new AbortController();
  const read = deferred<void>();
  const running = runStm(
    silent as never,
    systemRuntime,
    async (tx) => {
      await tx.get("a");
      read.resolve();
      await new Promise(() => {});
    },
    { signal: ending.signal },
  );
  await read.promise;
  ending.abort(new Error("enough"));
  await expect(running).rejects.toThrow("enough");
});

test("its client's end ends it while a read is under way, also where its function takes no notice", async () => {
  const { onClose, close } = closable();
  const reading = deferred<void>();
  const range = (_: unknown, { signal }: { signal: AbortSignal }) =>
    new Promise((_resolve, reject) => {
      reading.resolve();
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const work = async (tx: StmTransaction) => {
    await tx.get("a").catch(() => {});
    await new Promise(() => {});
  };
  const outcome = outcomeOf(runStm({ range } as never, systemRuntime, work, {}, onClose));
  await reading.promise;
  close();
  expect((await outcome).error).toMatchObject({ code: "ETCD_CLOSED", outcomeUnknown: false });
});

test.each([
  { what: "are written", succeeded: true, outcome: { value: "done" } },
  { what: "conflict", succeeded: false, outcome: { error: { code: "ETCD_CLOSED", outcomeUnknown: false } } },
])("after its client's end it waits for writes that are on their way, and tries no others: they $what", async (one) => {
  const { onClose, close } = closable();
  const answers: ((answer: { succeeded: boolean }) => void)[] = [];
  const txn = () => new Promise((resolve) => answers.push(resolve));
  const work = (tx: StmTransaction) => {
    tx.put("a", "1");
    return "done";
  };
  const outcome = outcomeOf(runStm({ txn } as never, systemRuntime, work, {}, onClose));
  await until(() => answers.length === 1);
  close();
  answers[0]?.({ succeeded: one.succeeded });
  expect(await outcome).toMatchObject(one.outcome);
  expect(answers).toHaveLength(1);
});

test.each([0, 1, 2, 3, 4, 5])(
  "a commit is not lost when the client is closed %d turns after its answer",
  async (turns) => {
    const { onClose, close } = closable();
    const txn = async () => {
      let later = Promise.resolve();
      for (let turn = 0; turn < turns; turn++) later = later.then(() => {});
      void later.then(close);
      return { succeeded: true };
    };
    const work = (tx: StmTransaction) => {
      tx.put("a", "1");
      return "done";
    };
    expect(await runStm({ txn } as never, systemRuntime, work, {}, onClose)).toBe("done");
  },
);
