import type { ServiceInstance } from "../subscribe-service/index.ts";
import type { NodeMetadata } from "./node-metadata.ts";

/** A node of the cluster, as it says of itself. Frozen; a change makes a new one. */
export interface ClusterNode<Info = unknown> {
  readonly name: string;
  /** As the schema returned it; without a schema what JSON said. */
  readonly info: Info;
  /** When its process joined, by its own clock: milliseconds since the epoch. */
  readonly upSince: number;
  /** When it last said something new of itself, by its own clock: milliseconds since the epoch. */
  readonly lastChange: number;
  /** About to leave. */
  readonly draining: boolean;
}

export function toNode<Info>({ id, metadata, draining }: ServiceInstance<NodeMetadata<Info>>): ClusterNode<Info> {
  const { info, upSince, changedAt } = metadata;
  return Object.freeze({ name: id, info, upSince, lastChange: changedAt, draining });
}
