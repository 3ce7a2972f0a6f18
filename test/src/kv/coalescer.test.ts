import { describe, expect, test } from "vitest";
import {
  CompactedError,
  ExhaustedError,
  FutureRevisionError,
  PermissionDeniedError,
  RequestRefusedError,
  UnavailableError,
} from "../../../src/index.ts";
import { type Deferred, deferred } from "../../../src/internal/index.ts";
import type { BatchedCalls } from "../../../src/kv/batched-calls.ts";
import { Coalescer } from "../../../src/kv/coalescer.ts";
import { KeysSentAlone } from "../../../src/kv/keys-sent-alone.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { outcomeOf } from "../../support/outcome.ts";

// GUARANTEES 24, without a server: what leaves when, and with whom.

interface Sent {
  readonly requests: readonly string[];
  readonly together: boolean;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly answer: Deferred<string[]>;
}

interface LabOptions {
  readonly writes?: boolean;
  readonly bytes?: (request: string) => number;
  readonly large?: (request: string) => boolean;
  readonly operations?: (request: string) => number;
}

/** A request is `key` or `key=value`; each is answered with itself when the test says so. */
class Lab {
  readonly clock = new FakeClock();
  readonly sent: Sent[] = [];
  readonly calls: Coalescer<string, string>;

  constructor({
    writes = false,
    bytes = (request) => request.length,
    large = () => false,
    operations,
  }: LabOptions = {}) {
    const key = (request: string) => request.split("=")[0] as string;
    const batching: BatchedCalls<string, string> = {
      name: "test",
      clock: this.clock,
      requestTimeoutMs: 5_000,
      ...(writes && { usedKeys: (request: string) => ({ written: [key(request)], seen: [] }) }),
      key,
      bytes,
      operations,
      needsSpace: (request) => request.includes("="),
      one: async (request, { timeoutMs, signal }) =>
        (await this.#send({ requests: [request], together: false, timeoutMs, signal }))[0] as string,
      many: async (requests, { timeoutMs, signal }) => ({
        answers: await this.#send({ requests, together: true, timeoutMs, signal }),
        large: requests.filter(large),
      }),
    };
    this.calls = new Coalescer(batching);
  }

  get shapes(): string[] {
    return this.sent.map(({ requests }) => requests.join(" "));
  }

  async add(request: string, options = {}): Promise<{ value?: string; error?: unknown }> {
    const { tookMs: _, ...outcome } = await outcomeOf(this.calls.add(request, options));
    return outcome;
  }

  /** One that is under way, so that others gather behind it. */
  async busy(): Promise<() => Promise<void>> {
    void this.add("busy");
    await this.turn();
    const sent = this.sent.at(-1) as Sent;
    return () => this.answer(sent);
  }

  async answer(sent = this.sent.at(-1) as Sent): Promise<void> {
    sent.answer.resolve([...sent.requests]);
    await this.turn();
  }

  async fail(error: Error, sent = this.sent.at(-1) as Sent): Promise<void> {
    sent.answer.reject(error);
    await this.turn();
  }

  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  #send(parts: Omit<Sent, "answer">): Promise<string[]> {
    const answer = deferred<string[]>();
    this.sent.push({ ...parts, answer });
    return answer.promise;
  }
}

const noSpace = new ExhaustedError("mvcc: database space exceeded", { outcomeUnknown: true });
const names = (count: number, prefix = "k") => Array.from({ length: count }, (_, index) => `${prefix}${index}`);

describe("what leaves when", () => {
  test("a call alone goes at once, with its own signal and time", async () => {
    const lab = new Lab();
    const { signal } = new AbortController();
    const outcome = lab.add("a", { signal, timeoutMs: 77 });
    await lab.turn();
    expect(lab.sent).toMatchObject([{ requests: ["a"], together: false, timeoutMs: 77, signal }]);
    await lab.answer();
    expect(await outcome).toEqual({ value: "a" });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  test("calls of one turn go together, each with its own answer", async () => {
    const lab = new Lab();
    const outcomes = ["a", "b", "a"].map((key) => lab.add(key));
    await lab.turn();
    expect(lab.shapes).toEqual(["a b a"]);
    await lab.answer();
    expect(await Promise.all(outcomes)).toEqual([{ value: "a" }, { value: "b" }, { value: "a" }]);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  test("what is called while one is under way leaves together when that returns", async () => {
    const lab = new Lab();
    const answerBusy = await lab.busy();
    for (const key of ["a", "b"]) void lab.add(key);
    await lab.turn();
    expect(lab.shapes).toEqual(["busy"]);
    await answerBusy();
    expect(lab.shapes).toEqual(["busy", "a b"]);
  });

  test("or after 1 ms, however long that takes", async () => {
    const lab = new Lab();
    await lab.busy();
    void lab.add("a");
    await lab.clock.pass(0.5);
    void lab.add("b");
    await lab.clock.pass(0.4);
    expect(lab.shapes).toEqual(["busy"]);
    await lab.clock.pass(0.2);
    expect(lab.shapes).toEqual(["busy", "a b"]);
  });

  test("or when it fills a batch: 127 calls", async () => {
    const lab = new Lab();
    await lab.busy();
    for (const key of names(300)) void lab.add(key);
    await lab.turn();
    expect(lab.sent.map(({ requests }) => requests.length)).toEqual([1, 127, 127]);
    await lab.clock.pass(1);
    expect(lab.sent.at(-1)?.requests).toHaveLength(46);
    expect(lab.sent.slice(1).flatMap(({ requests }) => requests)).toEqual(names(300));
  });

  test("or 127 operations, where a call takes several", async () => {
    const lab = new Lab({ operations: (request) => Number(request[0]) || 1 });
    await lab.busy();
    for (const key of [...names(50, "3k"), ...names(10, "1k")]) void lab.add(key);
    await lab.turn();
    expect(lab.sent.map(({ requests }) => requests.length)).toEqual([1, 42]);
    await lab.clock.pass(1);
    expect(lab.sent.map(({ requests }) => requests.length)).toEqual([1, 42, 18]);
  });

  test("or 1 MB, which a batch never exceeds, but for one call that does so alone", async () => {
    const megabyte = 1_000_000;
    const lab = new Lab({ bytes: (request) => (request === "huge" ? 3 * megabyte : 0.4 * megabyte) });
    for (const key of ["a", "b", "c", "huge", "d"]) void lab.add(key);
    await lab.turn();
    await lab.clock.pass(1);
    expect(lab.shapes).toEqual(["a b", "c", "huge", "d"].slice(0, lab.shapes.length));
    expect(lab.shapes).toHaveLength(4);
  });

  test("16 batches are under way at most; the next leaves when one returns", async () => {
    const lab = new Lab();
    for (let batch = 0; batch < 20; batch++) {
      void lab.add(`k${batch}`);
      await lab.turn();
      await lab.clock.pass(1);
    }
    expect(lab.sent).toHaveLength(16);
    await lab.answer(lab.sent[3]);
    expect(lab.shapes.at(-1)).toBe("k16 k17 k18 k19");
    expect(lab.sent).toHaveLength(17);
  });
});

describe("whose call is whose", () => {
  test("an abort settles its own call, and takes it out if it has not left", async () => {
    const lab = new Lab();
    const answerBusy = await lab.busy();
    const early = new AbortController();
    const late = new AbortController();
    const outcomes = [lab.add("a", { signal: early.signal }), lab.add("b", { signal: late.signal }), lab.add("c")];
    early.abort(new Error("early"));
    expect(await outcomes[0]).toEqual({ error: early.signal.reason });
    await answerBusy();
    expect(lab.shapes).toEqual(["busy", "b c"]);
    late.abort(new Error("late"));
    expect(await outcomes[1]).toEqual({ error: late.signal.reason });
    await lab.answer();
    expect(await outcomes[2]).toEqual({ value: "c" });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  test("time settles its own call: nothing is unknown of one that had not left", async () => {
    const lab = new Lab({ writes: true });
    const answerBusy = await lab.busy();
    const sent = lab.add("a", { timeoutMs: 50 });
    const other = lab.add("b");
    await lab.clock.pass(1);
    const behind = lab.add("a=2", { timeoutMs: 20 });
    expect(lab.shapes).toEqual(["busy", "a b"]);
    expect(lab.sent.at(-1)?.timeoutMs).toBe(4_899);
    await lab.clock.pass(60);
    expect(await behind).toMatchObject({ error: { code: "ETCD_TIMEOUT", outcomeUnknown: false } });
    expect(await sent).toMatchObject({ error: { code: "ETCD_TIMEOUT", outcomeUnknown: true } });
    await lab.answer();
    expect(await other).toEqual({ value: "b" });
    await answerBusy();
    expect(lab.shapes).toEqual(["busy", "a b"]);
  });
});

describe("errors", () => {
  test("what says nothing of what was done reaches all of the batch, and nothing is sent again", async () => {
    const lab = new Lab({ writes: true });
    const outcomes = [lab.add("a"), lab.add("b")];
    await lab.turn();
    const error = new UnavailableError("gone", { retryable: true, outcomeUnknown: true });
    await lab.fail(error);
    expect(await Promise.all(outcomes)).toEqual([{ error }, { error }]);
    expect(lab.sent).toHaveLength(1);
  });

  test("a refusal whose outcome is unknown is not sent again", async () => {
    const lab = new Lab({ writes: true });
    const outcomes = [lab.add("a"), lab.add("b")];
    await lab.turn();
    await lab.fail(new PermissionDeniedError("no", { outcomeUnknown: true }));
    expect(await Promise.all(outcomes)).toMatchObject([{ error: { outcomeUnknown: true } }, { error: {} }]);
    expect(lab.sent).toHaveLength(1);
  });

  test("a refusal is sent again one by one, reaches its owner, and its key goes alone from then on", async () => {
    const lab = new Lab();
    const aborted = new AbortController();
    const outcomes = [lab.add("a"), lab.add("bad"), lab.add("c", { signal: aborted.signal })];
    await lab.turn();
    aborted.abort(new Error("gone"));
    await lab.fail(new PermissionDeniedError("one of you"));
    expect(lab.shapes).toEqual(["a bad c", "a", "bad"]);
    await lab.answer(lab.sent[1]);
    const own = new PermissionDeniedError("you");
    await lab.fail(own, lab.sent[2]);
    expect(await Promise.all(outcomes)).toEqual([{ value: "a" }, { error: own }, { error: aborted.signal.reason }]);

    for (const key of ["d", "bad", "e"]) void lab.add(key);
    await lab.clock.pass(1);
    expect(lab.shapes.slice(3).sort()).toEqual(["bad", "d e"]);
  });

  test("calls that were too many operations are sent in halves, and the next batches are half as long", async () => {
    const lab = new Lab();
    for (const key of names(100)) void lab.add(key);
    await lab.turn();
    await lab.fail(new RequestRefusedError("too many operations", { beyond: "operations" }));
    for (const sent of lab.sent.slice(1)) await lab.answer(sent);
    expect(lab.sent.slice(1).map(({ requests }) => requests.length)).toEqual([50, 50]);
    const before = lab.sent.length;
    for (const key of names(100, "n")) void lab.add(key);
    await lab.turn();
    expect(lab.sent.slice(before).map(({ requests }) => requests.length)).toEqual([49, 49]);
  });

  test("calls that were too many bytes are sent in halves, and the next batches are half as large", async () => {
    const lab = new Lab({ bytes: () => 1_000 });
    for (const key of names(100)) void lab.add(key);
    await lab.turn();
    await lab.fail(new RequestRefusedError("too large", { beyond: "requestBytes" }));
    for (const sent of lab.sent.slice(1)) await lab.answer(sent);
    const before = lab.sent.length;
    for (const key of names(100, "n")) void lab.add(key);
    await lab.turn();
    expect(lab.sent.slice(before).map(({ requests }) => requests.length)).toEqual([50, 50]);
  });

  test("one that is too large by itself makes the batches of others no smaller", async () => {
    const lab = new Lab({ bytes: (request) => (request === "large" ? 1_000_000 : 1_000) });
    void lab.add("large").catch(() => {});
    for (const key of names(40)) void lab.add(key);
    await lab.turn();
    const tooLarge = new RequestRefusedError("too large", { beyond: "requestBytes" });
    let before = 0;
    for (; before < lab.sent.length; before++) {
      const sent = lab.sent[before] as Sent;
      if (sent.requests.includes("large")) await lab.fail(tooLarge, sent);
      else await lab.answer(sent);
    }
    for (const key of names(100, "n")) void lab.add(key);
    await lab.turn();
    expect(lab.sent.slice(before).map(({ requests }) => requests.length)).toEqual([100]);
  });

  test("what is refused for want of space can have been stored: nothing of it is sent again", async () => {
    const lab = new Lab({ writes: true });
    const outcomes = ["put=1", "delete"].map((request) => lab.add(request));
    await lab.turn();
    await lab.fail(noSpace);
    expect(await Promise.all(outcomes)).toEqual([{ error: noSpace }, { error: noSpace }]);
    expect(lab.shapes).toEqual(["put=1 delete"]);
  });

  test("until etcd has space again, deletions travel apart, each kind in its turn, and no key goes alone", async () => {
    const lab = new Lab({ writes: true });
    void lab.add("put=1");
    await lab.turn();
    await lab.fail(noSpace);
    const again = ["a=1", "b", "c", "d=1"].map((request) => lab.add(request));
    await lab.turn();
    expect(lab.shapes.slice(1)).toEqual(["a=1 d=1"]);
    // Deletions that come later wait behind those that were there.
    void lab.add("e");
    await lab.fail(noSpace, lab.sent[1]);
    expect(lab.shapes.slice(2)).toEqual(["b c e"]);
    for (const request of ["f", "g=1", "h=1"]) void lab.add(request);
    await lab.answer(lab.sent[2]);
    expect(await Promise.all(again)).toEqual([{ error: noSpace }, { value: "b" }, { value: "c" }, { error: noSpace }]);
    expect(lab.shapes.slice(3)).toEqual(["f"]);
    await lab.answer(lab.sent[3]);
    expect(lab.shapes.slice(4)).toEqual(["g=1 h=1"]);
    for (const request of ["i=1", "j"]) void lab.add(request);
    await lab.answer(lab.sent[4]);
    expect(lab.shapes.slice(5)).toEqual(["i=1 j"]);
  });

  test("a deletion does not wait behind puts that come later, however many", async () => {
    const lab = new Lab({ writes: true });
    void lab.add("full=1");
    await lab.turn();
    await lab.fail(noSpace);
    for (const key of names(200)) void lab.add(`${key}=1`);
    void lab.add("delete");
    for (const key of names(200, "later")) void lab.add(`${key}=1`);
    await lab.turn();
    // Two batches of puts at most go before it.
    await lab.fail(noSpace, lab.sent[1]);
    await lab.fail(noSpace, lab.sent[2]);
    expect(lab.shapes.slice(1, 5).filter((shape) => shape === "delete")).toHaveLength(1);
  });

  test.each([
    ["a put alone", ["a=1"]],
    ["puts", ["a=1", "b=1"]],
  ])("etcd has space again when it has stored %s", async (_, stored) => {
    const lab = new Lab({ writes: true });
    const mixed = async (key: string) => {
      const first = lab.sent.length;
      for (const request of [`${key}=1`, `not-${key}`]) void lab.add(request);
      await lab.turn();
      return lab.shapes.slice(first);
    };
    void lab.add("full=1");
    await lab.turn();
    await lab.fail(noSpace);
    expect(await mixed("x")).toEqual(["x=1"]);
    await lab.fail(noSpace);
    // A deletion says nothing of it.
    await lab.answer();
    for (const request of stored) void lab.add(request);
    await lab.turn();
    await lab.answer();
    expect(await mixed("y")).toEqual(["y=1 not-y"]);
  });

  test("too many requests are no want of space", async () => {
    const lab = new Lab({ writes: true });
    void lab.add("a=1");
    await lab.turn();
    await lab.fail(new ExhaustedError("too many requests", { retryable: true }));
    for (const request of ["b=1", "c"]) void lab.add(request);
    await lab.turn();
    expect(lab.shapes.slice(1)).toEqual(["b=1 c"]);
  });

  test("batches stay as long as they were when the one to blame was aborted meanwhile, or lacked a permission for a moment", async () => {
    const lab = new Lab();
    const refusals = [
      new RequestRefusedError("one of you"),
      new PermissionDeniedError("one of you"),
      new CompactedError("one of you"),
      new FutureRevisionError("one of you"),
    ];
    for (const error of refusals) {
      const abort = new AbortController();
      const first = lab.sent.length;
      for (const key of names(99)) void lab.add(key);
      void lab.add("blamed", error instanceof RequestRefusedError ? { signal: abort.signal } : {});
      await lab.turn();
      abort.abort(new Error("gone"));
      await lab.fail(error);
      for (const sent of lab.sent.slice(first + 1)) await lab.answer(sent);
      const before = lab.sent.length;
      for (const key of names(100, "n")) void lab.add(key);
      await lab.turn();
      expect(lab.sent.slice(before).map(({ requests }) => requests.length)).toEqual([100]);
      await lab.answer();
    }
  });

  test("keys that are large go alone from then on", async () => {
    const lab = new Lab({ large: (request) => request === "big" });
    for (const key of ["a", "big"]) void lab.add(key);
    await lab.turn();
    await lab.answer();
    for (const key of ["a", "b", "big"]) void lab.add(key);
    await lab.clock.pass(1);
    expect(lab.shapes.slice(1).sort()).toEqual(["a b", "big"]);
  });
});

describe("writes of one key", () => {
  test("are never under way at once, and go in the order of the calls", async () => {
    const lab = new Lab({ writes: true });
    const outcomes = ["a=1", "b=1", "a=2", "a=3", "b=2"].map((request) => lab.add(request));
    await lab.turn();
    await lab.clock.pass(2);
    expect(lab.shapes).toEqual(["a=1 b=1"]);
    await lab.answer();
    expect(lab.shapes).toEqual(["a=1 b=1", "a=2 b=2"]);
    await lab.answer();
    expect(lab.shapes).toEqual(["a=1 b=1", "a=2 b=2", "a=3"]);
    await lab.answer();
    expect((await Promise.all(outcomes)).map((outcome) => "value" in outcome && outcome.value)).toEqual([
      "a=1",
      "b=1",
      "a=2",
      "a=3",
      "b=2",
    ]);
  });

  test("one that was aborted before it left makes way for the next", async () => {
    const lab = new Lab({ writes: true });
    const abort = new AbortController();
    void lab.add("a=1");
    const gone = lab.add("a=2", { signal: abort.signal });
    void lab.add("a=3");
    await lab.turn();
    abort.abort(new Error("gone"));
    await gone;
    await lab.answer();
    await lab.clock.pass(1);
    expect(lab.shapes).toEqual(["a=1", "a=3"]);
  });

  test("one that failed makes way, too", async () => {
    const lab = new Lab({ writes: true });
    void lab.add("a=1");
    void lab.add("a=2");
    await lab.turn();
    await lab.fail(new UnavailableError("gone", {}));
    expect(lab.shapes).toEqual(["a=1", "a=2"]);
  });
});

test("keys that go alone hold no other call up, however many are under way", async () => {
  const lab = new Lab({ large: (request) => request.startsWith("large") });
  const large = names(20, "large");
  for (const key of large) void lab.add(key);
  await lab.turn();
  await lab.answer();
  for (const key of large) void lab.add(key);
  await lab.turn();
  const signal = AbortSignal.abort();
  const [small, aborted] = [lab.add("small", { timeoutMs: 200 }), lab.add("aborted", { signal })];
  await lab.turn();
  expect(lab.sent.at(-1)).toMatchObject({ requests: ["small"] });
  await lab.answer();
  expect(await small).toEqual({ value: "small" });
  expect(await aborted).toEqual({ error: signal.reason });
});

test("a call whose signal has aborted when its batch leaves is not sent", async () => {
  const lab = new Lab({ writes: true });
  const abort = new AbortController();
  const [first, second] = [lab.add("a=1"), lab.add("b=2")];
  const late = [lab.add("c=3", { signal: AbortSignal.abort() }), lab.add("d=4", { signal: abort.signal })];
  abort.abort();
  await lab.turn();
  expect(lab.shapes).toEqual(["a=1 b=2"]);
  await lab.answer();
  expect(await Promise.all([first, second])).toEqual([{ value: "a=1" }, { value: "b=2" }]);
  expect(await late[0]).toEqual({ error: expect.objectContaining({ name: "AbortError" }) });
  expect(await late[1]).toEqual({ error: abort.signal.reason });
});

test("a batch goes on for as long as one of its callers waits", async () => {
  const lab = new Lab();
  const [one, another] = [new AbortController(), new AbortController()];
  const calls = [
    lab.add("a", { signal: one.signal, timeoutMs: Number.POSITIVE_INFINITY }),
    lab.add("b", { signal: another.signal, timeoutMs: Number.POSITIVE_INFINITY }),
  ];
  await lab.turn();
  const [batch] = lab.sent;
  one.abort();
  expect(batch?.signal?.aborted).toBe(false);
  another.abort();
  expect(batch?.signal?.aborted).toBe(true);
  expect(await Promise.all(calls)).toEqual([{ error: one.signal.reason }, { error: another.signal.reason }]);
});

test("calls of one turn that are more than may be under way end by their own time and signal", async () => {
  const lab = new Lab();
  const abort = new AbortController();
  for (const key of names(16 * 127)) void lab.add(key);
  const [late, given] = [lab.add("late", { timeoutMs: 200 }), lab.add("given up", { signal: abort.signal })];
  await lab.turn();
  expect(lab.sent).toHaveLength(16);
  abort.abort();
  expect(await given).toEqual({ error: abort.signal.reason });
  await lab.clock.pass(200);
  expect((await late).error).toMatchObject({ code: "ETCD_TIMEOUT" });
});

test("a thousand keys are remembered as going alone; those longest ago are forgotten", () => {
  const lone = new KeysSentAlone();
  expect(lone.any).toBe(false);
  for (const key of names(1_000)) lone.add(key);
  lone.add("k0");
  lone.add("new");
  expect(["k0", "k1", "k2", "new"].map((key) => lone.has(key))).toEqual([true, false, true, true]);
});
