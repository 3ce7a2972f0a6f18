import type { LeaseId } from "../../model/lease-id.ts";

/** The tag of a field, as it stands on the wire before each value. */
export const varintTag = (field: number) => (field << 3) | 0;
export const bytesTag = (field: number) => (field << 3) | 2;

/** Most requests fit; a larger one gets a larger buffer, which is kept up to MOST_KEPT. */
const FIRST_SIZE = 4_096;
const MOST_KEPT = 64 * 1_024;

/** One for all requests: each is copied out as soon as it is whole, and nothing is written in between. */
let scratch = Buffer.allocUnsafeSlow(FIRST_SIZE);

/**
 * Writes protobuf's wire format (protobuf.dev/programming-guides/encoding), front to back. A message within a message
 * is written after room for its length, and moved where its length needs more room than that. One message is written at
 * a time, from `newMessage()` to `finish()`.
 */
export class WireWriter {
  #pos = 0;
  /** Where each message that is open begins. */
  readonly #open: number[] = [];

  /** Forgets a message that was not finished. */
  begin(): this {
    this.#pos = 0;
    // Only then: to set it, even to what it is, throws away the memory behind the array.
    if (this.#open.length > 0) this.#open.length = 0;
    return this;
  }

  uint32(value: number): this {
    this.#room(5);
    this.#pos = varint(scratch, this.#pos, value);
    return this;
  }

  bool(value: boolean): this {
    this.#room(1);
    scratch[this.#pos++] = value ? 1 : 0;
    return this;
  }

  /** A whole number within 2^53. */
  int64(value: number): this {
    return this.halves(value >>> 0, Math.floor(value / 2 ** 32) >>> 0);
  }

  /** An integer of 64 bits by its halves, both unsigned. */
  halves(low: number, high: number): this {
    this.#room(10);
    let lower = low;
    let upper = high;
    while (upper !== 0) {
      scratch[this.#pos++] = (lower & 0x7f) | 0x80;
      lower = ((lower >>> 7) | (upper << 25)) >>> 0;
      upper >>>= 7;
    }
    this.#pos = varint(scratch, this.#pos, lower);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.uint32(value.length);
    this.#room(value.length);
    scratch.set(value, this.#pos);
    this.#pos += value.length;
    return this;
  }

  string(value: string): this {
    const length = Buffer.byteLength(value);
    this.uint32(length);
    this.#room(length);
    this.#pos += scratch.write(value, this.#pos, length, "utf8");
    return this;
  }

  /** Begins a message; `ldelim()` ends it. */
  fork(): this {
    this.#room(1);
    this.#open.push(++this.#pos);
    return this;
  }

  /** Ends the message that was begun last, and writes its length before it. */
  ldelim(): this {
    const start = this.#open.pop() as number;
    const length = this.#pos - start;
    const more = varintSize(length) - 1;
    if (more > 0) {
      this.#room(more);
      scratch.copyWithin(start + more, start, this.#pos);
      this.#pos += more;
    }
    varint(scratch, start - 1, length);
    return this;
  }

  /** What was written, in a buffer of its own. */
  finish(): Buffer {
    const bytes = Buffer.allocUnsafe(this.#pos);
    scratch.copy(bytes, 0, 0, this.#pos);
    if (scratch.length > MOST_KEPT) scratch = Buffer.allocUnsafeSlow(FIRST_SIZE);
    return bytes;
  }

  #room(bytes: number): void {
    const needed = this.#pos + bytes;
    if (needed <= scratch.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * scratch.length));
    scratch.copy(larger, 0, 0, this.#pos);
    scratch = larger;
  }
}

/** One for all messages, for the same reason as there is one reader. */
const theWriter = new WireWriter();

/** Begins a message. */
export function newMessage(): WireWriter {
  return theWriter.begin();
}

export function writeLeaseId(writer: WireWriter, field: number, id: LeaseId): void {
  const highHex = id.slice(0, -8);
  const high = highHex === "" ? 0 : Number.parseInt(highHex, 16);
  writer.uint32(varintTag(field)).halves(Number.parseInt(id.slice(-8), 16), high);
}

/** Writes up to 32 bits; returns where the next byte goes. */
function varint(into: Buffer, at: number, value: number): number {
  let rest = value >>> 0;
  let pos = at;
  while (rest > 0x7f) {
    into[pos++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[pos++] = rest;
  return pos;
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}
