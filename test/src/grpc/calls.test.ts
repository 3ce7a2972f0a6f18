import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { HpackDecoder } from "../../../src/grpc/hpack/hpack-decoder.ts";
import { type ConnectionError, grpcStatus } from "../../../src/grpc/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ask, listen, wireLab } from "../../support/grpc-lab.ts";
import {
  answer,
  data,
  type Frame,
  flag,
  goaway,
  headers,
  message,
  reset,
  settings,
  trailers,
  type,
  windowUpdate,
} from "../../support/http2-frames.ts";
import { until } from "../../support/until.ts";

const { DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE } = grpcStatus;

/** Reads the headers of requests, as the server does that gets them in order. */
function requestReader() {
  const decoder = new HpackDecoder(1_000_000);
  return ({ payload }: Frame) => {
    const fields: [string, string][] = [];
    decoder.decode(payload, 0, payload.length, { field: ({ name, value }) => fields.push([name, value]) });
    return fields;
  };
}

describe("a request", () => {
  test("has the fields of gRPC once, in every repetition", async () => {
    await using lab = await wireLab({ authority: "etcd.test:1", userAgent: "grpc-test/1" });
    const read = requestReader();
    const metadata = [
      ["hasleader", "true"],
      ["some-bin", Buffer.from([0xff, 0xfe])],
    ] as const;
    const sizes: number[] = [];
    for (let round = 0; round < 4; round++) {
      const call = ask(lab.connection, "/test.Service/Method", Buffer.from("request"), { metadata, timeoutMs: 5_000 });
      const request = await lab.peer.next(type.HEADERS);
      sizes.push(request.payload.length);
      expect(read(request)).toEqual([
        [":method", "POST"],
        [":scheme", "http"],
        [":authority", "etcd.test:1"],
        [":path", "/test.Service/Method"],
        ["te", "trailers"],
        ["content-type", "application/grpc"],
        ["user-agent", "grpc-test/1"],
        ["hasleader", "true"],
        ["some-bin", "//4"],
        ["grpc-timeout", "5000m"],
      ]);
      const { flags, payload } = await lab.peer.next(type.DATA);
      expect([flags, payload]).toEqual([flag.END_STREAM, message("request")]);
      lab.peer.send(answer(request.id));
      expect((await call).answer).toBe("answer");
    }
    expect(sizes.slice(2)).toEqual([10, 10]);
  });

  test("without a time has no timeout, and other calls in between change nothing", async () => {
    await using lab = await wireLab();
    const read = requestReader();
    const timeouts: (string | undefined)[] = [];
    for (const timeoutMs of [undefined, 3_600_000, undefined, 1, 3_600_000, 1.5, 999.2, 1_001, 12_345_678, 1e12]) {
      void ask(lab.connection, "/a", Buffer.alloc(0), timeoutMs === undefined ? {} : { timeoutMs });
      const fields = new Map(read(await lab.peer.next(type.HEADERS)));
      timeouts.push(fields.get("grpc-timeout"));
    }
    // Rounded up to two digits: never less than was asked for.
    expect(timeouts).toEqual([
      undefined,
      "3600000m",
      undefined,
      "1m",
      "3600000m",
      "2m",
      "1000m",
      "1100m",
      "13000000m",
      "99999999S",
    ]);
  });

  test("of more than a frame has its headers in several", async () => {
    await using lab = await wireLab();
    const metadata = [["large", "x".repeat(40_000)]] as const;
    const call = ask(lab.connection, "/a", Buffer.alloc(0), { metadata });
    await lab.peer.next(type.DATA);
    expect(lab.peer.count(type.CONTINUATION)).toBe(2);
    expect(await lab.peer.next(type.HEADERS)).toMatchObject({ flags: 0 });
    expect(await lab.peer.next(type.CONTINUATION)).toMatchObject({ flags: 0 });
    expect(await lab.peer.next(type.CONTINUATION)).toMatchObject({ flags: flag.END_HEADERS });
    lab.peer.send(answer(1));
    expect((await call).answer).toBe("answer");
  });

  test("with more headers than the server takes is not sent", async () => {
    await using lab = await wireLab({}, [[6, 500]]);
    const metadata = [["large", "x".repeat(300)]] as const;
    const call = await ask(lab.connection, "/a", Buffer.alloc(0), { metadata });
    expect(call.failure).toMatchObject({ code: RESOURCE_EXHAUSTED, neverExecuted: true });
    expect(call.failure?.message).toContain("500 bytes");
    const other = ask(lab.connection, "/a");
    expect((await lab.peer.next(type.HEADERS)).id).toBe(1);
    lab.peer.send(answer(1));
    expect((await other).answer).toBe("answer");
  });

  test.each([
    [{ metadata: [["Upper", "x"]] }, "name"],
    [{ metadata: [["a b", "x"]] }, "name"],
    [{ metadata: [["", "x"]] }, "name"],
    [{ metadata: [["te", "x"]] }, "te"],
    [{ metadata: [["grpc-timeout", "x"]] }, "grpc-timeout"],
    [{ metadata: [["x", "secret\n"]] }, "value of x"],
    [{ metadata: [["x", "ü"]] }, "value of x"],
    [{ metadata: [["x", " a"]] }, "value of x"],
    [{ metadata: [["x-bin", "text"]] }, "x-bin"],
    [{ metadata: [["x", Buffer.from("bytes")]] }, "x"],
  ] as const)("with metadata that cannot be sent is a TypeError: %j", async (options, words) => {
    await using lab = await wireLab();
    let thrown: unknown;
    try {
      lab.connection.unary("/a", Buffer.alloc(0), options, () => {});
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(TypeError);
    expect((thrown as Error).message).toContain(words);
    expect((thrown as Error).message).not.toContain("secret");
    expect(lab.connection.counters).toMatchObject({ open: 0, queued: 0 });
  });

  test.each(["", "a/b", "/a b", "/ü", "/a\n"])("of a path that cannot be sent is a TypeError: %j", async (path) => {
    await using lab = await wireLab();
    expect(() => lab.connection.unary(path, Buffer.alloc(0), {}, () => {})).toThrow(TypeError);
  });
});

test("what one turn of the event loop asks for leaves in one write", async () => {
  await using lab = await wireLab();
  await lab.peer.next(type.SETTINGS);
  await until(() => lab.peer.take(type.SETTINGS));
  let reads = 0;
  lab.peer.socket.on("data", () => reads++);
  for (let index = 0; index < 50; index++) void ask(lab.connection);
  void Promise.resolve()
    .then(() => Promise.resolve())
    .then(() => ask(lab.connection));
  await until(() => lab.peer.count(type.DATA) === 51);
  expect(reads).toBe(1);
});

describe("a deadline", () => {
  test("fails the call, resets the stream, and frames that are late are passed over", async () => {
    await using lab = await wireLab();
    const call = ask(lab.connection, "/a", Buffer.alloc(0), { timeoutMs: 20 });
    await lab.peer.next(type.DATA);
    expect((await call).failure).toMatchObject({ code: DEADLINE_EXCEEDED, neverExecuted: false });
    expect((await lab.peer.next(type.RST_STREAM)).payload.readUInt32BE(0)).toBe(8);
    const next = ask(lab.connection);
    await lab.peer.next(type.DATA);
    lab.peer.send(answer(1), answer(3));
    expect((await next).answer).toBe("answer");
  });

  test("that has passed before the call is not sent", async () => {
    await using lab = await wireLab();
    expect((await ask(lab.connection, "/a", Buffer.alloc(0), { timeoutMs: 0 })).failure).toMatchObject({
      code: DEADLINE_EXCEEDED,
      neverExecuted: true,
    });
    expect(lab.connection.counters.started).toBe(0);
  });

  test("of many calls: each has its own", async () => {
    const clock = new FakeClock();
    await using lab = await wireLab({ clock, liveness: { unansweredMs: 10_000 } });
    const order: number[] = [];
    for (const timeoutMs of [60, 20, 40, 80, 10]) {
      void ask(lab.connection, "/a", Buffer.alloc(0), { timeoutMs }).then(() => order.push(timeoutMs));
    }
    for (let passed = 0; passed <= 90; passed += 5) await clock.pass(5);
    expect(order).toEqual([10, 20, 40, 60, 80]);
    expect(clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  test("does not fail a call whose answer came while the process was busy", async () => {
    await using lab = await wireLab();
    const call = ask(lab.connection, "/a", Buffer.alloc(0), { timeoutMs: 50 });
    await lab.peer.next(type.DATA);
    await new Promise<void>((resolve) => lab.peer.socket.write(answer(1), () => resolve()));
    const until = performance.now() + 100;
    while (performance.now() < until);
    expect((await call).answer).toBe("answer");
  });
});

describe("cancel()", () => {
  test("resets the stream, and no callback is called", async () => {
    await using lab = await wireLab();
    let called = false;
    const call = lab.connection.unary("/a", Buffer.alloc(0), {}, () => {
      called = true;
    });
    await lab.peer.next(type.DATA);
    call.cancel();
    call.cancel();
    expect((await lab.peer.next(type.RST_STREAM)).payload.readUInt32BE(0)).toBe(8);
    expect(lab.connection.counters.open).toBe(0);
    lab.peer.send(answer(1));
    expect((await ask(lab.connection, "/a", Buffer.alloc(0), { timeoutMs: 20 })).failure?.code).toBe(DEADLINE_EXCEEDED);
    expect(called).toBe(false);
    expect(lab.peer.count(type.RST_STREAM)).toBeLessThanOrEqual(1);
  });

  test("within the callback of a message ends a stream in the midst of a frame", async () => {
    await using lab = await wireLab();
    const seen: string[] = [];
    const stream = lab.connection.stream(
      "/a",
      {},
      {
        onMessage(it) {
          seen.push(it.toString());
          stream.cancel();
        },
        onEnd: () => seen.push("end"),
      },
    );
    stream.write(Buffer.from("request"));
    await lab.peer.next(type.DATA);
    lab.peer.send(headers(1), data(1, Buffer.concat([message("a"), message("b")])), trailers(1));
    await lab.peer.next(type.RST_STREAM);
    expect(seen).toEqual(["a"]);
    expect(lab.connection.status).toBe("open");
  });

  test("of a queued call sends nothing", async () => {
    await using lab = await wireLab({}, [[3, 0]]);
    const call = lab.connection.unary("/a", Buffer.alloc(0), {}, () => {});
    expect(lab.connection.counters.queued).toBe(1);
    call.cancel();
    expect(lab.connection.counters).toMatchObject({ queued: 0, started: 0 });
  });
});

describe("MAX_CONCURRENT_STREAMS", () => {
  test("queues what is more, in order, and what was sent on a queued stream is kept", async () => {
    await using lab = await wireLab({}, [[3, 1]]);
    const first = ask(lab.connection);
    const { stream, ends } = listen(lab.connection);
    stream.write(Buffer.from("one"));
    expect(stream.write(Buffer.from("two"))).toBe(false);
    stream.end();
    const third = ask(lab.connection, "/third");
    await lab.peer.next(type.DATA);
    await turn();
    expect(lab.connection.counters).toMatchObject({ open: 1, queued: 2 });
    expect(lab.peer.count(type.HEADERS)).toBe(1);
    lab.peer.send(answer(1));
    expect((await first).answer).toBe("answer");
    const frames = [await lab.peer.next(type.DATA), await lab.peer.next(type.DATA)];
    expect(frames.map(({ id, flags, payload }) => [id, flags, payload.toString("latin1", 5)])).toEqual([
      [3, 0, "one"],
      [3, flag.END_STREAM, "two"],
    ]);
    lab.peer.send(answer(3));
    await lab.peer.next(type.DATA);
    lab.peer.send(answer(5));
    expect((await third).answer).toBe("answer");
    expect(ends).toEqual([undefined]);
  });

  test("a queued call that runs out of time was never executed", async () => {
    await using lab = await wireLab({}, [[3, 0]]);
    const { failure } = await ask(lab.connection, "/a", Buffer.alloc(0), { timeoutMs: 20 });
    expect(failure).toMatchObject({ code: DEADLINE_EXCEEDED, neverExecuted: true });
  });

  test.each(["the time of the call before it", "its answer, which comes late"])(
    "a queued call whose time is over is not sent when %s makes room",
    async (what) => {
      const clock = new FakeClock();
      await using lab = await wireLab({ clock }, [[3, 1]]);
      const [first, ...others] = [100, 100, 100, 60_000, 100].map((timeoutMs) =>
        ask(lab.connection, "/a", Buffer.alloc(0), { timeoutMs }),
      );
      await lab.peer.next(type.DATA);
      const late = what.includes("answer");
      // The clock is past the times, and no timer has fired.
      if (late) clock.stall(150);
      else await clock.pass(150);
      if (late) lab.peer.send(answer(1));
      // The last one waits behind another that has the place.
      for (const [index, call] of [others[0], others[1], others[3]].entries()) {
        if (index === 2) await clock.pass(0);
        expect((await call)?.failure).toMatchObject({ code: DEADLINE_EXCEEDED, neverExecuted: true });
      }
      expect((await first)?.failure?.code).toBe(late ? undefined : DEADLINE_EXCEEDED);
      await lab.peer.next(type.DATA);
      lab.peer.send(answer(3));
      expect((await others[2])?.answer).toBe("answer");
      expect(lab.connection.counters.started).toBe(2);
    },
  );

  test("a call that runs out of time says whether its answer was on its way", async () => {
    const clock = new FakeClock();
    await using lab = await wireLab({ clock });
    const calls = ["/silent", "/slow"].map((path) => ask(lab.connection, path, Buffer.alloc(0), { timeoutMs: 99 }));
    await lab.peer.when(() => lab.peer.count(type.HEADERS) === 2);
    // A part of a message, and a call that is answered behind it: then it was read.
    lab.peer.send(headers(3), data(3, message("a longer one").subarray(0, 8)));
    const answered = ask(lab.connection);
    await lab.peer.when(() => lab.peer.count(type.HEADERS) === 3);
    lab.peer.send(answer(5));
    await answered;
    await clock.pass(100);
    expect((await Promise.all(calls)).map(({ failure }) => failure)).toMatchObject([
      { code: DEADLINE_EXCEEDED, answerBegun: false },
      { code: DEADLINE_EXCEEDED, answerBegun: true },
    ]);
  });

  test("a queued call has the timeout that is left of its time", async () => {
    await using lab = await wireLab({}, [[3, 1]]);
    const read = requestReader();
    void ask(lab.connection);
    void ask(lab.connection, "/queued", Buffer.alloc(0), { timeoutMs: 99_000 });
    read(await lab.peer.next(type.HEADERS));
    await new Promise((resolve) => setTimeout(resolve, 20));
    lab.peer.send(settings([3, 5]));
    const timeout = new Map(read(await lab.peer.next(type.HEADERS))).get("grpc-timeout");
    expect(timeout).toBe("99000m");
  });

  test("more are let in when the server allows more", async () => {
    await using lab = await wireLab({}, [[3, 0]]);
    for (let index = 0; index < 5; index++) void ask(lab.connection);
    expect(lab.connection.counters).toMatchObject({ open: 0, queued: 5 });
    lab.peer.send(settings([3, 2]));
    await until(() => lab.connection.counters.open === 2);
    lab.peer.send(settings([3, 100]));
    await until(() => lab.connection.counters.open === 5);
  });
});

describe("GOAWAY", () => {
  test("lets streams at or below its id finish, and the others were never executed", async () => {
    await using lab = await wireLab();
    const calls = [ask(lab.connection), ask(lab.connection), ask(lab.connection)];
    await until(() => lab.peer.count(type.DATA) === 3);
    lab.peer.send(goaway(3, 0, "max_age"));
    const third = await (calls[2] as (typeof calls)[0]);
    const cause: Partial<ConnectionError> = {
      reason: "goaway",
      http2Code: 0,
      message: expect.stringContaining("max_age"),
    };
    expect(third.failure).toMatchObject({ code: UNAVAILABLE, neverExecuted: true, cause });
    expect(lab.draining).toMatchObject([cause]);
    expect(lab.connection).toMatchObject({ status: "draining", reason: cause });
    expect((await ask(lab.connection)).failure).toMatchObject({ code: UNAVAILABLE, neverExecuted: true, cause });
    lab.peer.send(answer(1), answer(3));
    expect((await Promise.all(calls.slice(0, 2))).map((it) => it.answer)).toEqual(["answer", "answer"]);
    expect(await lab.ended).toMatchObject(cause);
    await until(() => lab.peer.ended);
  });

  test("that comes twice, as a graceful one does, goes by the second", async () => {
    await using lab = await wireLab();
    const calls = [ask(lab.connection), ask(lab.connection)];
    await until(() => lab.peer.count(type.DATA) === 2);
    lab.peer.send(goaway(2 ** 31 - 1));
    await until(() => lab.connection.status === "draining");
    expect(lab.connection.counters.open).toBe(2);
    lab.peer.send(goaway(1));
    expect((await calls[1])?.failure).toMatchObject({ neverExecuted: true });
    lab.peer.send(answer(1));
    expect((await calls[0])?.answer).toBe("answer");
  });

  test("ends an idle connection at once, and queued calls with it", async () => {
    await using lab = await wireLab({}, [[3, 0]]);
    const queued = ask(lab.connection);
    lab.peer.send(goaway(0, 11, "too_many_pings"));
    expect((await queued).failure).toMatchObject({ neverExecuted: true });
    expect(await lab.ended).toMatchObject({
      reason: "goaway",
      http2Code: 11,
      message: expect.stringContaining("ENHANCE_YOUR_CALM: too_many_pings"),
    });
  });

  test("is the reason also when the socket is closed after it", async () => {
    await using lab = await wireLab();
    const call = ask(lab.connection);
    await lab.peer.next(type.DATA);
    lab.peer.send(goaway(1, 2, "oops"));
    lab.peer.socket.end();
    const reason = await lab.ended;
    expect(reason).toMatchObject({ reason: "goaway", http2Code: 2 });
    expect((await call).failure).toMatchObject({ neverExecuted: false, cause: reason });
  });
});

describe("when the connection is lost", () => {
  test("what left is unknown, what did not was never executed", async () => {
    await using lab = await wireLab({}, [[3, 3]]);
    const left = ask(lab.connection);
    const whole = listen(lab.connection);
    whole.stream.write(Buffer.from("message"));
    await until(() => lab.peer.count(type.DATA) === 2);
    const empty = listen(lab.connection);
    const queued = ask(lab.connection);
    await until(() => lab.peer.count(type.HEADERS) === 3);
    lab.peer.socket.destroy();
    expect(await lab.ended).toMatchObject({ reason: "reset" });
    expect((await left).failure).toMatchObject({ code: UNAVAILABLE, neverExecuted: false });
    expect(whole.ends).toMatchObject([{ neverExecuted: false }]);
    expect(empty.ends).toMatchObject([{ neverExecuted: true }]);
    expect((await queued).failure).toMatchObject({ neverExecuted: true });
    expect((await ask(lab.connection)).failure).toMatchObject({ neverExecuted: true });
  });

  test("a message that waited for the server's window was never executed", async () => {
    await using lab = await wireLab({}, [[4, 10]]);
    const call = ask(lab.connection, "/a", Buffer.alloc(100));
    await lab.peer.next(type.DATA);
    lab.peer.socket.destroy();
    expect((await call).failure).toMatchObject({ code: UNAVAILABLE, neverExecuted: true });
  });

  test("what was asked for in the same turn as destroy() was never sent", async () => {
    await using lab = await wireLab();
    const call = ask(lab.connection);
    lab.connection.destroy();
    expect((await call).failure).toMatchObject({ neverExecuted: true, cause: { reason: "closed" } });
    await until(() => lab.peer.ended);
    expect(lab.peer.count(type.HEADERS)).toBe(0);
  });
});

describe("close()", () => {
  test("lets what is open and queued finish, takes nothing new, and says goodbye", async () => {
    await using lab = await wireLab({}, [[3, 1]]);
    const calls = [ask(lab.connection), ask(lab.connection)];
    await lab.peer.next(type.DATA);
    lab.connection.close();
    lab.connection.close();
    expect(lab.connection.status).toBe("draining");
    expect((await ask(lab.connection)).failure).toMatchObject({ code: UNAVAILABLE, neverExecuted: true });
    lab.peer.send(answer(1));
    await lab.peer.next(type.DATA);
    lab.peer.send(answer(3));
    expect((await Promise.all(calls)).map((it) => it.answer)).toEqual(["answer", "answer"]);
    expect(await lab.ended).toMatchObject({ reason: "closed" });
    expect((await lab.peer.next(type.GOAWAY)).payload.readUInt32BE(4)).toBe(0);
    await until(() => lab.peer.ended);
  });

  test("ends an idle connection at once", async () => {
    await using lab = await wireLab();
    lab.connection.close();
    expect(lab.connection).toMatchObject({ status: "closed", reason: { reason: "closed" } });
    await until(() => lab.peer.ended);
  });

  test("in the callback of the last call", async () => {
    await using lab = await wireLab();
    lab.connection.unary("/a", Buffer.alloc(0), {}, () => lab.connection.close());
    await lab.peer.next(type.DATA);
    lab.peer.send(answer(1), answer(1), reset(1, 0));
    expect(await lab.ended).toMatchObject({ reason: "closed" });
  });
});

describe("a callback that throws", () => {
  test("is an uncaught exception, and the other calls of the same read have their answers", async () => {
    await using lab = await wireLab();
    const uncaught: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const onUncaught = (error: unknown) => uncaught.push(error);
    process.on("uncaughtException", onUncaught);
    try {
      const problem = new Error("mine");
      const fail = () => {
        throw problem;
      };
      lab.connection.unary("/a", Buffer.alloc(0), {}, fail);
      const stream = lab.connection.stream("/b", {}, { onMessage: fail, onEnd: fail });
      stream.write(Buffer.alloc(0));
      const other = ask(lab.connection);
      await until(() => lab.peer.count(type.DATA) === 3);
      lab.peer.send(answer(1), answer(3), answer(5));
      expect((await other).answer).toBe("answer");
      await until(() => uncaught.length === 3);
      expect(uncaught).toEqual([problem, problem, problem]);
      expect(lab.connection.status).toBe("open");
    } finally {
      process.removeListener("uncaughtException", onUncaught);
      for (const listener of listeners) process.on("uncaughtException", listener);
    }
  });
});

test("the answer is the caller's to keep: later reads do not change it", async () => {
  await using lab = await wireLab();
  const kept: Buffer[] = [];
  for (let round = 0; round < 20; round++) {
    const call = ask(lab.connection);
    const { id } = await lab.peer.next(type.DATA);
    lab.peer.send(answer(id, `answer ${round}`));
    kept.push((await call).bytes as Buffer);
  }
  expect(kept.map(String)).toEqual(Array.from({ length: 20 }, (_, round) => `answer ${round}`));
});

test("a stream that asks for views gets them, and copies where it does not", async () => {
  await using lab = await wireLab();
  const views: Buffer[] = [];
  const copies: Buffer[] = [];
  for (const [messages, into] of [
    ["view", views],
    ["copy", copies],
  ] as const) {
    const stream = lab.connection.stream("/a", { messages }, { onMessage: (it) => into.push(it), onEnd() {} });
    stream.write(Buffer.alloc(0));
  }
  await until(() => lab.peer.count(type.DATA) === 2);
  lab.peer.send(headers(1), headers(3));
  for (let round = 0; round < 3; round++) {
    lab.peer.send(data(1, message(`view ${round}`)), data(3, message(`copy ${round}`)));
    await until(() => copies.length === round + 1);
  }
  expect(copies.map(String)).toEqual(["copy 0", "copy 1", "copy 2"]);
  // A view is overwritten by the next read, that is what makes it cheap.
  expect(views.map(String)).not.toEqual(["view 0", "view 1", "view 2"]);
});

test("windows are given back in halves, that of the connection for streams that are over, too", async () => {
  await using lab = await wireLab({ streamWindowBytes: 100_000, connectionWindowBytes: 200_000 });
  const first = await lab.peer.next(type.WINDOW_UPDATE);
  expect([first.id, first.payload.readUInt32BE(0)]).toEqual([0, 200_000 - 65_535]);
  const { stream } = listen(lab.connection);
  stream.write(Buffer.alloc(0));
  await lab.peer.next(type.DATA);
  lab.peer.send(headers(1), data(1, message(Buffer.alloc(16_000))));
  for (let round = 0; round < 3; round++) lab.peer.send(data(1, message(Buffer.alloc(16_000))));
  const stream1 = await lab.peer.next(type.WINDOW_UPDATE);
  expect(stream1).toMatchObject({ id: 1 });
  expect(stream1.payload.readUInt32BE(0)).toBeGreaterThanOrEqual(50_000);
  stream.cancel();
  await lab.peer.next(type.RST_STREAM);
  for (let round = 0; round < 4; round++) lab.peer.send(data(1, Buffer.alloc(16_000)));
  const connection = await lab.peer.next(type.WINDOW_UPDATE);
  expect(connection).toMatchObject({ id: 0 });
  expect(connection.payload.readUInt32BE(0)).toBeGreaterThanOrEqual(100_000);
});

test("padding counts for the window", async () => {
  await using lab = await wireLab({ streamWindowBytes: 65_535, connectionWindowBytes: 1 });
  const { stream } = listen(lab.connection);
  stream.write(Buffer.alloc(0));
  await lab.peer.next(type.DATA);
  const nothing = Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]);
  lab.peer.send(headers(1), ...Array.from({ length: 130 }, () => data(1, nothing, flag.PADDED)));
  const updates = [await lab.peer.next(type.WINDOW_UPDATE), await lab.peer.next(type.WINDOW_UPDATE)];
  expect(updates.map(({ id, payload }) => [id, payload.readUInt32BE(0)])).toEqual([
    [0, 32_768],
    [1, 32_768],
  ]);
});

test("pause() holds the window of a stream back, resume() gives it", async () => {
  await using lab = await wireLab({ streamWindowBytes: 100_000 });
  await lab.peer.next(type.WINDOW_UPDATE);
  const { stream, messages } = listen(lab.connection);
  stream.write(Buffer.alloc(0));
  stream.pause();
  await lab.peer.next(type.DATA);
  lab.peer.send(headers(1), ...Array.from({ length: 6 }, () => data(1, message(Buffer.alloc(16_000)))));
  await until(() => messages.length === 6);
  await turn();
  expect(lab.peer.count(type.WINDOW_UPDATE)).toBe(0);
  stream.resume();
  expect((await lab.peer.next(type.WINDOW_UPDATE)).payload.readUInt32BE(0)).toBe(6 * 16_005);
});

describe("the server's windows", () => {
  test("hold a message back, which goes on as they grow, a frame of each stream in turn", async () => {
    await using lab = await wireLab({}, [[4, 1_000]]);
    const large = [
      ask(lab.connection, "/a", Buffer.alloc(3_000, 1)),
      ask(lab.connection, "/b", Buffer.alloc(3_000, 2)),
    ];
    const [first, second] = [await lab.peer.next(type.DATA), await lab.peer.next(type.DATA)];
    expect([first.payload.length, second.payload.length, first.id, second.id]).toEqual([1_000, 1_000, 1, 3]);
    // What fits passes them.
    const small = ask(lab.connection, "/c", Buffer.from("small"));
    expect((await lab.peer.next(type.DATA)).id).toBe(5);
    lab.peer.send(answer(5), windowUpdate(3, 2_005), windowUpdate(1, 500));
    expect((await small).answer).toBe("answer");
    expect(await lab.peer.next(type.DATA)).toMatchObject({
      id: 3,
      flags: flag.END_STREAM,
      payload: Buffer.alloc(2_005, 2),
    });
    expect(await lab.peer.next(type.DATA)).toMatchObject({ id: 1, flags: 0 });
    lab.peer.send(settings([4, 10_000]));
    expect(await lab.peer.next(type.DATA)).toMatchObject({ id: 1, flags: flag.END_STREAM });
    lab.peer.send(answer(1), answer(3));
    expect((await Promise.all(large)).map((it) => it.answer)).toEqual(["answer", "answer"]);
  });

  test("may become less than nothing", async () => {
    await using lab = await wireLab({}, [[4, 2_000]]);
    const call = ask(lab.connection, "/a", Buffer.alloc(3_000));
    await lab.peer.next(type.DATA);
    lab.peer.send(settings([4, 0]), windowUpdate(1, 1_500));
    await turn();
    lab.peer.send(windowUpdate(1, 1_500));
    expect((await lab.peer.next(type.DATA)).payload.length).toBe(1_000);
    lab.peer.send(windowUpdate(1, 5));
    expect((await lab.peer.next(type.DATA)).flags).toBe(flag.END_STREAM);
    lab.peer.send(answer(1));
    expect((await call).answer).toBe("answer");
  });

  test("the frame size is kept to, and used when it is larger", async () => {
    await using lab = await wireLab({}, [[4, 1_000_000]]);
    lab.peer.send(windowUpdate(0, 1_000_000));
    const call = ask(lab.connection, "/a", Buffer.alloc(20_000));
    expect((await lab.peer.next(type.DATA)).payload.length).toBe(16_384);
    await lab.peer.next(type.DATA);
    lab.peer.send(settings([5, 1_000_000]));
    await lab.peer.next(type.SETTINGS);
    await lab.peer.next(type.SETTINGS);
    await lab.peer.next(type.SETTINGS);
    lab.peer.send(answer(1));
    await call;
    void ask(lab.connection, "/a", Buffer.alloc(200_000));
    expect((await lab.peer.next(type.DATA)).payload.length).toBe(32_768);
  });

  test("write() says when to wait, and onDrain when to go on", async () => {
    await using lab = await wireLab({}, [[4, 100]]);
    const heard = listen(lab.connection);
    expect(heard.stream.write(Buffer.alloc(50))).toBe(true);
    expect(heard.stream.bufferedBytes).toBe(0);
    expect(heard.stream.write(Buffer.alloc(50))).toBe(false);
    expect(heard.stream.bufferedBytes).toBe(10);
    await until(() => lab.peer.count(type.DATA) === 2);
    expect(heard.drains).toBe(0);
    lab.peer.send(windowUpdate(1, 1_000));
    await until(() => heard.drains === 1);
    expect(heard.stream.bufferedBytes).toBe(0);
    heard.stream.end();
    expect(() => heard.stream.write(Buffer.alloc(1))).toThrow(TypeError);
    heard.stream.cancel();
    expect(heard.stream.write(Buffer.alloc(1))).toBe(false);
  });
});

test("a socket that the server does not read holds DATA back, and not more than a piece is in the memory", async () => {
  await using lab = await wireLab({}, [[4, 2 ** 31 - 1]]);
  lab.peer.send(windowUpdate(0, 2 ** 31 - 1 - 65_535));
  const heard = listen(lab.connection);
  await lab.peer.next(type.HEADERS);
  lab.peer.socket.pause();
  const piece = Buffer.alloc(1_000_000, 7);
  let written = 0;
  while (written < 60 && heard.stream.write(piece)) {
    written++;
    await turn();
  }
  expect(written).toBeLessThan(60);
  expect(heard.stream.bufferedBytes).toBeGreaterThan(0);
  const before = process.memoryUsage().arrayBuffers;
  for (let index = 0; index < 50; index++) heard.stream.write(piece);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5_000_000);
  lab.peer.socket.resume();
  await until(() => heard.drains === 1);
  expect(lab.connection.counters.bytesWritten).toBeGreaterThan(50_000_000);
});

test("what is idle says since when", async () => {
  await using lab = await wireLab();
  const since = lab.connection.idleSinceMs;
  expect(since).toBeTypeOf("number");
  const call = ask(lab.connection);
  expect(lab.connection.idleSinceMs).toBe(undefined);
  await lab.peer.next(type.DATA);
  lab.peer.send(answer(1));
  await call;
  expect(lab.connection.idleSinceMs).toBeGreaterThan(since as number);
});
