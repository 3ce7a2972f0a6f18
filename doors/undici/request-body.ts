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
  /** Whether this is the error that the body itself failed with: no server is at fault. */
  failedWith(error: unknown): boolean;
  /** Listens to the body no more. */
  release(): void;
}

/** @param failed hears of a stream that fails, also while none reads it */
export function requestBody(body: unknown, failed: (error: unknown) => void): RequestBody {
  if (isWhole(body)) return new GivenBody(body, true);
  if (typeof (body as { pipe?: unknown }).pipe === "function") return new StreamBody(body as BodyStream, failed);
  if (isIterable(body)) return new IterableBody(body);
  // Of a kind that is not known here. undici takes it as it is, or refuses it.
  return new GivenBody(body, false);
}

/** It is there as a whole, and not used up by reading it. */
function isWhole(body: unknown): boolean {
  if (body === null || body === undefined || typeof body === "string") return true;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return true;
  return isBlob(body) || isFormData(body);
}

// By what they are, as undici does: its package has a FormData of its own, and so has a polyfill.

function isBlob(body: unknown): boolean {
  const tag = tagOf(body);
  return (tag === "Blob" || tag === "File") && (hasMethods(body, ["stream"]) || hasMethods(body, ["arrayBuffer"]));
}

function isFormData(body: unknown): boolean {
  return tagOf(body) === "FormData" && hasMethods(body, ["append", "delete", "get", "getAll", "has", "set"]);
}

function tagOf(body: unknown): unknown {
  return (body as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
}

function hasMethods(body: unknown, names: readonly string[]): boolean {
  return names.every((name) => typeof (body as Record<string, unknown>)[name] === "function");
}

function isIterable(body: unknown): body is AsyncIterable<unknown> | Iterable<unknown> {
  const { [Symbol.asyncIterator]: ofAsync, [Symbol.iterator]: ofSync } = body as Partial<
    AsyncIterable<unknown> & Iterable<unknown>
  >;
  return typeof ofAsync === "function" || typeof ofSync === "function";
}

/** Handed on as it is. */
class GivenBody implements RequestBody {
  readonly content: unknown;
  readonly isRepeatable: boolean;
  readonly isUnread: boolean;

  constructor(body: unknown, isRepeatable: boolean) {
    this.content = body;
    this.isRepeatable = isRepeatable;
    this.isUnread = isRepeatable;
  }

  failedWith(): boolean {
    return false;
  }

  release(): void {}
}

/** What is used of a stream of Node. */
interface BodyStream {
  readonly readableDidRead?: boolean;
  readonly destroyed?: boolean;
  readonly errored?: unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
  off(event: "error", listener: (error: unknown) => void): unknown;
}

/**
 * A stream: can be read once.
 *
 * undici destroys it with the error of a server, but fails the request before: an error that the stream has first is
 * its own.
 */
class StreamBody implements RequestBody {
  readonly content: BodyStream;
  readonly isRepeatable = false;
  readonly #listener: (error: unknown) => void;
  #failure: { readonly error: unknown } | undefined;

  constructor(stream: BodyStream, failed: (error: unknown) => void) {
    this.content = stream;
    if (stream.errored) this.#failure = { error: stream.errored };
    this.#listener = (error) => {
      this.#failure = { error };
      failed(error);
    };
    stream.on("error", this.#listener);
  }

  get isUnread(): boolean {
    return this.content.readableDidRead === false && !this.content.destroyed;
  }

  failedWith(error: unknown): boolean {
    return this.#failure !== undefined && this.#failure.error === error;
  }

  release(): void {
    this.content.off("error", this.#listener);
  }
}

/** As `fetch` gives it, whatever its user gave: can be read once. */
class IterableBody implements RequestBody {
  readonly content: AsyncIterable<unknown>;
  readonly isRepeatable = false;
  isUnread = true;
  #failure: { readonly error: unknown } | undefined;

  constructor(body: AsyncIterable<unknown> | Iterable<unknown>) {
    const read = () => {
      this.isUnread = false;
      return body;
    };
    const failed = (error: unknown) => {
      this.#failure = { error };
    };
    this.content = {
      async *[Symbol.asyncIterator]() {
        try {
          yield* read();
        } catch (error) {
          failed(error);
          throw error;
        }
      },
    };
  }

  failedWith(error: unknown): boolean {
    return this.#failure !== undefined && this.#failure.error === error;
  }

  release(): void {}
}
