import { ClusterMonitor, type ClusterMonitorOptions } from "../../../recipes/index.ts";
import type { RegistryLab } from "../../support/registry-lab.ts";

export const monitorEvents = ["up", "down", "changed", "invalid", "status", "warning", "failed"];

/** A ClusterMonitor that is closed with the rest of the lab. */
export function monitorOf<Info = unknown>(
  lab: RegistryLab,
  prefix: string,
  options: ClusterMonitorOptions<Info> = {},
): ClusterMonitor<Info> {
  const monitor = new ClusterMonitor<Info>(prefix, { client: lab.etcd, ...options });
  lab.also(() => monitor.close());
  return monitor;
}

export function namesOf(monitor: ClusterMonitor): string[] {
  return monitor.nodes().map(({ name }) => name);
}
