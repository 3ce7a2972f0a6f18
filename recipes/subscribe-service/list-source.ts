import type { EtcdClient } from "../../src/index.ts";
import type { Runtime } from "../../src/internal/index.ts";
import type { LiveList } from "./live-list.ts";
import type { ServiceInstance } from "./service-instance.ts";
import type { SubscribeStatus } from "./subscribe-events.ts";

/** What keeps a list true: it follows etcd, or a part of a list that does. */
export interface ListSource<Metadata> {
  /** Of which the list is. */
  readonly etcd: EtcdClient;
  readonly runtime: Runtime;
  readonly list: LiveList<Metadata>;
  readonly prefix: string;
  readonly ready: Promise<void>;
  readonly status: SubscribeStatus;
  readonly staleForMs: number;
  readonly revision: number;
  /** Aborts at the end; its reason says why. */
  readonly ended: AbortSignal;
  /** How many services the list has that this is a part of. */
  readonly whole: number;
  /** What came of a call to one of its servers. */
  reported(instance: ServiceInstance<Metadata>, error: unknown): void;
  close(): Promise<void>;
}
