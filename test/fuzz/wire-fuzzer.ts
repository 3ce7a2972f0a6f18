import type { Socket } from "node:net";
import { ClientConnection } from "../../src/grpc/client-connection.ts";
import { ExchangeTable } from "../../src/grpc/exchange-table.ts";
import type { GrpcStream } from "../../src/grpc/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import {
  answer,
  block,
  data,
  flag,
  frame,
  goaway,
  headers,
  message,
  okFields,
  ping,
  reset,
  settings,
  trailers,
  type,
  uint32,
  windowUpdate,
} from "../support/http2-frames.ts";
import type { Seeded } from "../support/seeded.ts";

/** What a run has seen, so that a test can check that it was not all the same. */
export interface Seen {
  inputs: number;
  /** How connections were when their input was over, by their reason. */
  readonly ends: Map<string, number>;
  /** How calls ended, by their status. */
  readonly calls: Map<string, number>;
  /** To be asked once all ticks have passed: calls that were refused end in the next one. */
  pending: (() => void)[];
}

const largestWrite = 5_000_000;

/**
 * Feeds a connection without a socket with answers that were right before they were changed at random, cut at random,
 * while its calls are cancelled, go on and are joined by others at random.
 *
 * @throws Error when something escapes, when a call ends twice or never, or when what is written breaks HTTP/2
 */
export function fuzzOnce(random: Seeded, seen: Seen): void {
  seen.inputs++;
  const written: Buffer[] = [];
  let writtenBytes = 0;
  const socket = {
    writableLength: 0,
    write(bytes: Buffer) {
      writtenBytes += bytes.length;
      if (writtenBytes > largestWrite) throw new Error("it answers without end");
      written.push(Buffer.from(bytes));
    },
    destroy() {},
    ref() {},
    unref() {},
  };
  const clock = new FakeClock();
  let end: string | undefined;
  const problems: unknown[] = [];
  const connection = new ClientConnection({
    socket: socket as unknown as Socket,
    scheme: "http",
    authority: "fuzz",
    userAgent: "fuzz",
    streamWindowBytes: random.pick([100, 65_535, 4_000_000]),
    connectionWindowBytes: 65_535,
    maxMessageBytes: random.pick([50, 1_000_000]),
    liveness: { unansweredMs: 1_000, quietMs: 6_000, answerMs: 2_000, pingIntervalMs: 5_500 },
    clock,
    table: new ExchangeTable(random.chance(0.02) ? 2 ** 31 - 5 : 1),
    onSettled() {},
    onDraining() {},
    onEnd(reason) {
      if (end !== undefined) throw new Error("a connection that ends twice");
      end = reason.reason;
      // It caught an exception of ours, which does no harm to users, and is a bug.
      if (reason.reason === "protocol" && reason.http2Code === 2) problems.push(reason.cause);
    },
  });
  connection.greet();
  const calls: { ends: number; cancelled: boolean }[] = [];
  const cancels: (() => void)[] = [];
  const act = () => {
    if (random.chance(0.7)) return;
    if (random.chance(0.3)) random.pick(cancels)?.();
    else if (random.chance(0.2)) connection.close();
    else if (calls.length < 20) begin();
    else void connection.ping().catch(() => {});
  };
  const begin = () => {
    const call = { ends: 0, cancelled: false };
    calls.push(call);
    const over = (failure: { code: number } | undefined) => {
      call.ends++;
      if (call.ends > 1) throw new Error("a call that ends twice");
      if (call.cancelled) throw new Error("a call that ends after it was cancelled");
      count(seen.calls, failure ? `${failure.code}` : "ok");
      act();
    };
    const cancelled = () => {
      call.cancelled = true;
    };
    if (random.chance(0.6)) {
      const body = Buffer.alloc(random.pick([0, 10, 100_000]));
      const it = connection.unary("/fuzz/Unary", body, random.chance(0.2) ? { timeoutMs: 50 } : {}, over);
      cancels.push(() => {
        if (call.ends === 0) cancelled();
        it.cancel();
      });
      return;
    }
    const stream: GrpcStream = connection.stream(
      "/fuzz/Stream",
      {},
      {
        onMessage() {
          if (call.ends > 0 || call.cancelled) throw new Error("a message after the end");
          if (random.chance(0.2)) stream.write(Buffer.alloc(10));
          if (random.chance(0.1)) stream.pause();
          if (random.chance(0.1)) stream.resume();
          act();
        },
        onEnd: over,
      },
    );
    stream.write(Buffer.from("hello"));
    cancels.push(() => {
      if (call.ends === 0) cancelled();
      stream.cancel();
    });
  };
  const input = [settings(), ...script(random)];
  begin();
  begin();
  feed(connection, Buffer.concat(mutated(input, random)), random);
  if (random.chance(0.2)) clock.advance(random.pick([100, 3_000, 20_000]));
  count(seen.ends, end ?? connection.status);
  connection.destroy();
  if (problems.length > 0) throw new Error("an exception while reading", { cause: problems[0] });
  if (connection.counters.open !== 0 || connection.counters.queued !== 0) throw new Error("calls that are left");
  if (clock.pendingTimers > 0) throw new Error("a timer that is left");
  checkWritten(Buffer.concat(written));
  seen.pending.push(() => {
    for (const [index, { ends, cancelled }] of calls.entries()) {
      if (ends === 0 && !cancelled) throw new Error(`call ${index} never ended`);
    }
  });
}

/** Right frames of all kinds, for the streams that may be open. */
function script(random: Seeded): Buffer[] {
  const id = () => random.pick([1, 1, 3, 3, 5, 7]);
  const kinds: (() => Buffer)[] = [
    () => answer(id(), "x".repeat(random.pick([0, 5, 200]))),
    () => headers(id()),
    () => data(id(), message("y".repeat(random.between(0, 100)))),
    () => data(id(), Buffer.concat([message("a"), message("b"), message("c").subarray(0, 5)])),
    () => trailers(id(), random.pick(["0", "5", "14", "x"])),
    () =>
      headers(
        id(),
        [...okFields, ["grpc-status", "13"], ["grpc-message", "%41%zz"], ["x-bin", "AA=="]],
        flag.END_STREAM,
      ),
    () =>
      Buffer.concat([
        frame(type.HEADERS, 0, 1, block(okFields).subarray(0, 9)),
        frame(type.CONTINUATION, flag.END_HEADERS, 1, block(okFields).subarray(9)),
      ]),
    () =>
      frame(
        type.HEADERS,
        flag.END_HEADERS,
        id(),
        Buffer.from([0x88, 0x5f, 0x8b, 0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d, 0x4c, 0x4d, 0x65, 0x64]),
      ),
    () => settings([random.between(0, 9), random.pick([0, 1, 100, 20_000, 2 ** 31 - 1, 2 ** 32 - 1])]),
    () => frame(type.SETTINGS, flag.ACK),
    () => ping(),
    () => ping("87654321", flag.ACK),
    () => windowUpdate(random.pick([0, 1, 3]), random.pick([1, 1_000, 2 ** 30])),
    () => reset(id(), random.between(0, 14)),
    () => frame(type.PRIORITY, 0, id(), Buffer.alloc(5)),
    () => frame(random.between(10, 255), random.between(0, 255), id(), Buffer.alloc(random.between(0, 20))),
    () => data(id(), Buffer.concat([Buffer.from([3]), message("pad"), Buffer.alloc(3)]), flag.PADDED),
  ];
  const frames = Array.from({ length: random.between(1, 25) }, () => random.pick(kinds)());
  if (random.chance(0.1)) frames.push(goaway(random.pick([0, 1, 3, 2 ** 31 - 1]), random.between(0, 13), "bye"));
  return frames;
}

function mutated(frames: Buffer[], random: Seeded): Buffer[] {
  const changed: Buffer[] = frames.map((it) => Buffer.from(it));
  const changes = random.pick([0, 1, 1, 2, 5]);
  for (let index = 0; index < changes; index++) {
    const at = random.between(0, changed.length - 1);
    const chosen = changed[at] as Buffer;
    const inside = random.between(0, Math.max(0, chosen.length - 1));
    switch (random.between(0, 9)) {
      case 0:
        chosen[inside] = (chosen[inside] ?? 0) ^ (1 << random.between(0, 7));
        break;
      case 1:
        chosen[inside] = random.between(0, 255);
        break;
      case 2:
        // The header, where a change matters most.
        chosen[random.between(0, Math.min(8, chosen.length - 1))] = random.pick([0, 1, 2, 4, 5, 8, 9, 127, 128, 255]);
        break;
      case 3:
        changed.splice(at, 1, chosen.subarray(0, inside));
        break;
      case 4:
        changed.splice(at, 0, chosen);
        break;
      case 5:
        if (changed.length > 1) changed.splice(at, 1);
        break;
      case 6:
        changed.splice(
          random.between(0, changed.length),
          0,
          Buffer.from(Array.from({ length: random.between(1, 30) }, () => random.between(0, 255))),
        );
        break;
      case 7:
        changed.splice(
          at,
          1,
          Buffer.concat([chosen.subarray(0, inside), Buffer.from([random.between(0, 255)]), chosen.subarray(inside)]),
        );
        break;
      case 8:
        changed.push(...changed.splice(0, at));
        break;
      default:
        changed.splice(at, 0, ...Array.from({ length: random.between(1, 50) }, () => chosen));
    }
  }
  return changed;
}

/** In pieces, in one buffer that is overwritten each time, as a socket does it. */
function feed(connection: ClientConnection, bytes: Buffer, random: Seeded): void {
  const most = random.pick([1, 7, 100, 65_536]);
  for (let at = 0; at < bytes.length; ) {
    const next = Math.min(bytes.length, at + random.between(1, most));
    socketBuffer.fill(0xee, 0, 64);
    bytes.copy(socketBuffer, 0, at, next);
    connection.read(socketBuffer, next - at);
    at = next;
  }
}

const socketBuffer = Buffer.alloc(65_536);
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".length;
const none = uint32(0);

/** What a client may write, whatever it has read. */
function checkWritten(bytes: Buffer): void {
  let lastId = 0;
  const over = new Set<number>();
  for (let at = preface; at < bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    const [frameType, flags, id] = [bytes[at + 3] as number, bytes[at + 4] as number, bytes.readUInt32BE(at + 5)];
    const payload = bytes.subarray(at + 9, at + 9 + length);
    if (payload.length !== length) throw new Error("a frame that is cut short");
    if (frameType > type.CONTINUATION || frameType === type.PUSH_PROMISE)
      throw new Error(`a frame of type ${frameType}`);
    if (frameType === type.WINDOW_UPDATE && payload.equals(none)) throw new Error("a window update by 0");
    if (frameType === type.HEADERS) {
      if (id <= lastId || id % 2 === 0) throw new Error(`headers of stream ${id} after ${lastId}`);
      lastId = id;
    }
    if (frameType === type.DATA || frameType === type.RST_STREAM) {
      if (id === 0 || id > lastId) throw new Error(`a frame of stream ${id}, which is not open`);
      if (over.has(id)) throw new Error(`a frame of stream ${id} after its reset`);
      if (frameType === type.RST_STREAM) over.add(id);
      else if ((flags & flag.END_STREAM) !== 0 && over.has(-id)) throw new Error(`two ends of stream ${id}`);
      else if (over.has(-id)) throw new Error(`data of stream ${id} after its end`);
      if (frameType === type.DATA && (flags & flag.END_STREAM) !== 0) over.add(-id);
    }
    at += 9 + length;
  }
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
