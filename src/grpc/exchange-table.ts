import type { Exchange } from "./exchange.ts";
import { PeerError } from "./http2/peer-error.ts";
import { errorCode, LARGEST_STREAM_ID } from "./http2/protocol.ts";

/** The exchanges of one connection: those that are open, by their id, and those that wait for their turn. */
export class ExchangeTable {
  readonly #open = new Map<number, Exchange>();
  readonly #queued = new Set<Exchange>();
  #nextId: number;
  /** Those open that are unary calls. */
  unaryOpen = 0;
  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  maxOpen = Number.POSITIVE_INFINITY;
  started = 0;

  /** @param firstId odd, as those of a client are */
  constructor(firstId = 1) {
    this.#nextId = firstId;
  }

  get openCount(): number {
    return this.#open.size;
  }

  get queuedCount(): number {
    return this.#queued.size;
  }

  /** Both. */
  get count(): number {
    return this.#open.size + this.#queued.size;
  }

  get hasRoom(): boolean {
    return this.#open.size < this.maxOpen && !this.isExhausted;
  }

  /** There is no id for another one (RFC 9113, section 5.1.1). */
  get isExhausted(): boolean {
    return this.#nextId > LARGEST_STREAM_ID;
  }

  /** Of those that are open. Undefined for one that is over. */
  get(id: number): Exchange | undefined {
    return this.#open.get(id);
  }

  /** @throws PeerError for an id that no exchange ever had: even, or not yet given */
  check(id: number): void {
    if (id % 2 === 0 || id >= this.#nextId) {
      throw new PeerError(errorCode.PROTOCOL_ERROR, `a frame of stream ${id}, which was never opened`);
    }
  }

  open(exchange: Exchange): void {
    exchange.id = this.#nextId;
    this.#nextId += 2;
    this.#open.set(exchange.id, exchange);
    if (exchange.unary) this.unaryOpen++;
    this.started++;
  }

  queue(exchange: Exchange): void {
    this.#queued.add(exchange);
  }

  /** Takes out the one that has waited longest. */
  nextQueued(): Exchange | undefined {
    for (const exchange of this.#queued) {
      this.#queued.delete(exchange);
      return exchange;
    }
    return undefined;
  }

  remove(exchange: Exchange): void {
    if (exchange.id === 0) this.#queued.delete(exchange);
    else if (this.#open.delete(exchange.id) && exchange.unary) this.unaryOpen--;
  }

  /** A copy: what is done with each may end others. Those that are open first. */
  all(): Exchange[] {
    return [...this.#open.values(), ...this.#queued];
  }

  queued(): Exchange[] {
    return [...this.#queued];
  }

  /** Those that a GOAWAY has left out. */
  above(lastId: number): Exchange[] {
    return [...this.#open.values()].filter(({ id }) => id > lastId);
  }
}
