import { timeoutText } from "./grpc-timeout.ts";
import { FIELD_OVERHEAD } from "./hpack/header-field.ts";
import { HpackEncoder, type RequestField } from "./hpack/hpack-encoder.ts";
import type { FrameWriter } from "./http2/frame-writer.ts";
import { DEFAULT_MAX_FRAME_BYTES, frameFlag, frameType } from "./http2/protocol.ts";
import type { Metadata } from "./metadata.ts";
import { checkPath, fieldsOf } from "./request-fields.ts";

/** Methods whose block is kept. A service has fewer; paths that are made up must not fill the memory. */
const MOST_KEPT = 128;

/** The headers of the calls of a method with certain metadata. */
export interface RequestHead {
  readonly metadata: Metadata;
  readonly fields: readonly RequestField[];
  /** As SETTINGS_MAX_HEADER_LIST_SIZE counts, with the longest timeout. */
  readonly listBytes: number;
  /** Their header block, and the generation of the encoder in which it may be sent as it is. */
  block: Buffer;
  generation: number;
}

const noMetadata: Metadata = [];
const LONGEST_TIMEOUT_BYTES = "grpc-timeout".length + "99999999m".length + FIELD_OVERHEAD;

/** Writes the headers of requests: those of a call that was made before are the same dozen bytes again. */
export class RequestHeaders {
  readonly #encoder = new HpackEncoder();
  readonly #pseudo: readonly RequestField[];
  readonly #regular: readonly RequestField[];
  readonly #kept = new Map<string, RequestHead>();
  #timeout: { readonly ms: number; readonly generation: number; readonly bytes: Buffer } = {
    ms: -1,
    generation: -1,
    bytes: Buffer.alloc(0),
  };

  constructor(scheme: "http" | "https", authority: string, userAgent: string) {
    this.#pseudo = [
      [":method", "POST"],
      [":scheme", scheme],
      [":authority", authority],
    ];
    this.#regular = [
      ["te", "trailers"],
      ["content-type", "application/grpc"],
      ["user-agent", userAgent],
    ];
  }

  /** @param bytes the peer's SETTINGS_HEADER_TABLE_SIZE */
  limitTable(bytes: number): void {
    this.#encoder.limit(bytes);
  }

  /** @throws TypeError for a path or metadata that cannot be sent */
  head(path: string, metadata: Metadata = noMetadata): RequestHead {
    const known = this.#kept.get(path);
    if (known !== undefined && known.metadata === metadata) return known;
    checkPath(path);
    const fields: RequestField[] = [...this.#pseudo, [":path", path], ...this.#regular, ...fieldsOf(metadata)];
    let listBytes = LONGEST_TIMEOUT_BYTES;
    for (const [name, value] of fields) listBytes += name.length + value.length + FIELD_OVERHEAD;
    const head: RequestHead = { metadata, fields, listBytes, block: Buffer.alloc(0), generation: -1 };
    if (this.#kept.size >= MOST_KEPT && known === undefined) this.#kept.clear();
    this.#kept.set(path, head);
    return head;
  }

  /** Writes HEADERS, and CONTINUATION where they do not fit into one frame. */
  write(writer: FrameWriter, streamId: number, head: RequestHead, timeoutMs: number): void {
    const block = head.generation === this.#encoder.generation ? head.block : this.#encode(head);
    const timeout = timeoutMs === Number.POSITIVE_INFINITY ? undefined : this.#encodeTimeout(timeoutMs);
    const length = block.length + (timeout === undefined ? 0 : timeout.length);
    if (length > DEFAULT_MAX_FRAME_BYTES) {
      writeLong(writer, streamId, timeout === undefined ? block : Buffer.concat([block, timeout]));
      return;
    }
    let at = writer.begin(length, frameType.HEADERS, frameFlag.END_HEADERS, streamId);
    const { slab } = writer;
    // For a few bytes this is faster than a call of copy().
    for (let index = 0; index < block.length; index++) slab[at++] = block[index] as number;
    if (timeout === undefined) return;
    for (let index = 0; index < timeout.length; index++) slab[at++] = timeout[index] as number;
  }

  /** A block that puts fields into the table must not do it twice. */
  #encode(head: RequestHead): Buffer {
    const { bytes, repeatable } = this.#encoder.encode(head.fields);
    head.block = bytes;
    head.generation = repeatable ? this.#encoder.generation : -1;
    return bytes;
  }

  #encodeTimeout(timeoutMs: number): Buffer {
    const ms = Math.ceil(timeoutMs);
    const last = this.#timeout;
    const { generation } = this.#encoder;
    if (last.ms === ms && last.generation === generation) return last.bytes;
    const { bytes, repeatable } = this.#encoder.encode([["grpc-timeout", timeoutText(ms)]]);
    if (repeatable) this.#timeout = { ms, generation, bytes };
    return bytes;
  }
}

/** A header block that does not fit into one frame. */
function writeLong(writer: FrameWriter, streamId: number, block: Buffer): void {
  for (let from = 0; from < block.length; from += DEFAULT_MAX_FRAME_BYTES) {
    const part = block.subarray(from, from + DEFAULT_MAX_FRAME_BYTES);
    const flags = from + part.length === block.length ? frameFlag.END_HEADERS : 0;
    const type = from === 0 ? frameType.HEADERS : frameType.CONTINUATION;
    const at = writer.begin(part.length, type, flags, streamId);
    part.copy(writer.slab, at);
  }
}
