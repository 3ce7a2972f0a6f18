import { type GrpcFailure, grpcFailure } from "./grpc-failure.ts";
import type { HeaderField } from "./hpack/header-field.ts";
import type { FieldSink } from "./hpack/hpack-decoder.ts";
import { statusOfHttp } from "./http-status.ts";
import type { Metadata } from "./metadata.ts";
import { percentDecode } from "./percent-decode.ts";
import { fieldKind, kindOf } from "./response-field.ts";
import { grpcStatus } from "./status.ts";

/** The most that an error shows of what a server says. */
const MOST_SHOWN = 1_000;

/**
 * What the headers and trailers of one response say.
 *
 * ```
 *            1xx                 headers               trailers
 *   nothing ─────▶ nothing ───────────────▶ headers ─────────────▶ whole
 *      └───────────────── trailers only ──────────────────────────▶
 * ```
 */
export class Response implements FieldSink {
  httpStatus = 0;
  contentLength = -1;
  #contentType = "";
  #grpcStatus = "";
  #grpcMessage = "";
  #metadata: (readonly [string, string | Uint8Array])[] | undefined;
  #problem: string | undefined;
  #blocks = 0;
  #regular = false;

  /** The headers were read, those of 1xx aside. */
  get begun(): boolean {
    return this.#blocks > 0;
  }

  /** It is that of a gRPC server: what follows is messages. */
  get isGrpc(): boolean {
    return this.httpStatus === 200 && this.#contentType.startsWith("application/grpc");
  }

  get metadata(): Metadata | undefined {
    return this.#metadata;
  }

  field(field: HeaderField): void {
    const kind = kindOf(field);
    if (kind === fieldKind.STATUS) {
      this.#status(field.value);
      return;
    }
    this.#regular = true;
    switch (kind) {
      case fieldKind.CONTENT_TYPE:
        if (!this.begun) this.#contentType = field.value;
        break;
      case fieldKind.CONTENT_LENGTH:
        this.#length(field.value);
        break;
      case fieldKind.GRPC_STATUS:
        this.#grpcStatus = field.value;
        break;
      case fieldKind.GRPC_MESSAGE:
        this.#grpcMessage = field.value;
        break;
      case fieldKind.METADATA:
        this.#metadata ??= [];
        this.#metadata.push([field.name, field.name.endsWith("-bin") ? fromBase64(field.value) : field.value]);
        break;
      case fieldKind.MALFORMED:
        this.#problem ??= `the field ${JSON.stringify(field.name.slice(0, MOST_SHOWN))}`;
        break;
    }
  }

  /**
   * A header block was read.
   *
   * @param last it ends the stream
   * @returns what is malformed in it (RFC 9113, section 8.1.1)
   */
  blockEnd(last: boolean): string | undefined {
    if (this.#problem !== undefined) return this.#problem;
    if (this.httpStatus === 0) return "no :status";
    this.#regular = false;
    if (this.httpStatus < 200) {
      if (last) return `an answer that ends with status ${this.httpStatus}`;
      this.httpStatus = 0;
      return undefined;
    }
    if (this.begun && !last) return "trailers that do not end the stream";
    this.#blocks++;
    return undefined;
  }

  /** The answer is whole, as far as its trailers say. */
  outcome(): GrpcFailure | undefined {
    // A proxy that speaks gRPC gives a status of gRPC with any of HTTP's.
    if (this.#grpcStatus === "0" && this.isGrpc) return undefined;
    if (this.#grpcStatus === "" || this.#grpcStatus === "0") return this.notGrpc();
    const code = /^[1-9]\d{0,8}$/.test(this.#grpcStatus) ? Number(this.#grpcStatus) : grpcStatus.UNKNOWN;
    return grpcFailure(code, percentDecode(this.#grpcMessage), { metadata: this.#metadata });
  }

  notGrpc(): GrpcFailure {
    const { httpStatus } = this;
    const type = JSON.stringify(this.#contentType.slice(0, MOST_SHOWN));
    let what = `the answer is of content type ${type}, not gRPC`;
    if (httpStatus !== 200) what = `the answer is HTTP status ${httpStatus} (content type ${type}), not gRPC`;
    else if (this.isGrpc) what = "the answer ended without a grpc-status";
    return grpcFailure(statusOfHttp(httpStatus), what, { httpStatus, metadata: this.#metadata });
  }

  #status(value: string): void {
    // Once, before all others, and not in trailers (section 8.3).
    if (this.#regular || this.httpStatus !== 0 || this.begun) this.#problem ??= ":status out of place";
    else if (!/^[1-9]\d\d$/.test(value) || value === "101")
      this.#problem ??= `:status ${JSON.stringify(value.slice(0, MOST_SHOWN))}`;
    else this.httpStatus = Number(value);
  }

  #length(value: string): void {
    if (this.begun) return;
    const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
    if (length < 0 || (this.contentLength >= 0 && this.contentLength !== length)) this.#problem ??= "content-length";
    else this.contentLength = length;
  }
}

/**
 * Several values of one name may come as one (grpc/grpc: doc/PROTOCOL-HTTP2.md, Binary-Header). Padding may be missing.
 */
function fromBase64(value: string): Buffer {
  return Buffer.concat(value.split(",").map((part) => Buffer.from(part.trim(), "base64")));
}
