import { HpackError } from "./hpack-error.ts";

/**
 * How long the code of each byte is, in bits (RFC 7541, appendix B). The code is canonical: shorter codes come first,
 * and those of one length in the order of their bytes, so the lengths are all there is to know.
 */
// biome-ignore format: a table
export const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
  10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
  5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
  22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
  22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
  27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
  27, 27, 27, 27, 27, 26,
];

/** The longest code; the end-of-string code, which must not appear, is the last one of this length. */
const LONGEST_CODE = 30;
const SHORTEST_CODE = 5;

/** Bytes by their code, and for each length the first code and where its bytes begin. */
interface Codes {
  readonly bytes: Uint8Array;
  readonly firstCode: Uint32Array;
  readonly firstAt: Uint16Array;
  readonly count: Uint16Array;
}

let codes: Codes | undefined;

function makeCodes(): Codes {
  const bytes = Uint8Array.from([...codeLengths.keys()].sort((a, b) => lengthOf(a) - lengthOf(b) || a - b));
  const firstCode = new Uint32Array(LONGEST_CODE + 1);
  const firstAt = new Uint16Array(LONGEST_CODE + 1);
  const count = new Uint16Array(LONGEST_CODE + 1);
  for (const length of codeLengths) count[length] = (count[length] as number) + 1;
  let code = 0;
  let at = 0;
  for (let length = 1; length <= LONGEST_CODE; length++) {
    firstCode[length] = code;
    firstAt[length] = at;
    at += count[length] as number;
    code = (code + (count[length] as number)) * 2;
  }
  return { bytes, firstCode, firstAt, count };
}

function lengthOf(byte: number): number {
  return codeLengths[byte] as number;
}

/** @throws HpackError for a code that there is not, and for padding that is not the beginning of the last code */
export function decodeHuffman(coded: Uint8Array, start: number, end: number): string {
  codes ??= makeCodes();
  const { bytes, firstCode, firstAt, count } = codes;
  const text = Buffer.allocUnsafe(Math.ceil(((end - start) * 8) / SHORTEST_CODE));
  let length = 0;
  let code = 0;
  let bits = 0;
  for (let at = start; at < end; at++) {
    const byte = coded[at] as number;
    for (let shift = 7; shift >= 0; shift--) {
      code = code * 2 + ((byte >> shift) & 1);
      bits++;
      const offset = code - (firstCode[bits] as number);
      if (offset >= 0 && offset < (count[bits] as number)) {
        text[length++] = bytes[(firstAt[bits] as number) + offset] as number;
        code = 0;
        bits = 0;
      } else if (bits === LONGEST_CODE) throw new HpackError("a string has a Huffman code that there is not");
    }
  }
  // Padding is less than a byte, and all ones (RFC 7541, section 5.2).
  if (bits > 7 || code !== (1 << bits) - 1) throw new HpackError("a string ends with wrong Huffman padding");
  return text.toString("latin1", 0, length);
}
