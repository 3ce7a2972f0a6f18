import type { Protocol } from "../connection/index.ts";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { within } from "../internal/abort.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { LeaseId } from "../model/lease-id.ts";
import type { HeldLease } from "./held-lease.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { LeaseRevoker } from "./lease-revoker.ts";

/** What all leases on the connections of a client share, whichever of its namespaces they were granted in. */
export class LeaseEngine {
  readonly runtime: Runtime;
  readonly dialLimitMs: number;
  readonly keeper: LeaseKeeper;
  readonly revoker: LeaseRevoker;
  /** The one that holds each id and is not over. */
  readonly living = new Map<LeaseId, HeldLease>();
  /** Grants and revocations that close() waits for. */
  readonly underWay = new Set<Promise<unknown>>();
  readonly #over = new AbortController();
  /** Aborts when no call goes on. */
  readonly closed: AbortSignal = this.#over.signal;
  #closing: { readonly limitMs: number } | undefined;

  constructor(protocol: Protocol, dialLimitMs: number, runtime: Runtime) {
    this.runtime = runtime;
    this.dialLimitMs = dialLimitMs;
    this.keeper = new LeaseKeeper(protocol, dialLimitMs, runtime);
    this.revoker = new LeaseRevoker(protocol, runtime);
  }

  /** How much time etcd has for a revocation, once the client is being closed. */
  get closing(): { readonly limitMs: number } | undefined {
    return this.#closing;
  }

  /** Revokes every kept-alive lease, also those that are being granted or given up, giving etcd `limitMs` for it. */
  async close(limitMs: number): Promise<void> {
    this.#closing = { limitMs };
    const held = [...this.living.values()].filter(({ isDetached }) => !isDetached);
    this.keeper.close();
    const givenUp = this.revoker.close(limitMs);
    const revoking = held.map((lease) => lease.revoke({ timeoutMs: limitMs }));
    const all = Promise.allSettled([...revoking, givenUp, ...this.underWay]);
    await within(this.runtime.clock, all, limitMs, () => undefined).catch(() => {});
    this.#over.abort(new ClientClosedError("the client was closed during the call"));
  }
}
