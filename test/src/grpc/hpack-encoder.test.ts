import { expect, test } from "vitest";
import { HpackDecoder } from "../../../src/grpc/hpack/hpack-decoder.ts";
import { HpackEncoder, type RequestField } from "../../../src/grpc/hpack/hpack-encoder.ts";
import { seeded } from "../../support/seeded.ts";

/** A peer that decodes what is sent, in order. */
function pair() {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(1_000_000);
  const decode = (bytes: Buffer) => {
    const fields: RequestField[] = [];
    decoder.decode(bytes, 0, bytes.length, { field: ({ name, value }) => fields.push([name, value]) });
    return fields;
  };
  return { encoder, decode };
}

const request: RequestField[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "127.0.0.1:2379"],
  [":path", "/etcdserverpb.KV/Put"],
  ["te", "trailers"],
  ["content-type", "application/grpc"],
  ["user-agent", "grpc-node-net"],
  ["hasleader", "true"],
  ["token", "abcdefghijklmnop.42"],
];

test("a request that is repeated is a byte for each field", () => {
  const { encoder, decode } = pair();
  const blocks = Array.from({ length: 3 }, () => encoder.encode(request));
  for (const { bytes } of blocks) expect(decode(bytes)).toEqual(request);
  expect(blocks.map(({ repeatable }) => repeatable)).toEqual([false, false, true]);
  expect(blocks[2]?.bytes.length).toBe(request.length);
});

test("bytes that put fields into the table are not to be sent again", () => {
  const { encoder, decode } = pair();
  let kept: { bytes: Buffer; generation: number } | undefined;
  for (let round = 0; round < 5; round++) {
    const { generation } = encoder;
    const known = kept?.generation === generation ? kept.bytes : undefined;
    const { bytes, repeatable } = known ? { bytes: known, repeatable: true } : encoder.encode(request);
    if (repeatable) kept = { bytes, generation: encoder.generation };
    expect(decode(bytes)).toEqual(request);
  }
  expect(kept?.bytes.length).toBe(request.length);
});

test.each(["authorization", "proxy-authorization", "cookie"])(
  "%s is never put into a table, ours or one on the way",
  (name) => {
    const { encoder, decode } = pair();
    const fields: RequestField[] = [[name, "Bearer secret"]];
    for (let round = 0; round < 5; round++) {
      const { bytes, repeatable } = encoder.encode(fields);
      expect(repeatable).toBe(true);
      // Literal, never indexed (RFC 7541, section 6.2.3).
      expect((bytes[0] as number) >> 4).toBe(1);
      expect(decode(bytes)).toEqual(fields);
    }
  },
);

test("what is different each time does not drive out what repeats", () => {
  const { encoder, decode } = pair();
  for (let round = 0; round < 2; round++) decode(encoder.encode(request).bytes);
  const { generation } = encoder;
  for (let round = 0; round < 1_000; round++) decode(encoder.encode([...request, ["trace", `${round}`]]).bytes);
  expect(encoder.generation).toBe(generation);
  expect(encoder.encode(request).bytes.length).toBe(request.length);
});

test("a peer without a table gets literals, and a table that it allows again is filled anew", () => {
  const { encoder, decode } = pair();
  for (let round = 0; round < 3; round++) decode(encoder.encode(request).bytes);
  const before = encoder.generation;
  encoder.limit(0);
  expect(encoder.generation).not.toBe(before);
  for (let round = 0; round < 3; round++) {
    const { bytes } = encoder.encode(request);
    expect(bytes.length).toBeGreaterThan(100);
    expect(decode(bytes)).toEqual(request);
  }
  encoder.limit(4096);
  for (let round = 0; round < 3; round++) expect(decode(encoder.encode(request).bytes)).toEqual(request);
  expect(encoder.encode(request).bytes.length).toBe(request.length);
});

test("whatever is sent, and however the peer changes its table, it reads what was meant", () => {
  const random = seeded("hpack encoder");
  for (let round = 0; round < 20; round++) {
    const { encoder, decode } = pair();
    for (let block = 0; block < 200; block++) {
      if (random.chance(0.03)) encoder.limit(random.pick([0, 1, 40, 100, 300, 1_000, 4_096, 100_000]));
      const fields = Array.from({ length: random.between(1, 6) }, (): RequestField => {
        const name = random.pick([":path", "te", "token", "x", `n${random.between(0, 30)}`, "cookie"]);
        return [name, "v".repeat(random.pick([0, 1, 10, 126, 127, 128, 300, 5_000])) + random.between(0, 3)];
      });
      expect(decode(encoder.encode(fields).bytes), `seed ${random.seed}`).toEqual(fields);
    }
  }
});
