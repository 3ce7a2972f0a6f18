import { FIELD_OVERHEAD } from "./header-field.ts";
import { staticTable } from "./static-table.ts";

/** A name and a value, both latin1. */
export type RequestField = readonly [name: string, value: string];

export interface EncodedBlock {
  readonly bytes: Buffer;
  /**
   * The same bytes may be sent again as long as the generation stays what it is. Not so for a block that put fields
   * into the table, or would the next time.
   */
  readonly repeatable: boolean;
}

/** The largest table that we fill, however much the peer allows: what repeats fits, and it bounds our own memory. */
const LARGEST_TABLE = 4096;
/** How many fields that were sent once are remembered: one that comes again within them goes into the table. */
const MOST_CANDIDATES = 64;
/** The most that the numbers of one field take: an index and two lengths. */
const LONGEST_NUMBERS = 18;
/** Whose values are credentials: kept out of every table on the way (section 7.1.3). */
const neverIndexed = new Set(["authorization", "proxy-authorization", "cookie"]);

const STATIC_FIELDS = staticTable.length;
const staticPairs = new Map<string, number>();
const staticNames = new Map<string, number>();
for (const [index, { name, value }] of staticTable.entries()) {
  if (value !== "") staticPairs.set(pairOf(name, value), index + 1);
  if (!staticNames.has(name)) staticNames.set(name, index + 1);
}

/**
 * Writes header blocks (RFC 7541). A field goes into the peer's table when it is sent for the second time, so that what
 * repeats takes a byte or two, and what is different in each request does not drive it out again.
 */
export class HpackEncoder {
  /** Fields of the table by pair and by name: how many were inserted before each. */
  readonly #pairs = new Map<string, number>();
  readonly #names = new Map<string, number>();
  /** The oldest first. */
  #table: { readonly pair: string; readonly name: string; readonly size: number }[] = [];
  readonly #candidates = new Set<string>();
  #inserted = 0;
  #bytes = 0;
  #maxBytes = LARGEST_TABLE;
  /** The peer has changed its limit: the next block begins with an empty table. */
  #restart = false;
  #repeatable = true;
  #generation = 0;
  #out = Buffer.alloc(0);
  #at = 0;

  /** Changes when a block that was made before must not be sent again, for it refers to another table. */
  get generation(): number {
    return this.#generation;
  }

  /** @param bytes the peer's SETTINGS_HEADER_TABLE_SIZE */
  limit(bytes: number): void {
    const maxBytes = Math.min(bytes, LARGEST_TABLE);
    if (maxBytes === this.#maxBytes) return;
    this.#maxBytes = maxBytes;
    this.#restart = true;
    this.#generation++;
  }

  /** Makes a block, to be sent before every later one. */
  encode(fields: readonly RequestField[]): EncodedBlock {
    let most = LONGEST_NUMBERS;
    for (const [name, value] of fields) most += name.length + value.length + LONGEST_NUMBERS;
    this.#out = Buffer.allocUnsafe(most);
    this.#at = 0;
    this.#repeatable = true;
    if (this.#restart) this.#empty();
    for (const [name, value] of fields) this.#field(name, value);
    return { bytes: this.#out.subarray(0, this.#at), repeatable: this.#repeatable };
  }

  /** The smallest size that was allowed, then the one that is now (section 4.2): 0 first is always right. */
  #empty(): void {
    this.#restart = false;
    this.#repeatable = false;
    this.#pairs.clear();
    this.#names.clear();
    this.#table = [];
    this.#bytes = 0;
    this.#generation++;
    this.#integer(0x20, 0x1f, 0);
    if (this.#maxBytes > 0) this.#integer(0x20, 0x1f, this.#maxBytes);
  }

  #field(name: string, value: string): void {
    const pair = pairOf(name, value);
    const index = staticPairs.get(pair) ?? this.#indexOf(this.#pairs.get(pair));
    if (index !== 0) {
      this.#integer(0x80, 0x7f, index);
      return;
    }
    const nameIndex = staticNames.get(name) ?? this.#indexOf(this.#names.get(name));
    const size = name.length + value.length + FIELD_OVERHEAD;
    if (neverIndexed.has(name)) this.#literal(0x10, 0x0f, nameIndex, name, value);
    else if (!this.#repeats(pair, size)) this.#literal(0x00, 0x0f, nameIndex, name, value);
    else {
      this.#literal(0x40, 0x3f, nameIndex, name, value);
      this.#insert(pair, name, size);
    }
  }

  /** Whether it was sent before, and would leave room for others. */
  #repeats(pair: string, size: number): boolean {
    if (size > this.#maxBytes / 2) return false;
    // Either it is inserted now, or it will be when it comes again.
    this.#repeatable = false;
    if (this.#candidates.delete(pair)) return true;
    this.#candidates.add(pair);
    if (this.#candidates.size > MOST_CANDIDATES) {
      for (const oldest of this.#candidates) {
        this.#candidates.delete(oldest);
        break;
      }
    }
    return false;
  }

  #insert(pair: string, name: string, size: number): void {
    this.#generation++;
    this.#bytes += size;
    this.#table.push({ pair, name, size });
    this.#pairs.set(pair, this.#inserted);
    this.#names.set(name, this.#inserted);
    this.#inserted++;
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#table.shift();
      if (!oldest) break;
      this.#bytes -= oldest.size;
      const position = this.#inserted - this.#table.length - 1;
      if (this.#pairs.get(oldest.pair) === position) this.#pairs.delete(oldest.pair);
      if (this.#names.get(oldest.name) === position) this.#names.delete(oldest.name);
    }
  }

  /** The newest field of the table has the lowest index, right behind the static ones. 0 for none. */
  #indexOf(position: number | undefined): number {
    return position === undefined ? 0 : STATIC_FIELDS + this.#inserted - position;
  }

  #literal(pattern: number, mask: number, nameIndex: number, name: string, value: string): void {
    this.#integer(pattern, mask, nameIndex);
    if (nameIndex === 0) this.#string(name);
    this.#string(value);
  }

  #integer(pattern: number, mask: number, value: number): void {
    if (value < mask) {
      this.#out[this.#at++] = pattern | value;
      return;
    }
    this.#out[this.#at++] = pattern | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) this.#out[this.#at++] = (rest & 0x7f) | 0x80;
    this.#out[this.#at++] = rest;
  }

  /** As it is: what repeats is not sent again, so a Huffman code would save next to nothing. */
  #string(text: string): void {
    this.#integer(0x00, 0x7f, text.length);
    this.#at += this.#out.write(text, this.#at, "latin1");
  }
}

function pairOf(name: string, value: string): string {
  return `${name}\0${value}`;
}
