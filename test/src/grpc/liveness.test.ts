import { describe, expect, test } from "vitest";
import { Liveness, type LookedAt } from "../../../src/grpc/http2/liveness.ts";
import { grpcStatus } from "../../../src/grpc/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ask, listen, wireLab } from "../../support/grpc-lab.ts";
import { answer, flag, ping, type } from "../../support/http2-frames.ts";
import { until } from "../../support/until.ts";

const times = { unansweredMs: 1_000, quietMs: 6_000, answerMs: 2_000, pingIntervalMs: 5_500 };
const call: LookedAt = { open: true, unanswered: true, wanted: false, leftBytes: undefined };
const stream: LookedAt = { ...call, unanswered: false };

describe("by the rules", () => {
  test("a call that is unanswered for a second asks, and two more seconds of silence are the end", () => {
    const liveness = new Liveness(times, 0);
    expect(liveness.nextLookMs(true)).toBe(1_000);
    expect(liveness.look(999, call)).toBe(undefined);
    expect(liveness.look(1_000, call)).toBe("ping");
    expect(liveness.nextLookMs(true)).toBe(3_000);
    expect(liveness.look(2_999, call)).toBe(undefined);
    expect(liveness.look(3_000, call)).toBe("silent");
  });

  test("streams alone are asked after quietMs", () => {
    const liveness = new Liveness(times, 0);
    expect(liveness.nextLookMs(false)).toBe(6_000);
    expect(liveness.look(5_999, stream)).toBe(undefined);
    expect(liveness.look(6_000, stream)).toBe("ping");
    expect(liveness.look(8_000, stream)).toBe("silent");
  });

  test("anything that is read is a sign of life", () => {
    const liveness = new Liveness(times, 0);
    expect(liveness.look(1_000, call)).toBe("ping");
    liveness.heard(2_900);
    expect(liveness.look(3_000, call)).toBe(undefined);
    expect(liveness.nextLookMs(true)).toBe(3_900);
  });

  test("a PING never follows another within the interval: what is asked in between is SETTINGS", () => {
    const liveness = new Liveness(times, 0);
    const asked: [number, string][] = [];
    for (let now = 0; now < 60_000; now += 100) {
      const look = liveness.look(now, call);
      if (look === undefined) continue;
      asked.push([now, look]);
      liveness.heard(now + 50);
      if (look === "ping") liveness.pingAnswered();
    }
    const pings = asked.filter(([, what]) => what === "ping").map(([at]) => at);
    const gaps = pings.slice(1).map((at, index) => at - (pings[index] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(5_500);
    expect(asked.filter(([, what]) => what === "settings").length).toBeGreaterThan(pings.length);
    expect(asked.some(([, what]) => what === "silent")).toBe(false);
  });

  test("however long ago the last PING was, silence is found within three seconds", () => {
    for (let frozenMs = 1_000; frozenMs < 12_000; frozenMs += 100) {
      const liveness = new Liveness(times, 0);
      let foundMs = 0;
      for (let now = 0; foundMs === 0; now += 50) {
        const look = liveness.look(now, call);
        if (look === "silent") foundMs = now;
        else if (look !== undefined && now < frozenMs) {
          liveness.heard(now);
          if (look === "ping") liveness.pingAnswered();
        }
      }
      expect(foundMs - frozenMs).toBeLessThanOrEqual(3_000);
    }
  });

  test("nothing is asked while nothing is open, unless some caller wants to know", () => {
    const liveness = new Liveness(times, 0);
    const idle = { ...stream, open: false };
    expect(liveness.look(100_000, idle)).toBe(undefined);
    // A PING with nothing open would be a strike at etcd, however long ago the last one was.
    expect(liveness.look(100_000, { ...idle, wanted: true })).toBe("settings");
    expect(liveness.look(102_000, { ...idle, wanted: true })).toBe("silent");
  });

  test("a message that is on its way counts as life as long as it makes progress", () => {
    const liveness = new Liveness(times, 0);
    expect(liveness.look(1_000, { ...call, leftBytes: 100 })).toBe("ping");
    expect(liveness.look(3_000, { ...call, leftBytes: 200 })).toBe(undefined);
    expect(liveness.look(4_999, { ...call, leftBytes: 200 })).toBe(undefined);
    expect(liveness.look(5_000, { ...call, leftBytes: 200 })).toBe("silent");
  });

  test("a PING that is never answered is the end, whatever else comes", () => {
    const liveness = new Liveness(times, 0);
    expect(liveness.look(1_000, call)).toBe("ping");
    for (let now = 1_100; now < 11_000; now += 100) {
      expect(liveness.look(now, call)).not.toBe("silent");
      liveness.heard(now);
    }
    expect(liveness.look(11_000, call)).toBe("silent");
  });
});

test("a server that is frozen is found, and what became of its calls is unknown", async () => {
  const clock = new FakeClock();
  await using lab = await wireLab({ clock });
  const frozen = ask(lab.connection);
  const { ends, stream } = listen(lab.connection);
  stream.write(Buffer.from("message"));
  await until(() => lab.peer.count(type.DATA) === 2);
  await clock.pass(1_100);
  expect(await lab.peer.next(type.PING)).toMatchObject({ flags: 0 });
  await clock.pass(2_100);
  const reason = await lab.ended;
  expect(reason).toMatchObject({ reason: "silent" });
  expect((await frozen).failure).toMatchObject({ code: grpcStatus.UNAVAILABLE, neverExecuted: false, cause: reason });
  expect(ends).toMatchObject([{ cause: reason }]);
  expect(clock.pendingTimers).toBe(0);
});

test("a server that answers the pings is alive, however long it takes for the call", async () => {
  const clock = new FakeClock();
  await using lab = await wireLab({ clock });
  const slow = ask(lab.connection);
  await lab.peer.next(type.DATA);
  let pings = 0;
  for (let second = 0; second < 20; second++) {
    const before = lab.connection.counters.bytesRead;
    await clock.pass(1_000);
    // SETTINGS are acknowledged by the peer itself.
    await until(() => {
      for (const { payload } of lab.peer.takeAll(type.PING)) {
        pings++;
        lab.peer.send(ping(payload.toString("latin1"), flag.ACK));
      }
      return lab.connection.counters.bytesRead > before;
    });
  }
  expect(pings).toBe(lab.connection.counters.pingsSent);
  expect(pings).toBeLessThanOrEqual(4);
  lab.peer.send(answer(1));
  expect((await slow).answer).toBe("answer");
});

test("an idle connection says nothing, and leaves no timer", async () => {
  const clock = new FakeClock();
  await using lab = await wireLab({ clock });
  const call = ask(lab.connection);
  await lab.peer.next(type.DATA);
  lab.peer.send(answer(1));
  await call;
  const { bytesWritten } = lab.connection.counters;
  await clock.pass(100_000);
  expect(lab.connection.counters.bytesWritten).toBe(bytesWritten);
  expect(clock.pendingTimers).toBe(0);
  expect(lab.connection.status).toBe("open");
});

test("an answer that waits in the socket while the process is stopped is a sign of life", async () => {
  const clock = new FakeClock();
  await using lab = await wireLab({ clock });
  const call = ask(lab.connection);
  await lab.peer.next(type.DATA);
  await clock.pass(1_000);
  const asked = await lab.peer.next(type.PING);
  await new Promise<void>((resolve) =>
    lab.peer.socket.write(Buffer.concat([ping(asked.payload.toString("latin1"), flag.ACK), answer(1)]), () =>
      resolve(),
    ),
  );
  // The timer is due before the socket is read.
  clock.advance(60_000);
  expect((await call).answer).toBe("answer");
  expect(lab.connection.status).toBe("open");
});

describe("ping()", () => {
  test("on an idle connection asks by SETTINGS, which etcd does not count", async () => {
    await using lab = await wireLab();
    expect(await lab.connection.ping()).toBeGreaterThanOrEqual(0);
    expect(await lab.connection.ping()).toBeGreaterThanOrEqual(0);
    expect(lab.connection.counters.pingsSent).toBe(0);
  });

  test("with something open asks by PING, once for all who wait", async () => {
    const clock = new FakeClock();
    await using lab = await wireLab({ clock });
    listen(lab.connection);
    await clock.pass(6_000);
    await until(() => lab.peer.take(type.PING)).then(({ payload }) =>
      lab.peer.send(ping(payload.toString("latin1"), flag.ACK)),
    );
    await clock.pass(5_500);
    const both = [lab.connection.ping(), lab.connection.ping()];
    const { payload } = await lab.peer.next(type.PING);
    await clock.pass(30);
    lab.peer.send(ping(payload.toString("latin1"), flag.ACK));
    expect(await Promise.all(both)).toEqual([30, 30]);
    expect(lab.connection.counters.pingsSent).toBe(2);
  });

  test("fails with the reason when the server is frozen, and on a connection that is over", async () => {
    const clock = new FakeClock();
    await using lab = await wireLab({ clock });
    // Not until the settings of the beginning are acknowledged.
    await lab.connection.ping();
    lab.peer.polite = false;
    const asked = lab.connection.ping().catch((error: unknown) => error);
    await clock.pass(2_100);
    expect(await asked).toMatchObject({ name: "ConnectionError", reason: "silent" });
    await expect(lab.connection.ping()).rejects.toMatchObject({ reason: "silent" });
  });
});
