import type { Protocol } from "../connection/index.ts";
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

  constructor(protocol: Protocol, dialLimitMs: number, runtime: Runtime) {
    this.runtime = runtime;
    this.dialLimitMs = dialLimitMs;
    this.keeper = new LeaseKeeper(protocol, dialLimitMs, runtime);
    this.revoker = new LeaseRevoker(protocol, runtime);
  }

  /** Renews nothing any more, and tries a last time to revoke what was given up, giving etcd `limitMs` for it. */
  async close(limitMs: number): Promise<void> {
    this.keeper.close();
    const givenUp = this.revoker.close(limitMs);
    await within(this.runtime.clock, givenUp, limitMs, () => undefined).catch(() => {});
  }
}
