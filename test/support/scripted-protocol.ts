import type {
  Protocol,
  StreamEndpoint,
  StreamHandlers,
  WatchCreateRequest,
  WatchResponse,
  WatchStream,
} from "../../src/connection/index.ts";
import { type EtcdError, UnavailableError } from "../../src/index.ts";
import { type Deferred, deferred } from "../../src/internal/index.ts";

type Txn = Awaited<ReturnType<Protocol["txn"]>>;

/** One watch stream as the server's side of a test sees it. */
export class ScriptedStream implements WatchStream {
  readonly endpoint: StreamEndpoint;
  readonly created: WatchCreateRequest[] = [];
  readonly cancelled: string[] = [];
  /** How often progress was asked for. */
  progressRequests = 0;
  closed = false;
  readonly #handlers: StreamHandlers<WatchResponse>;

  constructor(endpoint: StreamEndpoint, handlers: StreamHandlers<WatchResponse>) {
    this.endpoint = endpoint;
    this.#handlers = handlers;
  }

  create(request: WatchCreateRequest): void {
    this.created.push(request);
  }

  cancel(watchId: string): void {
    this.cancelled.push(watchId);
  }

  requestProgress(): void {
    this.progressRequests++;
  }

  close(): void {
    this.closed = true;
  }

  answer(response: Partial<WatchResponse>): void {
    if (!this.closed) this.#handlers.onMessage(watchResponse(response));
  }

  breaks(error: EtcdError = new UnavailableError("cut", { retryable: true })): void {
    this.closed = true;
    this.#handlers.onEnd(error);
  }
}

/** A Protocol whose answers the test gives by hand: for moments that no real server can be held at. */
export class ScriptedProtocol {
  readonly streams: ScriptedStream[] = [];
  /** Each proof that is asked for waits here for its answer. */
  readonly txns: (Deferred<Txn> & { readonly signal: AbortSignal | undefined })[] = [];
  readonly failures: string[] = [];
  /** How many lists were read. All are empty, at a revision that grows. */
  ranges = 0;
  readonly #endpoint = { url: "http://scripted" } as StreamEndpoint;

  /** What a range is answered with instead. */
  rangeError: Error | undefined;
  /** Why no stream comes up. */
  openError: Error | undefined;

  /** As the rooms above see it. */
  get protocol(): Protocol {
    return this as unknown as Protocol;
  }

  get stream(): ScriptedStream {
    const stream = this.streams.at(-1);
    if (!stream) throw new Error("no stream was opened");
    return stream;
  }

  streamEndpoints(): StreamEndpoint[] {
    return [this.#endpoint];
  }

  streamWorked(): void {}

  streamFailed(_endpoint: StreamEndpoint, how: string): void {
    this.failures.push(how);
  }

  async openWatch(
    endpoint: StreamEndpoint,
    _limitMs: number,
    handlers: StreamHandlers<WatchResponse>,
  ): Promise<WatchStream> {
    if (this.openError) throw this.openError;
    const stream = new ScriptedStream(endpoint, handlers);
    this.streams.push(stream);
    return stream;
  }

  async range(): Promise<Awaited<ReturnType<Protocol["range"]>>> {
    this.ranges++;
    if (this.rangeError) throw this.rangeError;
    return { revision: 100 + this.ranges, kvs: [], count: 0, more: false, bytes: 0 };
  }

  txn(_request: unknown, options?: { signal?: AbortSignal }): Promise<Txn> {
    const answer = { ...deferred<Txn>(), signal: options?.signal };
    this.txns.push(answer);
    return answer.promise;
  }

  /** Answers the oldest proof that waits: so many keys are in the range. */
  prove(count: number): void {
    const response = { type: "range", kvs: [], count, more: false } as const;
    this.txns.shift()?.resolve({ revision: 1, succeeded: true, responses: [response] });
  }
}

export function watchResponse(response: Partial<WatchResponse>): WatchResponse {
  return {
    watchId: "0",
    headerRevision: 0,
    created: false,
    canceled: false,
    cancelReason: "",
    compactRevision: 0,
    fragment: false,
    events: [],
    ...response,
  };
}
