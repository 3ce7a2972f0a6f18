import { expect, test } from "vitest";
import { MessageReader } from "../../../src/grpc/message-reader.ts";
import { message } from "../../support/http2-frames.ts";
import { seeded } from "../../support/seeded.ts";

function reading(maxBytes = 2 ** 31 - 1) {
  const messages: { readonly body: Buffer; readonly isView: boolean }[] = [];
  const reader = new MessageReader({ message: (body, isView) => messages.push({ body: Buffer.from(body), isView }) });
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

test("however DATA is cut, the messages are the same", () => {
  const random = seeded("message reader");
  for (let round = 0; round < 300; round++) {
    const sent = Array.from({ length: random.between(1, 8) }, () =>
      Buffer.alloc(random.pick([0, 1, 4, 5, 6, 100, 70_000]), random.between(0, 255)),
    );
    const bytes = Buffer.concat(sent.map((body) => message(body)));
    const { messages, reader, read } = reading();
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
  for (let at = 0; at < bytes.length; at += 16_384) read(bytes.subarray(at, at + 16_384));
  expect(messages).toHaveLength(1);
  expect(messages[0]?.body.equals(body)).toBe(true);
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
    message(body) {
      bodies.push(body.toString());
      reader.stop();
    },
  });
  const bytes = Buffer.concat([message("a"), message("b")]);
  reader.read(bytes, 0, bytes.length, 100);
  expect(bodies).toEqual(["a"]);
});
