import { describe, expect, test } from "vitest";
import { HpackDecoder } from "../../../src/grpc/hpack/hpack-decoder.ts";
import { HpackError } from "../../../src/grpc/hpack/hpack-error.ts";
import { codeLengths } from "../../../src/grpc/hpack/huffman.ts";
import { block, integer, text } from "../../support/http2-frames.ts";

const LIMIT = 65_536;

function decoding(limit = LIMIT) {
  const decoder = new HpackDecoder(limit);
  return (bytes: Buffer | string) => {
    const coded = typeof bytes === "string" ? Buffer.from(bytes.replaceAll(/\s/g, ""), "hex") : bytes;
    // At an offset, as it stands in a frame.
    const around = Buffer.concat([Buffer.from([0xff]), coded, Buffer.from([0xff])]);
    const fields: [string, string][] = [];
    const fits = decoder.decode(around, 1, 1 + coded.length, {
      field: ({ name, value }) => fields.push([name, value]),
    });
    return { fields, fits };
  };
}

// RFC 7541, appendix C.
const request1 = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const request2 = [...request1, ["cache-control", "no-cache"]];
const request3 = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];
const date1 = "Mon, 21 Oct 2013 20:13:21 GMT";
const response = (status: string, date = date1) => [
  [":status", status],
  ["cache-control", "private"],
  ["date", date],
  ["location", "https://www.example.com"],
];
const response3 = [
  ...response("200", "Mon, 21 Oct 2013 20:13:22 GMT"),
  ["content-encoding", "gzip"],
  ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
];
/** The examples of responses have a table of 256 bytes. */
const tableOf256 = "3fe101";

describe("the vectors of RFC 7541, appendix C", () => {
  test.each([
    ["C.2.1", "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", [["custom-key", "custom-header"]]],
    ["C.2.2", "040c 2f73 616d 706c 652f 7061 7468", [[":path", "/sample/path"]]],
    ["C.2.3", "1008 7061 7373 776f 7264 0673 6563 7265 74", [["password", "secret"]]],
    ["C.2.4", "82", [[":method", "GET"]]],
  ])("%s", (_, bytes, fields) => {
    expect(decoding()(bytes)).toEqual({ fields, fits: true });
  });

  test("C.3: requests without Huffman codes", () => {
    const decode = decoding();
    expect(decode("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d").fields).toEqual(request1);
    expect(decode("8286 84be 5808 6e6f 2d63 6163 6865").fields).toEqual(request2);
    expect(decode("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65").fields).toEqual(request3);
  });

  test("C.4: requests with Huffman codes", () => {
    const decode = decoding();
    expect(decode("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff").fields).toEqual(request1);
    expect(decode("8286 84be 5886 a8eb 1064 9cbf").fields).toEqual(request2);
    expect(decode("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf").fields).toEqual(request3);
  });

  test("C.5: responses without Huffman codes, in a table that is too small for all", () => {
    const decode = decoding();
    const first = `${tableOf256} 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
      2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`;
    expect(decode(first).fields).toEqual(response("302"));
    expect(decode("4803 3330 37c1 c0bf").fields).toEqual(response("307"));
    const third = `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
      7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33
      3630 303b 2076 6572 7369 6f6e 3d31`;
    expect(sorted(decode(third).fields)).toEqual(sorted(response3));
  });

  test("C.6: responses with Huffman codes", () => {
    const decode = decoding();
    const first = `${tableOf256} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b
      ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`;
    expect(decode(first).fields).toEqual(response("302"));
    expect(decode("4883 640e ffc1 c0bf").fields).toEqual(response("307"));
    const third = `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
      e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`;
    expect(sorted(decode(third).fields)).toEqual(sorted(response3));
  });
});

test("the lengths of the Huffman codes, and the end-of-string code with them, fill the whole tree", () => {
  expect(codeLengths).toHaveLength(256);
  expect(codeLengths.reduce((sum, length) => sum + 2 ** -length, 2 ** -30)).toBe(1);
});

describe("what is no header block", () => {
  test.each([
    ["index 0", Buffer.from([0x80])],
    ["an index behind the tables", Buffer.from([0xbe])],
    ["the name of an index behind the tables", Buffer.concat([integer(0x40, 6, 62), text("v")])],
    ["a number that does not end", Buffer.from([0xff])],
    ["a number that goes on for ever", Buffer.from([0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01])],
    ["a number above 2^28", Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])],
    ["a name that is missing", Buffer.from([0x40])],
    ["a value that is missing", Buffer.concat([Buffer.from([0x40]), text("name")])],
    ["a string that is cut short", Buffer.from([0x40, 0x05, 0x61])],
    ["a table above the limit", integer(0x20, 5, 4097)],
    ["a table size after a field", Buffer.from([0x88, 0x20])],
    ["the end-of-string code", Buffer.from([0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00])],
    ["a whole byte of padding", Buffer.from([0x00, 0x82, 0x1f, 0xff, 0x00])],
    ["padding that is not ones", Buffer.from([0x00, 0x81, 0x18, 0x00])],
  ])("%s", (_, bytes) => {
    expect(() => decoding()(bytes)).toThrow(HpackError);
  });
});

test("a field that does not fit into the table empties it, and is read all the same", () => {
  const decode = decoding();
  const large = "x".repeat(5_000);
  const insert = (name: string, value: string) => Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
  expect(decode(insert("a", "1")).fields).toEqual([["a", "1"]]);
  expect(decode(insert("b", large)).fields).toEqual([["b", large]]);
  expect(() => decode(Buffer.from([0xbe]))).toThrow(HpackError);
});

test("a size of 0 and then another one empties the table", () => {
  const decode = decoding();
  decode(Buffer.concat([Buffer.from([0x40]), text("a"), text("1")]));
  expect(() => decode(Buffer.concat([Buffer.from([0x20]), integer(0x20, 5, 4096), Buffer.from([0xbe])]))).toThrow(
    HpackError,
  );
});

test("fields beyond the limit are not passed on, and the table is kept all the same", () => {
  const decode = decoding(200);
  const insert = Buffer.concat([Buffer.from([0x40]), text("later"), text("1")]);
  const { fields, fits } = decode(
    Buffer.concat([
      block([
        ["a", "x".repeat(100)],
        ["b", "x".repeat(100)],
      ]),
      insert,
    ]),
  );
  expect(fits).toBe(false);
  expect(fields).toEqual([["a", "x".repeat(100)]]);
  expect(decode(Buffer.from([0xbe]))).toEqual({ fields: [["later", "1"]], fits: true });
});

test("a bomb of references to one large field stays within the limit", () => {
  const decode = decoding();
  const insert = Buffer.concat([Buffer.from([0x40]), text("a"), text("x".repeat(4_000))]);
  const { fields, fits } = decode(Buffer.concat([insert, Buffer.alloc(60_000, 0xbe)]));
  expect(fits).toBe(false);
  expect(fields).toHaveLength(16);
});

function sorted(fields: readonly (readonly string[])[]): string[] {
  return fields.map((field) => field.join(": ")).sort();
}
