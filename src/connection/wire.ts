import protobuf, { type Reader, type Writer } from "protobufjs/minimal.js";
import { ProtocolError } from "../errors/protocol-error.ts";
import type { LeaseId } from "../model/lease-id.ts";

/** protobuf's wire format: protobufjs does tags, lengths and bytes; the 64-bit integers are read here, without an object for each. */

/** The tag of a field, as it stands on the wire before each value. */
export const varintTag = (field: number) => (field << 3) | 0;
export const bytesTag = (field: number) => (field << 3) | 2;

export function readerOf(bytes: Uint8Array): Reader {
  return protobuf.Reader.create(bytes);
}

export function newWriter(): Writer {
  return protobuf.Writer.create();
}

export function finish(writer: Writer): Buffer {
  const bytes = writer.finish();
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads the length of what comes next; returns where that ends. */
export function endOfMessage(reader: Reader): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError("a message of etcd's is cut short");
  return end;
}

/** Whether the fields of a message that ends there have all been read. */
export function atEnd(reader: Reader, end: number): boolean {
  if (reader.pos > end) throw new RangeError("a field of etcd's message reaches beyond its end");
  return reader.pos === end;
}

// The halves of the integer that was read last.
let low = 0;
let high = 0;

/** Reads a varint of up to 64 bits into `low` and `high`, both unsigned. */
function readHalves(reader: Reader): void {
  const { buf, len } = reader;
  let { pos } = reader;
  low = 0;
  high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    if (pos >= len) throw new RangeError("a number in etcd's message is cut short");
    const byte = buf[pos++] as number;
    const bits = byte & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high |= bits >>> 4;
    } else high |= bits << (shift - 32);
    if (byte < 0x80) {
      low >>>= 0;
      high >>>= 0;
      reader.pos = pos;
      return;
    }
  }
  throw new RangeError("a number in etcd's message is longer than 64 bits");
}

/**
 * An int64 as a number.
 *
 * @throws ProtocolError beyond 2^53-1: what a number cannot hold is never rounded
 */
export function readInt64(reader: Reader): number {
  // Nearly all fit into 28 bits, which needs no second half.
  const { buf, len, pos } = reader;
  let bits = 0;
  for (let at = pos, shift = 0; at < len && shift < 28; at++, shift += 7) {
    const byte = buf[at] as number;
    bits |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      reader.pos = at + 1;
      return bits;
    }
  }
  readHalves(reader);
  const value = (high | 0) * 2 ** 32 + low;
  if (!Number.isSafeInteger(value)) {
    const exact = (BigInt(high | 0) << 32n) | BigInt(low);
    throw new ProtocolError(`etcd sent ${exact}, which a number cannot hold exactly`);
  }
  return value;
}

/** The id of a lease, as hex; undefined for 0, which means "no lease". */
export function readLeaseId(reader: Reader): LeaseId | undefined {
  readHalves(reader);
  if (high === 0) return low === 0 ? undefined : (low.toString(16) as LeaseId);
  return (high.toString(16) + low.toString(16).padStart(8, "0")) as LeaseId;
}

export function writeLeaseId(writer: Writer, field: number, id: LeaseId): void {
  const highHex = id.slice(0, -8);
  const halves = {
    low: Number.parseInt(id.slice(-8), 16) | 0,
    high: highHex === "" ? 0 : Number.parseInt(highHex, 16) | 0,
    unsigned: false,
  };
  // protobufjs reads these three fields of what its types call a Long.
  writer.uint32(varintTag(field)).int64(halves as unknown as Long);
}

type Long = Exclude<Parameters<Writer["int64"]>[0], number | string>;
