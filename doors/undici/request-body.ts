/** Methods that may be repeated: RFC 9110, section 9.2.2. */
const idempotent = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export function isIdempotent({ method, idempotent: given }: { method: string; idempotent?: boolean | undefined }) {
  return given ?? idempotent.has(method);
}

/** The body of a request that may be sent more than once. */
export interface RequestBody {
  /** What is given to the dispatcher. */
  readonly content: unknown;
  /** Whether it can be sent again, after it was sent. */
  readonly isRepeatable: boolean;
  /** Whether nothing of it was read. */
  readonly isUnread: boolean;
}

export function requestBody(body: unknown): RequestBody {
  if (isWhole(body)) return { content: body, isRepeatable: true, isUnread: true };
  const stream = body as { pipe?: unknown; readableDidRead?: boolean; destroyed?: boolean };
  if (typeof stream.pipe === "function") {
    return {
      content: body,
      isRepeatable: false,
      get isUnread() {
        return stream.readableDidRead === false && !stream.destroyed;
      },
    };
  }
  return new IterableBody(body as AsyncIterable<unknown> | Iterable<unknown>);
}

/** It is there as a whole, and not used up by reading it. */
function isWhole(body: unknown): boolean {
  if (body === null || body === undefined || typeof body === "string") return true;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return true;
  return body instanceof Blob || body instanceof FormData;
}

/** As `fetch` gives it, whatever its user gave: can be read once. */
class IterableBody implements RequestBody {
  readonly content: AsyncIterable<unknown>;
  readonly isRepeatable = false;
  isUnread = true;

  constructor(body: AsyncIterable<unknown> | Iterable<unknown>) {
    const read = () => {
      this.isUnread = false;
      return body;
    };
    this.content = {
      async *[Symbol.asyncIterator]() {
        yield* read();
      },
    };
  }
}
