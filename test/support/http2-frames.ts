/** Frames of HTTP/2 by hand, right and wrong ones alike, for servers that follow a script. */

export const type = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 0x20 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

const empty = Buffer.alloc(0);

/** @param length what the header says, when that is a lie */
export function frame(frameType: number, flags = 0, id = 0, payload: Buffer = empty, length = payload.length): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(length, 0, 3);
  header[3] = frameType;
  header[4] = flags;
  header.writeUInt32BE(id >>> 0, 5);
  return Buffer.concat([header, payload]);
}

export type Fields = readonly (readonly [name: string, value: string])[];

/** Literals that are not put into the table. */
export function block(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** A string of HPACK, without a Huffman code. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(0, 7, bytes.length), bytes]);
}

/** A number of HPACK with a prefix of some bits. */
export function integer(pattern: number, bits: number, value: number): Buffer {
  const mask = 2 ** bits - 1;
  if (value < mask) return Buffer.from([pattern | value]);
  const bytes = [pattern | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

export const okFields: Fields = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];

export function headers(id: number, fields: Fields = okFields, flags = 0): Buffer {
  return frame(type.HEADERS, flags | flag.END_HEADERS, id, block(fields));
}

export function trailers(id: number, status = "0", more: Fields = []): Buffer {
  return headers(id, [["grpc-status", status], ...more], flag.END_STREAM);
}

/** A message of gRPC. */
export function message(body: string | Buffer = "answer", compressed = 0, length?: number): Buffer {
  const bytes = Buffer.from(body);
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed;
  prefix.writeUInt32BE(length ?? bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

export function data(id: number, payload: Buffer = message(), flags = 0): Buffer {
  return frame(type.DATA, flags, id, payload);
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [index, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(type.SETTINGS, 0, 0, payload);
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, index * 4);
  return bytes;
}

export function reset(id: number, code: number): Buffer {
  return frame(type.RST_STREAM, 0, id, uint32(code));
}

export function goaway(lastId: number, code = 0, words = ""): Buffer {
  return frame(type.GOAWAY, 0, 0, Buffer.concat([uint32(lastId, code), Buffer.from(words)]));
}

export function windowUpdate(id: number, increment: number): Buffer {
  return frame(type.WINDOW_UPDATE, 0, id, uint32(increment));
}

export function ping(payload = "12345678", flags = 0): Buffer {
  return frame(type.PING, flags, 0, Buffer.from(payload));
}

/** A whole answer. */
export function answer(id: number, body: string | Buffer = "answer"): Buffer {
  return Buffer.concat([headers(id), data(id, message(body)), trailers(id)]);
}
