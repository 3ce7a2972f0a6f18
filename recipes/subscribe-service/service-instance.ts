import type { KeyValue, LeaseId } from "../../src/index.ts";
import type { Registration } from "../registration-format/internal.ts";

/** One registered service. Frozen; a change makes a new one. */
export interface ServiceInstance<Metadata = unknown> {
  readonly key: string;
  /** The key without the prefix. */
  readonly id: string;
  readonly address: string;
  /** Its share of the load; 1 if it does not say. */
  readonly weight: number;
  /** As the schema returned it; without a schema what JSON said; undefined when the service has none. */
  readonly metadata: Metadata;
  /** About to leave: still there, but not to be chosen. */
  readonly draining: boolean;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease?: LeaseId;
  /**
   * Calls from here to it failed, so it is not chosen for a while. What this process has seen, not what stands in etcd.
   */
  readonly ejected?: true;
}

export function toInstance<Metadata>(
  kv: KeyValue,
  id: string,
  registration: Registration,
  metadata: Metadata,
): ServiceInstance<Metadata> {
  const { address, weight, draining } = registration;
  const { key, createRevision, modRevision, lease } = kv;
  const instance = { key, id, address, weight, metadata, draining, createRevision, modRevision };
  return Object.freeze(lease === undefined ? instance : { ...instance, lease });
}

/** The same instance, ejected or not. */
export function withEjected<Metadata>(
  { ejected: _, ...instance }: ServiceInstance<Metadata>,
  ejected: boolean,
): ServiceInstance<Metadata> {
  return Object.freeze(ejected ? { ...instance, ejected } : instance);
}

/**
 * Whether both are of one registration: a key that was deleted and made again is another one, and so is one that
 * another process has put over it, at another address and on another lease. A service that recovers changes its lease,
 * one that moves its address.
 */
export function isSameRegistration(a: ServiceInstance, b: ServiceInstance): boolean {
  const isSameService = a.address === b.address || a.lease === b.lease;
  return a.key === b.key && a.createRevision === b.createRevision && isSameService;
}
