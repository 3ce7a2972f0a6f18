import type { Ejection } from "./outlier-detector.ts";
import type { ServiceInstance } from "./service-instance.ts";

/** What happens to a list; each list finds out for itself what it had before. */
export type ListChange<Metadata> =
  | { readonly type: "put"; readonly instance: ServiceInstance<Metadata> }
  | { readonly type: "delete"; readonly key: string }
  /** Gone from etcd, which is emitted later; or back, or held back. */
  | { readonly type: "leaving"; readonly key: string; readonly leaving: boolean }
  | { readonly type: "ejected"; readonly instance: ServiceInstance<Metadata>; readonly ejection: Ejection }
  | { readonly type: "readmitted"; readonly instance: ServiceInstance<Metadata> }
  | { readonly type: "invalid"; readonly key: string; readonly error: Error };

/** What happens at once, in etcd's order. */
export interface ListStep<Metadata> {
  readonly changes: readonly ListChange<Metadata>[];
  /** The first list: it is emitted however short it is. */
  readonly first?: boolean;
}
