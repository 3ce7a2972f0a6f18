import { describe, expect, test } from "vitest";
import { systemClock, type Timer } from "../../../src/internal/index.ts";
import { ask, listen, wireLab } from "../../support/grpc-lab.ts";
import {
  answer,
  data,
  flag,
  frame,
  goaway,
  headers,
  message,
  ping,
  reset,
  settings,
  trailers,
  type,
  windowUpdate,
} from "../../support/http2-frames.ts";
import { until } from "../../support/until.ts";

// What a server could do to fill our memory or our time. Each ends in a bounded number of frames with
// ENHANCE_YOUR_CALM, and what servers that mean well do does not.

const CALM = 11;

describe("a flood", () => {
  test.each<[what: string, ...frames: Buffer[]]>([
    ["of PING", ping()],
    ["of SETTINGS", settings([4, 1], [4, 70_000])],
    ["of SETTINGS without settings", settings()],
    ["of answers to PING that no one sent: they cost nothing, so it goes on", ping("87654321", flag.ACK)],
    ["of PRIORITY", frame(type.PRIORITY, 0, 1, Buffer.alloc(5))],
    ["of WINDOW_UPDATE", windowUpdate(1, 1)],
    ["of WINDOW_UPDATE of the connection", windowUpdate(0, 1)],
    ["of DATA without bytes", data(1, Buffer.alloc(0))],
    ["of DATA with padding only", data(1, Buffer.from([0]), flag.PADDED)],
    ["of frames that no one knows", frame(0xee)],
    ["of GOAWAY", goaway(1)],
    ["of 1xx", headers(1, [[":status", "100"]])],
    ["of resets of a stream that is over", reset(3, 8)],
    ["of headers of a stream that is over", headers(3)],
  ])("%s", async (what, ...frames) => {
    const clock = new Standing();
    await using lab = await wireLab({ clock });
    const { stream, ends } = listen(lab.connection);
    stream.write(Buffer.from("request"));
    await lab.peer.next(type.DATA);
    // Stream 3 is over.
    const other = ask(lab.connection);
    await lab.peer.next(type.DATA);
    lab.peer.send(answer(3));
    await other;
    const isData = frames[0]?.[3] === type.DATA;
    if (isData) lab.peer.send(headers(1));
    const thousand = Buffer.concat(Array.from({ length: 1_000 }, () => frames).flat());
    for (let round = 0; round < 11; round++) lab.peer.send(thousand);
    if (what.includes("goes on")) {
      lab.peer.send(headers(1), trailers(1));
      await until(() => ends.length > 0);
      return;
    }
    const reason = await lab.ended;
    expect(reason).toMatchObject({ reason: "protocol", http2Code: CALM });
    expect(reason.message).toContain("10000 frames");
  });

  test("of PING whose answers are not read is bounded, also when it is slow", async () => {
    const clock = new Standing();
    await using lab = await wireLab({ clock });
    void ask(lab.connection);
    await lab.peer.next(type.DATA);
    lab.peer.socket.pause();
    // What a kernel takes is not in our memory; then they wait in the socket.
    const many = Buffer.concat(Array.from({ length: 5_000 }, () => ping()));
    let over = false;
    void lab.ended.then(() => {
      over = true;
    });
    clock.stepMs = 1_000;
    for (let round = 0; round < 2_000 && !over; round++) {
      if (lab.peer.socket.write(many)) continue;
      await new Promise((resolve) => lab.peer.socket.once("drain", resolve).once("close", resolve));
    }
    expect(await lab.ended).toMatchObject({
      reason: "protocol",
      http2Code: CALM,
      message: expect.stringContaining("does not read"),
    });
  });
});

describe("what servers do that mean well", () => {
  test("pings beside a large message that is slow to leave", async () => {
    const clock = new StandingWithTimers();
    await using lab = await wireLab({ clock }, [[4, 2 ** 31 - 1]]);
    lab.peer.send(windowUpdate(0, 2 ** 31 - 1 - 65_535));
    const call = ask(lab.connection, "/a", Buffer.alloc(20_000_000));
    lab.peer.socket.pause();
    for (let round = 0; round < 200; round++) lab.peer.send(ping());
    await new Promise(setImmediate);
    lab.peer.socket.resume();
    await until(() => lab.peer.count(type.PING) === 200);
    const { id } = await lab.peer.next(type.HEADERS);
    lab.peer.send(answer(id));
    expect((await call).answer).toBe("answer");
  });

  test("a ping every ten seconds for a week, and nothing else", async () => {
    const clock = new Standing();
    await using lab = await wireLab({ clock });
    for (let round = 0; round < 60; round++) {
      clock.nowMs += 10_000_000;
      const before = lab.connection.counters.bytesRead;
      lab.peer.send(...Array.from({ length: 1_000 }, () => ping()));
      await until(() => lab.connection.counters.bytesRead >= before + 17_000);
    }
    expect(lab.connection.status).toBe("open");
  });

  test("two window updates for each frame of a large message", async () => {
    const clock = new Standing();
    await using lab = await wireLab({ clock }, [[4, 2 ** 30]]);
    lab.peer.send(windowUpdate(0, 2 ** 30));
    for (let round = 0; round < 6; round++) {
      const call = ask(lab.connection, "/a", Buffer.alloc(16_000_000));
      const { id } = await lab.peer.next(type.HEADERS);
      const frames = 977;
      await lab.peer.when(() => lab.peer.count(type.DATA) === frames);
      lab.peer.takeAll(type.DATA);
      lab.peer.send(
        ...Array.from({ length: frames }, () => Buffer.concat([windowUpdate(0, 16_384), windowUpdate(id, 16_384)])),
      );
      lab.peer.send(answer(id));
      expect((await call).answer).toBe("answer");
    }
  });

  test("a stream of small messages that was cancelled: what is on its way may be as much as a window", async () => {
    const clock = new Standing();
    await using lab = await wireLab({ clock });
    const { stream, messages } = listen(lab.connection);
    stream.write(Buffer.from("request"));
    await lab.peer.next(type.DATA);
    lab.peer.send(headers(1), data(1, message("first")));
    await until(() => messages.length === 1);
    stream.cancel();
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => data(1, message("x".repeat(80)))));
    for (let round = 0; round < 40; round++) lab.peer.send(many);
    const call = ask(lab.connection);
    const { id } = await lab.peer.next(type.HEADERS).then(() => lab.peer.next(type.HEADERS));
    lab.peer.send(answer(id));
    expect((await call).answer).toBe("answer");
  });

  test("calls that are all reset, again and again", async () => {
    const clock = new Standing();
    await using lab = await wireLab({ clock });
    for (let round = 0; round < 150; round++) {
      const calls = Array.from({ length: 100 }, () => ask(lab.connection));
      await lab.peer.when(() => lab.peer.count(type.DATA) === 100);
      lab.peer.takeAll(type.HEADERS);
      lab.peer.send(windowUpdate(0, 1_200), ...lab.peer.takeAll(type.DATA).map(({ id }) => reset(id, 7)));
      await Promise.all(calls);
    }
    expect(lab.connection).toMatchObject({ status: "open", counters: { open: 0, started: 15_000 } });
  });
});

test("an answer of many megabytes that is announced takes no memory until it comes", async () => {
  await using lab = await wireLab();
  const before = process.memoryUsage().arrayBuffers;
  for (let index = 0; index < 50; index++) {
    void ask(lab.connection);
    const { id } = await lab.peer.next(type.DATA);
    lab.peer.send(headers(id), data(id, message("a", 0, 2 ** 31 - 1)));
  }
  await until(() => lab.connection.counters.bytesRead > 50 * 20);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000_000);
});

/** A clock that stands still unless it is set to go on; its timers never fire. */
class Standing {
  nowMs = 0;
  /** How far it goes on each time that it is read. */
  stepMs = 0;
  monotonicMs() {
    this.nowMs += this.stepMs;
    return this.nowMs;
  }
  elapsedMs() {
    return this.nowMs;
  }
  wallMs() {
    return this.nowMs;
  }
  timer(_delayMs: number, _callback: () => void): Timer {
    const timer: Timer = { cancel() {}, unref: () => timer };
    return timer;
  }
}

/** Its timers fire in real time. */
class StandingWithTimers extends Standing {
  override timer(delayMs: number, callback: () => void) {
    return systemClock.timer(delayMs, callback);
  }
}
