import { HeaderField } from "./header-field.ts";
import { HpackError } from "./hpack-error.ts";
import { decodeHuffman } from "./huffman.ts";
import { staticTable } from "./static-table.ts";

/** SETTINGS_HEADER_TABLE_SIZE as it is unless we say otherwise, which we do not (RFC 9113, section 6.5.2). */
const TABLE_SIZE = 4096;
const STATIC_FIELDS = staticTable.length;
/** Numbers go up to some 2^28: more than any length or index that we could take. */
const LARGEST_SHIFT = 21;

/** Receives each field of a block, in order. */
export interface FieldSink {
  field(field: HeaderField): void;
}

/** Reads header blocks (RFC 7541) and keeps the table that they refer to. */
export class HpackDecoder {
  readonly #maxListBytes: number;
  /** The newest is the last. */
  readonly #dynamic: HeaderField[] = [];
  #dynamicBytes = 0;
  #maxDynamicBytes = TABLE_SIZE;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /** @param maxListBytes of the fields of one block, as SETTINGS_MAX_HEADER_LIST_SIZE counts */
  constructor(maxListBytes: number) {
    this.#maxListBytes = maxListBytes;
  }

  /**
   * Reads a block to its end, also where no one wants its fields or they are too many: the table depends on each.
   *
   * @returns whether the list stayed within its limit; the sink did not receive what was beyond
   * @throws HpackError for what is no header block
   */
  decode(bytes: Buffer, start: number, end: number, sink: FieldSink | undefined): boolean {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    let left = this.#maxListBytes;
    let begun = false;
    while (this.#at < end) {
      const first = bytes[this.#at] as number;
      let field: HeaderField;
      if (first >= 0x80) {
        // Nearly all are this, and in one byte.
        if (first < 0xff) this.#at++;
        field = this.#fieldAt(first < 0xff ? first & 0x7f : this.#integer(0x7f));
      } else if (first >= 0x40) {
        field = this.#literal(0x3f);
        this.#insert(field);
      } else if (first >= 0x20) {
        if (begun) throw new HpackError("a table size in the midst of a header block");
        this.#resize(this.#integer(0x1f));
        continue;
      } else field = this.#literal(0x0f);
      begun = true;
      left -= field.size;
      if (left >= 0) sink?.field(field);
    }
    return left >= 0;
  }

  #literal(mask: number): HeaderField {
    const index = this.#integer(mask);
    const name = index === 0 ? this.#string() : this.#fieldAt(index).name;
    return new HeaderField(name, this.#string());
  }

  #fieldAt(index: number): HeaderField {
    const field =
      index <= STATIC_FIELDS ? staticTable[index - 1] : this.#dynamic[this.#dynamic.length - (index - STATIC_FIELDS)];
    if (!field) throw new HpackError(`a header block refers to field ${index}, which there is not`);
    return field;
  }

  /** A field that is larger than the table empties it, and is not in it (section 4.4). */
  #insert(field: HeaderField): void {
    this.#dynamic.push(field);
    this.#dynamicBytes += field.size;
    this.#evict();
  }

  #resize(bytes: number): void {
    if (bytes > TABLE_SIZE) throw new HpackError(`a table size of ${bytes}, above the limit of ${TABLE_SIZE}`);
    this.#maxDynamicBytes = bytes;
    this.#evict();
  }

  #evict(): void {
    while (this.#dynamicBytes > this.#maxDynamicBytes) {
      this.#dynamicBytes -= (this.#dynamic.shift() as HeaderField).size;
    }
  }

  /** A number with a prefix of some bits (section 5.1). */
  #integer(mask: number): number {
    let value = (this.#bytes[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= LARGEST_SHIFT && this.#at < this.#end; shift += 7) {
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new HpackError("a number is cut short or too large");
  }

  #string(): string {
    if (this.#at >= this.#end) throw new HpackError("a string is missing");
    const coded = (this.#bytes[this.#at] as number) >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw new HpackError("a string is cut short");
    this.#at = end;
    return coded ? decodeHuffman(this.#bytes, start, end) : this.#bytes.toString("latin1", start, end);
  }
}
