import type { MaintenanceClient } from "etcd3/lib/rpc.js";
import type { CallMessage } from "../internal/channel-messages.ts";
import type { Endpoint } from "./endpoints/endpoint.ts";
import type { Failure } from "./errors/error-translation.ts";
import type { StreamEndpoint } from "./stream-endpoint.ts";

/**
 * What a failed attempt allows: a `read` and an `idempotent` write go on to the next endpoint; a `write` only if it
 * provably was not executed.
 */
export type CallKind = "read" | "write" | "idempotent";

/** What etcd3's stubs take as options. They hand them on as they are. */
export type StubOptions = NonNullable<Parameters<MaintenanceClient["status"]>[0]>;

/** How our calls travel through etcd3's stubs. */
export interface RpcOptions extends StubOptions {
  readonly kind: CallKind;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Only this endpoint, for questions about one member. */
  readonly only?: Endpoint | undefined;
  /** For what a member answers without a leader, too. @default whether the call is always such a one */
  readonly ofMember?: boolean | undefined;
  /** Without a token: the call that asks for one, and what etcd answers to everybody. */
  readonly anonymous?: boolean | undefined;
  /** For a call whose answer takes its time: that it is late says nothing about the connection. */
  readonly patience?: Patience | undefined;
  /**
   * For a call that a member may work at for minutes: no other endpoint is asked meanwhile. `bounded` by `timeoutMs`,
   * or `unbounded` once it has left, which it has to within `timeoutMs`: then the end of its connection ends it. What
   * such an attempt took that failed is not counted: the others have what is left of `timeoutMs`.
   */
  readonly slow?: "bounded" | "unbounded" | undefined;
  /** Each endpoint that is asked is added here. @default it is not noted */
  readonly asked?: StreamEndpoint[] | undefined;
  /** What its channel says of it: where each attempt goes is noted here. @default it has no subscriber */
  readonly described?: CallMessage | undefined;
}

/** How long one attempt may take, in place of the usual time, and who hears of each that failed. */
export interface Patience {
  readonly attemptLimitMs: number;
  attemptFailed(failure: Failure): void;
}
