import { RequestRefusedError } from "../errors/request-refused-error.ts";
import type { PartSize } from "./txn-size.ts";

/** etcd's default for `--max-txn-ops`. */
const OPERATIONS = 128;
/** etcd's default for `--max-request-bytes` is 1.5 MiB; ours are counted roughly, and without the namespace. */
const BYTES = 1_000_000;

const ofOwners = new WeakMap<object, ServerLimits>();

/**
 * How much of what a client sends together fits into one request: etcd's defaults until a server refuses one for its
 * size. What was learned is never forgotten: the members of a cluster may be started with different flags, and a
 * request can come to any of them.
 */
export class ServerLimits {
  #operations = OPERATIONS;
  #bytes = BYTES;

  /** Called once, when a client is made. */
  static set(client: object, limits: ServerLimits): void {
    ofOwners.set(client, limits);
  }

  /** Those of a client: all that it batches learns from each other. */
  static of(client: object): ServerLimits {
    const known = ofOwners.get(client);
    if (known) return known;
    const limits = new ServerLimits();
    ofOwners.set(client, limits);
    return limits;
  }

  get operations(): number {
    return this.#operations;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Of several items, `parts`, that were sent together and refused. */
  refused(parts: readonly PartSize[], error: unknown): void {
    if (!(error instanceof RequestRefusedError)) return;
    const total = parts.reduce(plus, nothing);
    if (error.beyond === "operations") {
      const counted = total.operations + total.nested;
      this.#operations = Math.max(1, Math.min(this.#operations, Math.floor(counted / 2)));
    }
    if (error.beyond !== "requestBytes") return;
    // One that is too large by itself says nothing about the others.
    const largest = parts.reduce((most, { bytes }) => Math.max(most, bytes), 0);
    this.#bytes = Math.min(this.#bytes, Math.max(largest, Math.floor(total.bytes / 2)));
  }
}

/** Fills one txn with operations as far as the limits go. The first fits, however large it is. */
export class TxnRoom {
  readonly #limits: ServerLimits;
  #operations = 0;
  #nested = 1;
  #bytes = 0;

  constructor(limits: ServerLimits) {
    this.#limits = limits;
  }

  /** @returns whether there was room for it */
  take({ operations = 1, nested, bytes }: PartSize): boolean {
    const most = Math.max(this.#nested, nested);
    const fits =
      this.#operations + operations + most <= this.#limits.operations && this.#bytes + bytes <= this.#limits.bytes;
    if (this.#operations > 0 && !fits) return false;
    this.#operations += operations;
    this.#nested = most;
    this.#bytes += bytes;
    return true;
  }
}

type Size = Required<PartSize>;

const nothing: Size = { operations: 0, nested: 0, bytes: 0 };

function plus(sum: Size, { operations = 1, nested, bytes }: PartSize): Size {
  return {
    operations: sum.operations + operations,
    nested: Math.max(sum.nested, nested),
    bytes: sum.bytes + bytes,
  };
}
