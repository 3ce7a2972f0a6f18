import { expect, test } from "vitest";
import { MessageReader } from "../../../src/grpc/message-reader.ts";
import { message } from "../../support/http2-frames.ts";
import { seeded } from "../../support/seeded.ts";

function reading(maxBytes = 2 ** 31 - 1, takesViews = false) {
  const messages: { readonly body: Buffer; readonly isView: boolean; readonly memory: ArrayBufferLike }[] = [];
  const reader = new MessageReader({
    takesViews,
    message: (body, isView) => messages.push({ body: Buffer.from(body), isView, memory: body.buffer }),
  });
  const read = (bytes: Buffer) => reader.read(bytes, 0, bytes.length, maxBytes);
  return { messages, reader, read };
}

test("messages that are whole are handed on as views, also those of no bytes", () => {
  const { messages, read } = reading();
  read(Buffer.concat([message("a"), message(""), message("bc")]));
  expect(messages.map(({ body, isView }) => [body.toString(), isView])).toEqual([
    ["a", true],
    ["", true],
    ["bc", true],
  ]);
});

test.each([true, false])("however DATA is cut, the messages are the same; views: %s", (takesViews) => {
  const random = seeded("message reader");
  for (let round = 0; round < 300; round++) {
    const sent = Array.from({ length: random.between(1, 8) }, () =>
      Buffer.alloc(random.pick([0, 1, 4, 5, 6, 100, 70_000]), random.between(0, 255)),
    );
    const bytes = Buffer.concat(sent.map((body) => message(body)));
    const { messages, reader, read } = reading(undefined, takesViews);
    for (let at = 0; at < bytes.length; ) {
      const next = at + random.pick([1, 2, 5, 6, 50, 16_384]);
      read(bytes.subarray(at, next));
      at = next;
    }
    expect(reader.partial).toBe(false);
    expect(messages.length, `seed ${random.seed}`).toBe(sent.length);
    for (const [index, { body }] of messages.entries()) expect(body.equals(sent[index] as Buffer)).toBe(true);
  }
});

test("a message of megabytes is put together from its frames", () => {
  const body = Buffer.alloc(5_000_000, "abc");
  const bytes = message(body);
  const { messages, read } = reading();
  readInFrames(read, bytes);
  expect(messages).toHaveLength(1);
  expect(messages[0]?.body.equals(body)).toBe(true);
});

function readInFrames(read: (bytes: Buffer) => unknown, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 16_384) read(bytes.subarray(at, at + 16_384));
}

test("a long view is put together where the last one was, if the receiver takes views", () => {
  for (const takesViews of [true, false]) {
    const { messages, read } = reading(undefined, takesViews);
    for (const length of [200_000, 100_000]) readInFrames(read, message(Buffer.alloc(length, "abc")));
    const [first, second] = messages;
    expect(first?.memory === second?.memory).toBe(takesViews);
    expect(messages.map(({ isView, body }) => [isView, body.length])).toEqual([
      [takesViews, 200_000],
      [takesViews, 100_000],
    ]);
  }
});

test("two long views that arrive at the same time are not mixed", () => {
  const [one, other] = [reading(undefined, true), reading(undefined, true)];
  for (let round = 0; round < 3; round++) {
    const bytes = ["a", "b"].map((text) => message(Buffer.alloc(150_000, text)));
    for (let at = 0; at < 160_000; at += 16_384) {
      one.read((bytes[0] as Buffer).subarray(at, at + 16_384));
      other.read((bytes[1] as Buffer).subarray(at, at + 16_384));
    }
  }
  expect(one.messages.map(({ body }) => body.equals(Buffer.alloc(150_000, "a")))).toEqual([true, true, true]);
  expect(other.messages.map(({ body }) => body.equals(Buffer.alloc(150_000, "b")))).toEqual([true, true, true]);
});

test("a length that is a lie takes no memory", () => {
  const { reader, read } = reading(2 ** 32);
  const before = process.memoryUsage().arrayBuffers;
  read(message("abc", 0, 2 ** 32 - 1));
  expect(reader.partial).toBe(true);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
});

test.each([
  ["compressed", message("abc", 1)],
  ["too large", message("abcdefghijk", 0)],
  ["too large", message("", 0, 11)],
])("says %s as soon as the prefix does", (problem, bytes) => {
  expect(reading(10).read(bytes)).toBe(problem);
  const { read } = reading(10);
  for (let at = 0; at < 4; at++) expect(read(bytes.subarray(at, at + 1))).toBe(undefined);
  expect(read(bytes.subarray(4, 5))).toBe(problem);
});

test("hands nothing on once it was stopped, also in the midst of a frame", () => {
  const bodies: string[] = [];
  const reader: MessageReader = new MessageReader({
    takesViews: false,
    message(body) {
      bodies.push(body.toString());
      reader.stop();
    },
  });
  const bytes = Buffer.concat([message("a"), message("b")]);
  reader.read(bytes, 0, bytes.length, 100);
  expect(bodies).toEqual(["a"]);
});
