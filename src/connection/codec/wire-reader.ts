import { ProtocolError } from "../../errors/protocol-error.ts";
import type { LeaseId } from "../../model/lease-id.ts";

const nothing: Buffer = Buffer.alloc(0);

/**
 * Reads protobuf's wire format (protobuf.dev/programming-guides/encoding) in place. Nothing is copied but text, and no
 * object is made for a 64-bit integer. Every length is checked against the end of the buffer.
 */
export class WireReader {
  buf = nothing;
  len = 0;
  pos = 0;

  /** The lower 32 bits of a varint: a tag, a length, an enum. */
  uint32(): number {
    const { buf, len, pos } = this;
    // Nearly all tags and lengths are one byte.
    if (pos < len) {
      const byte = buf[pos] as number;
      if (byte < 0x80) {
        this.pos = pos + 1;
        return byte;
      }
    }
    readHalves(this);
    return low;
  }

  bool(): boolean {
    readHalves(this);
    return low !== 0 || high !== 0;
  }

  string(): string {
    const end = endOfMessage(this);
    const text = this.buf.toString("utf8", this.pos, end);
    this.pos = end;
    return text;
  }

  /** A view of the buffer. */
  bytes(): Buffer {
    const end = endOfMessage(this);
    const bytes = this.buf.subarray(this.pos, end);
    this.pos = end;
    return bytes;
  }

  /** Passes over a field that we do not know, by the wire type in its tag. */
  skip(tag: number): void {
    // Groups, which proto3 does not have, can stand within each other.
    let depth = 0;
    for (let wireType = tag & 7; ; wireType = this.uint32() & 7) {
      if (wireType === 0) readHalves(this);
      else if (wireType === 1) this.#advance(8);
      else if (wireType === 2) this.pos = endOfMessage(this);
      else if (wireType === 5) this.#advance(4);
      else if (wireType === 3) depth++;
      else if (wireType === 4 && depth > 0) depth--;
      else throw new RangeError(`etcd's message has a field of the unknown wire type ${wireType}`);
      if (depth === 0) return;
    }
  }

  #advance(bytes: number): void {
    if (this.pos + bytes > this.len) throw new RangeError("a field of etcd's message is cut short");
    this.pos += bytes;
  }
}

/**
 * One for all messages. V8 drops the code that it has optimized for objects of a class when a full collection finds
 * none of them: a reader for each message would have that code compiled again after each of them.
 */
const theReader = new WireReader();

/** Reads one message; `read` gets where it ends. Messages are read one at a time. */
export function readMessage<Message>(bytes: Buffer, read: (reader: WireReader, end: number) => Message): Message {
  theReader.buf = bytes;
  theReader.len = bytes.length;
  theReader.pos = 0;
  try {
    return read(theReader, bytes.length);
  } finally {
    theReader.buf = nothing;
    theReader.len = 0;
  }
}

/** Reads the length of what comes next; returns where that ends. */
export function endOfMessage(reader: WireReader): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError("a message of etcd's is cut short");
  return end;
}

/** Whether the fields of a message that ends there have all been read. */
export function atEnd(reader: WireReader, end: number): boolean {
  if (reader.pos > end) throw new RangeError("a field of etcd's message reaches beyond its end");
  return reader.pos === end;
}

// The halves of the integer that was read last.
let low = 0;
let high = 0;

/** Reads a varint of up to 64 bits into `low` and `high`, both unsigned. */
function readHalves(reader: WireReader): void {
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
export function readInt64(reader: WireReader): number {
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
    throw new ProtocolError(`etcd sent ${signed(high, low)}, which a number cannot hold exactly`);
  }
  return value;
}

/** An int64 of any size, as a decimal. */
export function readInt64Decimal(reader: WireReader): string {
  readHalves(reader);
  return high === 0 ? String(low) : String(signed(high, low));
}

/** A uint64 of any size, as a decimal. */
export function readUint64Decimal(reader: WireReader): string {
  readHalves(reader);
  return high === 0 ? String(low) : String((BigInt(high) << 32n) | BigInt(low));
}

/** The id of a lease, as hex; undefined for 0, which means "no lease". */
export function readLeaseId(reader: WireReader): LeaseId | undefined {
  readHalves(reader);
  if (high === 0) return low === 0 ? undefined : (low.toString(16) as LeaseId);
  return (high.toString(16) + low.toString(16).padStart(8, "0")) as LeaseId;
}

function signed(upper: number, lower: number): bigint {
  return (BigInt(upper | 0) << 32n) | BigInt(lower);
}
