import type { CloseOptions, RegisterStatus } from "../service-register/index.ts";

/**
 * One node's place in the cluster, held with the guarantees of a ServiceRegister: it is there, with the newest info,
 * until it leaves.
 */
export interface Membership<Info = unknown> extends AsyncDisposable {
  readonly name: string;
  /**
   * Resolves when the node is registered and in the list of the monitor that it joined; rejects when it never will be.
   * It may be left unused.
   */
  readonly ready: Promise<void>;
  /** As of a ServiceRegister: `passive` while another process has the name. */
  readonly status: RegisterStatus;
  /**
   * Changes what the node says of itself. Resolves when that stands in etcd, also if that is after an outage.
   *
   * @throws InvalidOptionError for an info that JSON cannot write or that the schema rejects; ClientClosedError after
   *   leaving; the failure when it can no longer be registered
   */
  update(info: Info): Promise<void>;
  /**
   * Leaves the cluster: with `drainMs` the node is listed as `draining` for so long, then it goes. Bounded as
   * `ServiceRegister.close()`; calling it again is harmless.
   *
   * @throws InvalidOptionError
   */
  leave(options?: CloseOptions): Promise<void>;
  /** The same as `leave()`. */
  close(options?: CloseOptions): Promise<void>;
}
