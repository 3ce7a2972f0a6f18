import { describe, expect, test } from "vitest";
import { grpcStatus } from "../../../src/grpc/index.ts";
import { ask, listen, wireLab } from "../../support/grpc-lab.ts";
import {
  block,
  data,
  flag,
  frame,
  goaway,
  headers,
  integer,
  message,
  okFields,
  ping,
  reset,
  settings,
  text,
  trailers,
  type,
  uint32,
  windowUpdate,
} from "../../support/http2-frames.ts";

// What breaks HTTP/2 ends the connection with the right code and words that say what (RFC 9113, sections 4 to 6; RFC
// 7541), or only the stream where the RFC says so. One test for each rule. Stream 1 is open, and its request is whole.

const code = { PROTOCOL: 1, FLOW_CONTROL: 3, FRAME_SIZE: 6, COMPRESSION: 9, CALM: 11 };
const largestWindow = 2 ** 31 - 1;

describe("ends the connection", () => {
  test.each<[rule: string, http2Code: number, words: RegExp, ...frames: Buffer[]]>([
    [
      "4.2: a frame above MAX_FRAME_SIZE",
      code.FRAME_SIZE,
      /20000 bytes/,
      frame(type.DATA, 0, 1, Buffer.alloc(9), 20_000),
    ],
    [
      "4.3: a header block that is none",
      code.COMPRESSION,
      /HPACK.*field 62/,
      frame(1, flag.END_HEADERS, 1, Buffer.from([0xbe])),
    ],
    [
      "4.3: the same for a stream that is over",
      code.COMPRESSION,
      /HPACK/,
      reset(1, 8),
      frame(1, 4, 1, Buffer.from([0xbe])),
    ],
    ["4.3: a table size above the limit", code.COMPRESSION, /table size/, frame(1, 4, 1, integer(0x20, 5, 5_000))],
    ["5.1: DATA of a stream that was never opened", code.PROTOCOL, /stream 3/, data(3)],
    ["5.1: HEADERS of a stream that was never opened", code.PROTOCOL, /stream 99/, headers(99)],
    ["5.1: RST_STREAM of a stream that was never opened", code.PROTOCOL, /stream 3/, reset(3, 0)],
    ["5.1: WINDOW_UPDATE of a stream that was never opened", code.PROTOCOL, /stream 3/, windowUpdate(3, 1)],
    ["5.1.1: a stream of the server", code.PROTOCOL, /stream 2/, headers(2)],
    ["6.1: DATA of stream 0", code.PROTOCOL, /stream 0/, data(0)],
    ["6.1: more padding than frame", code.PROTOCOL, /padding/, headers(1), data(1, Buffer.from([9, 1]), flag.PADDED)],
    ["6.1: as much padding as frame", code.PROTOCOL, /padding/, headers(1), data(1, Buffer.from([2, 1]), flag.PADDED)],
    ["6.1: padding without its length", code.PROTOCOL, /padding/, headers(1), data(1, Buffer.alloc(0), flag.PADDED)],
    ["6.2: HEADERS of stream 0", code.PROTOCOL, /stream 0/, headers(0)],
    [
      "6.2: HEADERS with too much padding",
      code.PROTOCOL,
      /padding/,
      frame(1, flag.END_HEADERS | flag.PADDED, 1, Buffer.from([2, 0x88])),
    ],
    [
      "6.2: HEADERS too short for a priority",
      code.FRAME_SIZE,
      /priority/,
      frame(1, flag.END_HEADERS | flag.PRIORITY, 1, Buffer.alloc(4)),
    ],
    ["6.3: PRIORITY of stream 0", code.PROTOCOL, /PRIORITY/, frame(type.PRIORITY, 0, 0, Buffer.alloc(5))],
    ["6.3: PRIORITY of a wrong size", code.FRAME_SIZE, /PRIORITY of 4/, frame(type.PRIORITY, 0, 1, Buffer.alloc(4))],
    ["6.4: RST_STREAM of stream 0", code.PROTOCOL, /stream 0/, reset(0, 0)],
    [
      "6.4: RST_STREAM of a wrong size",
      code.FRAME_SIZE,
      /RST_STREAM of 5/,
      frame(type.RST_STREAM, 0, 1, Buffer.alloc(5)),
    ],
    ["6.5: SETTINGS of a stream", code.PROTOCOL, /SETTINGS of stream 1/, frame(type.SETTINGS, 0, 1)],
    ["6.5: SETTINGS of a wrong size", code.FRAME_SIZE, /SETTINGS of 5/, frame(type.SETTINGS, 0, 0, Buffer.alloc(5))],
    [
      "6.5: an acknowledgement with settings",
      code.FRAME_SIZE,
      /not empty/,
      frame(type.SETTINGS, flag.ACK, 0, Buffer.alloc(6)),
    ],
    ["6.5.2: ENABLE_PUSH of a server", code.PROTOCOL, /ENABLE_PUSH of 1/, settings([2, 1])],
    ["6.5.2: INITIAL_WINDOW_SIZE above 2^31-1", code.FLOW_CONTROL, /INITIAL_WINDOW_SIZE/, settings([4, 2 ** 31])],
    ["6.5.2: MAX_FRAME_SIZE below 2^14", code.PROTOCOL, /MAX_FRAME_SIZE of 16383/, settings([5, 16_383])],
    ["6.5.2: MAX_FRAME_SIZE above 2^24-1", code.PROTOCOL, /MAX_FRAME_SIZE/, settings([5, 2 ** 24])],
    ["6.6: PUSH_PROMISE", code.PROTOCOL, /PUSH_PROMISE/, frame(type.PUSH_PROMISE, flag.END_HEADERS, 1, uint32(2))],
    ["6.7: PING of a stream", code.PROTOCOL, /PING of stream 1/, frame(type.PING, 0, 1, Buffer.alloc(8))],
    ["6.7: PING of a wrong size", code.FRAME_SIZE, /PING of 7/, frame(type.PING, 0, 0, Buffer.alloc(7))],
    ["6.8: GOAWAY of a stream", code.PROTOCOL, /GOAWAY of stream 1/, frame(type.GOAWAY, 0, 1, Buffer.alloc(8))],
    ["6.8: GOAWAY of a wrong size", code.FRAME_SIZE, /GOAWAY of 7/, frame(type.GOAWAY, 0, 0, Buffer.alloc(7))],
    ["6.8: GOAWAY that takes an earlier one back", code.PROTOCOL, /takes an earlier one back/, goaway(1), goaway(3)],
    [
      "6.9: WINDOW_UPDATE of a wrong size",
      code.FRAME_SIZE,
      /WINDOW_UPDATE of 3/,
      frame(type.WINDOW_UPDATE, 0, 1, Buffer.alloc(3)),
    ],
    ["6.9: WINDOW_UPDATE by 0", code.PROTOCOL, /WINDOW_UPDATE by 0/, windowUpdate(0, 0)],
    [
      "6.9.1: a window of the connection above 2^31-1",
      code.FLOW_CONTROL,
      /above 2\^31-1/,
      windowUpdate(0, largestWindow),
    ],
    [
      "6.9.2: a setting that makes a window too large",
      code.FLOW_CONTROL,
      /larger than 2\^31-1/,
      windowUpdate(1, 100_000),
      settings([4, largestWindow]),
    ],
    [
      "6.10: CONTINUATION without HEADERS",
      code.PROTOCOL,
      /CONTINUATION/,
      frame(type.CONTINUATION, flag.END_HEADERS, 1, block(okFields)),
    ],
    [
      "6.10: CONTINUATION of another stream",
      code.PROTOCOL,
      /CONTINUATION/,
      frame(1, 0, 1, block(okFields)),
      frame(type.CONTINUATION, 4, 3),
    ],
    [
      "6.10: a frame between HEADERS and CONTINUATION",
      code.PROTOCOL,
      /interrupted/,
      frame(1, 0, 1, block(okFields)),
      ping(),
    ],
    [
      "6.10: an unknown frame in between, too",
      code.PROTOCOL,
      /interrupted/,
      frame(1, 0, 1, block(okFields)),
      frame(0xaa),
    ],
    [
      "10.5.1: a header block that has no end",
      code.CALM,
      /header block/,
      frame(1, 0, 1),
      ...Array.from({ length: 70 }, () => frame(type.CONTINUATION, 0, 1)),
    ],
    [
      "10.5.1: a header block above the limit",
      code.CALM,
      /header block/,
      ...[1, 9, 9, 9, 9].map((it) => frame(it, 0, 1, Buffer.alloc(16_000))),
    ],
  ])("%s", async (_, http2Code, words, ...frames) => {
    await using lab = await wireLab();
    const call = ask(lab.connection);
    await lab.peer.next(type.DATA);
    lab.peer.send(...frames);
    const reason = await lab.ended;
    expect(reason).toMatchObject({ name: "ConnectionError", reason: "protocol", http2Code });
    expect(reason.message).toMatch(words);
    expect(lab.connection).toMatchObject({ status: "closed", reason });
    // The server gets the code, and the call the reason.
    const { payload } = await lab.peer.next(type.GOAWAY);
    expect([payload.readUInt32BE(0), payload.readUInt32BE(4)]).toEqual([0, http2Code]);
    const { failure } = await call;
    if (!frames[0]?.equals(reset(1, 8))) {
      expect(failure).toMatchObject({
        name: "GrpcFailure",
        code: grpcStatus.UNAVAILABLE,
        neverExecuted: false,
        cause: reason,
      });
    }
  });
});

const { INTERNAL, RESOURCE_EXHAUSTED } = grpcStatus;
const status200 = [":status", "200"] as const;
const grpcType = ["content-type", "application/grpc"] as const;

describe("ends the stream, and only it", () => {
  test.each<[rule: string, resetCode: number, words: RegExp, ...frames: Buffer[]]>([
    ["6.9: WINDOW_UPDATE by 0", code.PROTOCOL, /WINDOW_UPDATE by 0/, windowUpdate(1, 0)],
    ["6.9.1: a window of a stream above 2^31-1", code.FLOW_CONTROL, /above 2\^31-1/, windowUpdate(1, largestWindow)],
    ["8.1: DATA before HEADERS", code.PROTOCOL, /DATA before HEADERS/, data(1)],
    [
      "8.1: trailers that do not end the stream",
      code.PROTOCOL,
      /trailers/,
      headers(1),
      headers(1, [["grpc-status", "0"]]),
    ],
    [
      "8.1: an answer that ends with 1xx",
      code.PROTOCOL,
      /status 103/,
      headers(1, [[":status", "103"]], flag.END_STREAM),
    ],
    [
      "8.1.1: more data than content-length",
      code.PROTOCOL,
      /more data/,
      headers(1, [...okFields, ["content-length", "3"]]),
      data(1),
    ],
    [
      "8.1.1: less data than content-length",
      code.PROTOCOL,
      /less data/,
      headers(1, [...okFields, ["content-length", "99"]]),
      data(1),
      trailers(1),
    ],
    [
      "8.1.1: a content-length that is none",
      code.PROTOCOL,
      /content-length/,
      headers(1, [...okFields, ["content-length", "-1"]]),
    ],
    [
      "8.1.1: two that differ",
      code.PROTOCOL,
      /content-length/,
      headers(1, [...okFields, ["content-length", "1"], ["content-length", "2"]]),
    ],
    ["8.2.1: a name in upper case", code.PROTOCOL, /"Grpc-Status"/, headers(1, [...okFields, ["Grpc-Status", "0"]])],
    ["8.2.1: a name with a blank", code.PROTOCOL, /"a b"/, headers(1, [...okFields, ["a b", "0"]])],
    ["8.2.1: a name of no characters", code.PROTOCOL, /""/, headers(1, [...okFields, ["", "0"]])],
    ["8.2.1: a value with a line break", code.PROTOCOL, /"x"/, headers(1, [...okFields, ["x", "a\nb"]])],
    ["8.2.1: a value with a zero", code.PROTOCOL, /"x"/, headers(1, [...okFields, ["x", "a\0b"]])],
    ["8.2.1: a value with a blank before it", code.PROTOCOL, /"x"/, headers(1, [...okFields, ["x", " a"]])],
    ["8.2.2: connection", code.PROTOCOL, /"connection"/, headers(1, [...okFields, ["connection", "close"]])],
    [
      "8.2.2: transfer-encoding",
      code.PROTOCOL,
      /"transfer-encoding"/,
      headers(1, [...okFields, ["transfer-encoding", "chunked"]]),
    ],
    ["8.3: no :status", code.PROTOCOL, /no :status/, headers(1, [grpcType])],
    ["8.3: two of them", code.PROTOCOL, /:status/, headers(1, [status200, status200, grpcType])],
    ["8.3: :status after other fields", code.PROTOCOL, /:status/, headers(1, [grpcType, status200])],
    ["8.3: :status in trailers", code.PROTOCOL, /:status/, headers(1), trailers(1, "0", [status200])],
    ["8.3: a pseudo-header of requests", code.PROTOCOL, /":path"/, headers(1, [status200, [":path", "/"], grpcType])],
    ["8.3.2: a :status that is none", code.PROTOCOL, /"2000"/, headers(1, [[":status", "2000"], grpcType])],
    ["8.6: a 101", code.PROTOCOL, /"101"/, headers(1, [[":status", "101"]])],
  ])("%s", async (_, resetCode, words, ...frames) => {
    await using lab = await wireLab();
    const call = ask(lab.connection);
    await lab.peer.next(type.DATA);
    lab.peer.send(...frames);
    const { failure } = await call;
    expect(failure).toMatchObject({ code: INTERNAL, neverExecuted: false });
    expect(failure?.message).toMatch(words);
    const { id, payload } = await lab.peer.next(type.RST_STREAM);
    expect([id, payload.readUInt32BE(0)]).toEqual([1, resetCode]);
    expect(lab.connection.status).toBe("open");
  });

  test.each<[rule: string, failure: object, ...frames: Buffer[]]>([
    [
      "a message that is compressed",
      { code: INTERNAL, message: expect.stringContaining("compressed") },
      headers(1),
      data(1, message("x", 1)),
    ],
    [
      "a message above the limit",
      { code: RESOURCE_EXHAUSTED, message: expect.stringContaining("1000 bytes") },
      headers(1),
      data(1, message("x", 0, 1_001)),
    ],
    [
      "more headers than the limit",
      { code: RESOURCE_EXHAUSTED, message: expect.stringContaining("headers") },
      headerBomb(),
    ],
    [
      "two answers to one request",
      { code: INTERNAL, message: expect.stringContaining("more than one answer") },
      headers(1),
      data(1),
      data(1),
    ],
    [
      "gRPC: no answer, and OK",
      { code: INTERNAL, message: expect.stringContaining("no answer") },
      headers(1),
      trailers(1),
    ],
    [
      "gRPC: the midst of a message, and OK",
      { code: INTERNAL, message: expect.stringContaining("midst") },
      headers(1),
      data(1, message("x", 0, 9)),
      trailers(1),
    ],
    [
      "gRPC: no grpc-status",
      { code: grpcStatus.UNKNOWN, message: expect.stringContaining("without a grpc-status") },
      headers(1),
      data(1, message(), flag.END_STREAM),
    ],
    ["gRPC: a status that is none", { code: grpcStatus.UNKNOWN }, headers(1), trailers(1, "what")],
  ])("%s", async (_, failure, ...frames) => {
    await using lab = await wireLab({ maxMessageBytes: 1_000 });
    const call = ask(lab.connection);
    await lab.peer.next(type.DATA);
    lab.peer.send(...frames);
    expect((await call).failure).toMatchObject(failure);
    expect(lab.connection.status).toBe("open");
  });
});

test("6.9: a server that does not keep to the window of a stream that waits", async () => {
  await using lab = await wireLab({ streamWindowBytes: 100_000 });
  const { stream, ends } = listen(lab.connection);
  stream.write(Buffer.from("request"));
  stream.pause();
  await lab.peer.next(type.DATA);
  lab.peer.send(headers(1), ...Array.from({ length: 6 }, () => data(1, Buffer.alloc(16_384))));
  await ask(lab.connection, "/beside", Buffer.alloc(0), { timeoutMs: 1 });
  expect(ends).toEqual([]);
  lab.peer.send(data(1, Buffer.alloc(2_000)));
  expect(await lab.ended).toMatchObject({ reason: "protocol", http2Code: code.FLOW_CONTROL });
  expect(ends).toHaveLength(1);
});

/** One large field in the table, then many references to it. */
function headerBomb(): Buffer {
  const insert = Buffer.concat([Buffer.from([0x40]), text("x"), text("y".repeat(4_000))]);
  return frame(type.HEADERS, flag.END_HEADERS, 1, Buffer.concat([block(okFields), insert, Buffer.alloc(1_000, 0xbe)]));
}
