import { describe, expect, test } from "vitest";
import { grpcStatus } from "../../../src/grpc/index.ts";
import { ask, listen, wireLab } from "../../support/grpc-lab.ts";
import {
  answer,
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
import { until } from "../../support/until.ts";

// What is unusual and allowed (RFC 9113, sections 4 to 8) is taken as what it is. Stream 1 is open, its request is
// whole.

const padded = (payload: Buffer, padding: number) =>
  Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding, 0)]);
const split = (bytes: Buffer, at: number) => [bytes.subarray(0, at), bytes.subarray(at)] as const;
const [firstHalf, secondHalf] = split(message("answer"), 7);
const [firstFields, otherFields] = split(block(okFields), 9);

test.each<[what: string, ...frames: Buffer[]]>([
  ["6.1: padding around DATA", headers(1), data(1, padded(message(), 255), flag.PADDED), trailers(1)],
  [
    "6.1: DATA of nothing but padding",
    headers(1),
    data(1, padded(Buffer.alloc(0), 9), flag.PADDED),
    data(1),
    trailers(1),
  ],
  ["6.1: DATA of no bytes", headers(1), data(1, Buffer.alloc(0)), data(1), data(1, Buffer.alloc(0)), trailers(1)],
  ["6.1: a message in two frames", headers(1), data(1, firstHalf), data(1, secondHalf), trailers(1)],
  ["6.1: a byte in each frame", headers(1), ...[...message()].map((byte) => data(1, Buffer.from([byte]))), trailers(1)],
  [
    "6.2: padding and a priority",
    frame(
      1,
      flag.END_HEADERS | flag.PADDED | flag.PRIORITY,
      1,
      padded(Buffer.concat([uint32(0), Buffer.from([16]), block(okFields)]), 5),
    ),
    data(1),
    trailers(1),
  ],
  [
    "6.2: headers in three frames, one of them empty",
    frame(1, 0, 1, firstFields),
    frame(9, 0, 1),
    frame(9, 4, 1, otherFields),
    data(1),
    trailers(1),
  ],
  [
    "6.10: trailers in two frames",
    headers(1),
    data(1),
    frame(1, flag.END_STREAM, 1),
    frame(9, flag.END_HEADERS, 1, block([["grpc-status", "0"]])),
  ],
  [
    "8.1: 1xx before the headers",
    headers(1, [[":status", "100"]]),
    headers(1, [
      [":status", "103"],
      ["link", "x"],
    ]),
    answer(1),
  ],
  [
    "6.3: priorities, of streams of any state",
    frame(type.PRIORITY, 0, 1, Buffer.alloc(5)),
    frame(type.PRIORITY, 0, 99, Buffer.alloc(5)),
    answer(1),
  ],
  [
    "5.5: frames that no one knows, of any stream",
    frame(0xfa, 0xff, 0, Buffer.alloc(9)),
    frame(0xfa, 0xff, 1, Buffer.alloc(9)),
    answer(1),
  ],
  [
    "4.1: flags that no one knows",
    frame(1, (0xd2 & ~0x28) | 4, 1, block(okFields)),
    data(1, message(), 0xf6),
    trailers(1),
  ],
  ["6.5: settings that no one knows", settings([0xfff, 7], [2, 0], [1, 0], [1, 4096]), answer(1)],
  [
    "6.5: settings in the midst of an answer",
    headers(1),
    settings([4, 10], [5, 20_000]),
    data(1),
    settings([4, 0]),
    trailers(1),
  ],
  ["6.5: an acknowledgement of settings that no one sent", frame(type.SETTINGS, flag.ACK), answer(1)],
  ["6.7: an answer to a PING that no one sent", ping("87654321", flag.ACK), answer(1)],
  [
    "6.9: windows of streams that are over, and of ours",
    windowUpdate(1, 5),
    windowUpdate(0, 5),
    answer(1),
    windowUpdate(1, 5),
  ],
  ["5.1: what is late of a stream that is over", answer(1), reset(1, 8), data(1), trailers(1), windowUpdate(1, 0)],
  [
    "4.3: a table size in front of a block",
    frame(1, 4, 1, Buffer.concat([Buffer.from([0x20]), integer(0x20, 5, 100), block(okFields)])),
    data(1),
    trailers(1),
  ],
  [
    "4.3: headers of the table",
    frame(1, 4, 1, Buffer.concat([Buffer.from([0x88, 0x5f]), text("application/grpc"), Buffer.from([0xbe])])),
    data(1),
    trailers(1),
  ],
  ["8.1.1: a content-length that is right", headers(1, [...okFields, ["content-length", "11"]]), data(1), trailers(1)],
  [
    "gRPC: a content type with a format",
    headers(1, [
      [":status", "200"],
      ["content-type", "application/grpc+proto"],
    ]),
    data(1),
    trailers(1),
  ],
  [
    "gRPC: fields of other makes",
    headers(1, [...okFields, ["server", "nginx"], ["grpc-encoding", "identity"]]),
    data(1),
    trailers(1),
  ],
  ["6.8: a GOAWAY that includes it", goaway(1), answer(1)],
])("%s", async (_, ...frames) => {
  await using lab = await wireLab();
  const call = ask(lab.connection);
  await lab.peer.next(type.DATA);
  lab.peer.send(...frames);
  expect(await call).toMatchObject({ failure: undefined, answer: "answer" });
});

describe("an answer that is an error", () => {
  test.each<[what: string, failure: object, ...frames: Buffer[]]>([
    [
      "trailers only",
      { code: 5, message: "not found" },
      headers(1, [...okFields, ["grpc-status", "5"], ["grpc-message", "not found"]], flag.END_STREAM),
    ],
    ["trailers after headers", { code: 9, message: "" }, headers(1), trailers(1, "9")],
    [
      "trailers after a message",
      { code: 9, message: "no" },
      headers(1),
      data(1),
      trailers(1, "9", [["grpc-message", "no"]]),
    ],
    [
      "a message in percents",
      { message: "a bé%zz" },
      headers(1),
      trailers(1, "2", [["grpc-message", "a%20b%C3%A9%zz"]]),
    ],
    ["a status that no one knows", { code: 77 }, headers(1), trailers(1, "77")],
    [
      "a status with a page of HTTP",
      { code: 14, message: "away" },
      headers(
        1,
        [
          [":status", "503"],
          ["grpc-status", "14"],
          ["grpc-message", "away"],
        ],
        flag.END_STREAM,
      ),
    ],
    [
      "a page",
      { code: grpcStatus.UNAVAILABLE, httpStatus: 503, message: expect.stringContaining("503") },
      headers(1, [
        [":status", "503"],
        ["content-type", "text/html"],
      ]),
    ],
    [
      "a page and no more",
      { code: grpcStatus.UNIMPLEMENTED, httpStatus: 404 },
      headers(1, [[":status", "404"]], flag.END_STREAM),
    ],
    [
      "a page of 200",
      { code: grpcStatus.UNKNOWN, httpStatus: 200, message: expect.stringContaining("text/html") },
      headers(1, [
        [":status", "200"],
        ["content-type", "text/html"],
      ]),
    ],
    ["400", { code: grpcStatus.INTERNAL }, headers(1, [[":status", "400"]])],
    ["401", { code: grpcStatus.UNAUTHENTICATED }, headers(1, [[":status", "401"]])],
    ["403", { code: grpcStatus.PERMISSION_DENIED }, headers(1, [[":status", "403"]])],
    ["429", { code: grpcStatus.UNAVAILABLE }, headers(1, [[":status", "429"]])],
    ["302", { code: grpcStatus.UNKNOWN }, headers(1, [[":status", "302"]])],
    ["a reset with REFUSED_STREAM", { code: grpcStatus.UNAVAILABLE, neverExecuted: true }, reset(1, 7)],
    ["a reset with CANCEL", { code: grpcStatus.CANCELLED, neverExecuted: false }, reset(1, 8)],
    ["a reset with ENHANCE_YOUR_CALM", { code: grpcStatus.RESOURCE_EXHAUSTED }, reset(1, 11)],
    ["a reset with INADEQUATE_SECURITY", { code: grpcStatus.PERMISSION_DENIED }, reset(1, 12)],
    [
      "a reset with INTERNAL_ERROR",
      { code: grpcStatus.INTERNAL, message: expect.stringContaining("INTERNAL_ERROR") },
      reset(1, 2),
    ],
    ["a reset with NO_ERROR in the midst", { code: grpcStatus.INTERNAL }, headers(1), reset(1, 0)],
    [
      "a reset with a code that no one knows",
      { code: grpcStatus.INTERNAL, message: expect.stringContaining("77") },
      reset(1, 77),
    ],
  ])("%s", async (_, failure, ...frames) => {
    await using lab = await wireLab();
    const call = ask(lab.connection);
    await lab.peer.next(type.DATA);
    lab.peer.send(...frames);
    expect((await call).failure).toMatchObject({ neverExecuted: false, ...failure });
    expect(lab.connection).toMatchObject({ status: "open", counters: { open: 0 } });
  });
});

test("metadata of headers and trailers is passed on, bytes as bytes", async () => {
  await using lab = await wireLab();
  const calls = [ask(lab.connection), ask(lab.connection)];
  await until(() => lab.peer.count(type.DATA) === 2);
  const more = [
    ["x", "1"],
    ["some-bin", "AQI,Aw=="],
  ] as const;
  lab.peer.send(headers(1, [...okFields, ...more]), data(1), trailers(1, "0", [["y", "2"]]));
  lab.peer.send(headers(3), trailers(3, "5", more));
  const [first, second] = await Promise.all(calls);
  expect(first?.metadata).toEqual([
    ["x", "1"],
    ["some-bin", Buffer.from([1, 2, 3])],
    ["y", "2"],
  ]);
  expect(second?.failure?.metadata).toEqual([
    ["x", "1"],
    ["some-bin", Buffer.from([1, 2, 3])],
  ]);
});

test("PING and SETTINGS are answered, with what they said", async () => {
  await using lab = await wireLab();
  await lab.peer.next(type.SETTINGS);
  lab.peer.send(ping("abcdefgh"));
  const { flags, payload } = await lab.peer.next(type.PING);
  expect([flags, payload.toString()]).toEqual([flag.ACK, "abcdefgh"]);
  expect(await lab.peer.next(type.SETTINGS)).toMatchObject({ flags: flag.ACK, payload: Buffer.alloc(0) });
});

test("a server that answers before it has the whole request hears that no more will come", async () => {
  await using lab = await wireLab({}, [[4, 100]]);
  const call = ask(lab.connection, "/test.Service/Method", Buffer.alloc(1_000));
  await lab.peer.next(type.DATA);
  lab.peer.send(headers(1), trailers(1, "8", [["grpc-message", "too much"]]));
  expect((await call).failure).toMatchObject({ code: 8, message: "too much" });
  expect((await lab.peer.next(type.RST_STREAM)).payload.readUInt32BE(0)).toBe(8);
});

test("an answer byte by byte", async () => {
  await using lab = await wireLab();
  const call = ask(lab.connection);
  await lab.peer.next(type.DATA);
  lab.peer.socket.setNoDelay(true);
  for (const byte of Buffer.concat([ping(), answer(1), ping()])) {
    lab.peer.socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  expect(await call).toMatchObject({ failure: undefined, answer: "answer" });
});

test("messages of a stream, several in a frame and one in several", async () => {
  await using lab = await wireLab();
  const { messages, ends, stream } = listen(lab.connection);
  stream.write(Buffer.from("request"));
  await lab.peer.next(type.DATA);
  const bytes = Buffer.concat([message("a"), message("bb"), message(""), message("ccc")]);
  lab.peer.send(headers(1), data(1, bytes.subarray(0, 20)), data(1, bytes.subarray(20)), trailers(1));
  await until(() => ends.length > 0);
  expect(messages).toEqual(["a", "bb", "", "ccc"]);
  expect(ends).toEqual([undefined]);
});
